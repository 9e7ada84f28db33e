"""Which parameters learn at each stage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from videopath_hf.errors import UserError
from videopath_hf.settings import load_settings
from videopath_hf.training.parts import parameter_table, part_of, prepare_parts
from videopath_hf.training.recipe import LoraSettings, Recipe, TrainableSettings

RECIPES = Path(__file__).parents[2] / "recipes"
LORA = LoraSettings(r=4, alpha=8)


@pytest.fixture
def model(tiny: Path) -> Any:
    from videopath_hf.modeling.loading import load_model

    return load_model(tiny)[0]


def trainable(model: Any) -> dict[str, int]:
    return {part: row["trainable"] for part, row in parameter_table(model).items()}


def test_the_table_counts_every_parameter_once(model: Any) -> None:
    table = parameter_table(model)
    assert set(table) == {"vision_tower", "projector", "language_model"}
    assert sum(row["total"] for row in table.values()) == sum(p.numel() for p in model.parameters())


def test_alignment_trains_the_projector_alone(model: Any) -> None:
    table = parameter_table(prepare_parts(model, TrainableSettings(projector=True), LORA))
    assert table["projector"]["trainable"] == table["projector"]["total"] > 0
    assert table["vision_tower"]["trainable"] == table["language_model"]["trainable"] == 0


def test_full_tuning_trains_every_parameter_and_the_newline_with_the_language_model(model: Any) -> None:
    everything = TrainableSettings(projector=True, vision_tower=True, language_model="full")
    assert all(p.requires_grad for p in prepare_parts(model, everything, LORA).parameters())
    assert part_of("model.image_newline") == part_of("lm_head.weight") == "language_model"


def test_with_adapters_the_base_is_frozen_and_tower_and_projector_learn(model: Any) -> None:
    whole = parameter_table(model)
    parts = TrainableSettings(projector=True, vision_tower=True, language_model="lora")
    table = parameter_table(prepare_parts(model, parts, LORA))
    assert table["language_model"] == {"trainable": 0, "total": whole["language_model"]["total"]}
    for part in ("projector", "vision_tower"):
        assert table[part]["trainable"] == table[part]["total"] == whole[part]["total"]
    assert table["lora"]["trainable"] == table["lora"]["total"] > 0


def test_adapters_are_in_the_decoder_and_nowhere_else(model: Any) -> None:
    parts = TrainableSettings(projector=True, vision_tower=True, language_model="lora")
    adapted = prepare_parts(model, parts, LORA)
    names = [name for name, _ in adapted.named_parameters() if "lora_" in name]
    assert names and all(".language_model.layers." in name for name in names)
    linears = {name.split(".lora_")[0].rpartition(".")[2] for name in names}
    assert linears == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_a_pattern_that_reaches_into_the_tower_is_refused_by_name(model: Any) -> None:
    lora = LoraSettings(targets=r".*\.q_proj")
    with pytest.raises(UserError, match=r"lora\.targets = .* also matches '.*vision_tower.*q_proj'"):
        prepare_parts(model, TrainableSettings(language_model="lora"), lora)


def test_a_pattern_that_matches_nothing_is_refused_with_a_name_that_exists(model: Any) -> None:
    with pytest.raises(UserError, match=r"matches no module of the model, e\.g\. '.*language_model.*'"):
        prepare_parts(model, TrainableSettings(language_model="lora"), LoraSettings(targets="nothing"))


def test_a_stage_that_trains_nothing_is_refused(model: Any) -> None:
    with pytest.raises(UserError, match="nothing would learn"):
        prepare_parts(model, TrainableSettings(), LORA)


@pytest.mark.parametrize(
    ("stage", "trained"),
    [
        ("stage0_alignment", {"projector"}),
        ("stage1_image_sft", {"projector", "vision_tower", "language_model"}),
        ("stage2_hybrid_sft", {"projector", "vision_tower", "language_model"}),
        ("stage3_video_sft", {"projector", "vision_tower", "lora"}),
    ],
)
def test_the_paper_recipes_train_their_parts_of_the_model_of_published_size(stage: str, trained: set[str]) -> None:
    from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
    from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration

    recipe = load_settings(Recipe, RECIPES / f"{stage}.yaml")
    text = {"model_type": "qwen2", "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944}
    text |= {"num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4}
    config = VideoPathLlavaConfig(text_config=text, **recipe.visual.model_dump(exclude_none=True))
    assert config.layout.newline_position == "grid"
    with torch.device("meta"):
        model = prepare_parts(VideoPathLlavaForConditionalGeneration(config), recipe.trainable, recipe.lora)
    table = parameter_table(model)
    assert {part for part, row in table.items() if row["trainable"]} == trained
    assert all(row["trainable"] in (0, row["total"]) for row in table.values())
    # Qwen2.5-7B has 7,615,616,512 parameters; the newline is one vector more.
    assert table["language_model"]["total"] == 7_615_616_512 + 3584
    if stage == "stage3_video_sft":
        one_layer = 2 * (3584 + 3584) + 2 * (3584 + 512) + 3 * (3584 + 18944)
        assert table["lora"]["total"] == 28 * 128 * one_layer


def test_tied_weights_are_counted_once() -> None:
    tied = torch.nn.ModuleDict({"one": torch.nn.Linear(2, 2, bias=False), "two": torch.nn.Linear(2, 2, bias=False)})
    tied["two"].weight = tied["one"].weight
    assert parameter_table(tied) == {"language_model": {"trainable": 4, "total": 4}}


def test_a_base_in_bfloat16_trains_what_learns_in_float32_and_merges(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    from videopath_hf.training.stages import run_stage

    parts = {"projector": True, "vision_tower": False, "language_model": "lora"}
    held = run_stage(recipe(trainable=parts, lora={"base": "bfloat16", "dropout": 0.0}, out=tmp_path / "held"))
    whole = run_stage(recipe(trainable=parts, lora={"dropout": 0.0}, out=tmp_path / "whole"))
    assert held.last_loss == pytest.approx(whole.last_loss, rel=0.02)
    saved = load_file(held.out / "adapter" / "adapter_model.safetensors")
    assert {weight.dtype for weight in saved.values()} == {torch.float32}


def test_of_a_base_in_bfloat16_exactly_what_does_not_learn_is_held_in_it(tiny: Path) -> None:
    from videopath_hf.modeling.loading import load_model

    parts = TrainableSettings(projector=True, vision_tower=True, language_model="lora")
    model = prepare_parts(load_model(tiny)[0], parts, LoraSettings(r=4, base="bfloat16"))
    for name, parameter in model.named_parameters():
        assert parameter.dtype == (torch.float32 if parameter.requires_grad else torch.bfloat16), name
