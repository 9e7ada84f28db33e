"""The recipes that ship: each loads, is planned, and runs at its true size on the meta device."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.training.true_size import dry_run
from videopath_hf.errors import MissingExtraError, UserError
from videopath_hf.settings import load_settings
from videopath_hf.training.parts import part_of
from videopath_hf.training.plan import PlanOptions, plan_stage
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.shapes import build_on_meta, published_config

RECIPES = Path(__file__).parents[2] / "recipes"
PAPER = ("stage0_alignment", "stage1_image_sft", "stage2_hybrid_sft", "stage3_video_sft")
OTHERS = ("stage3_video_lora_1gpu", "stage3_video_qlora")
ABLATIONS = ("ablations/stage3_from_stage1", "ablations/stage3_full", "ablations/stage3_half_data")
FULL_SIZE = (*PAPER, *OTHERS, *ABLATIONS)
# By hand, from the shapes of SigLIP so400m (26 layers of width 1,152) and of Qwen2.5-7B (28 of 3,584).
TOWER = (3 * 14**2 + 1 + 27**2) * 1152 + 26 * (4 * 1152 * 1153 + 1152 * 4304 * 2 + 4304 + 1152 + 4 * 1152) + 2 * 1152
PROJECTOR = 1153 * 3584 + 3585 * 3584
BLOCK = 3584 * 3584 * 2 + 3584 + 2 * (3584 + 1) * 512 + 3 * 3584 * 18944 + 2 * 3584
LANGUAGE_MODEL = 28 * BLOCK + 3584 + 2 * 152064 * 3584 + 3584  # and the image newline
RANK_ONE = 28 * (2 * (3584 + 3584) + 2 * (3584 + 512) + 3 * (3584 + 18944))
ALL = {"vision_tower": TOWER, "projector": PROJECTOR, "language_model": LANGUAGE_MODEL}
LEARNS = {
    "stage0_alignment": {"projector": PROJECTOR},
    "stage1_image_sft": ALL,
    "stage2_hybrid_sft": ALL,
    "stage3_video_sft": {"vision_tower": TOWER, "projector": PROJECTOR, "lora": 128 * RANK_ONE},
    "stage3_video_lora_1gpu": {"projector": PROJECTOR, "lora": 32 * RANK_ONE},
    "stage3_video_qlora": {"projector": PROJECTOR, "lora": 32 * RANK_ONE},
    "ablations/stage3_full": ALL,
}
# The tower's last norm is saved but never used: the published model takes the features before it.
UNUSED = "vision_tower.post_layernorm", "vision_tower.modules_to_save.default.post_layernorm"


def load(name: str, *overrides: str) -> Recipe:
    return load_settings(Recipe, RECIPES / f"{name}.yaml", overrides)


def shipped() -> list[Path]:
    return sorted(path for path in RECIPES.rglob("*.yaml") if path.stem.startswith("stage"))


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.relative_to(RECIPES).as_posix())
def test_every_shipped_recipe_loads_and_opens_with_the_commands_that_launch_and_change_it(path: Path) -> None:
    recipe = load_settings(Recipe, path)
    assert path.stem == f"stage{recipe.stage}_{recipe.name}"
    lines = path.read_text().splitlines()
    commands = [line for line in lines if line.startswith("#   videopath train ")]
    assert len(commands) == 2
    for command in commands:
        named, *overrides = command.removeprefix("#   videopath train ").split()
        assert RECIPES.parent / named == path
        changed = load_settings(Recipe, path, overrides)
        assert changed.places()
    assert changed.settings_hash() != recipe.settings_hash()
    for command in (line for line in lines if line.startswith("#   accelerate launch ")):
        config = re.search(r"--config_file (\S+) -m videopath_hf train (\S+) ", command)
        assert config is not None and (RECIPES.parent / config[1]).is_file() and RECIPES.parent / config[2] == path


def test_every_recipe_of_full_size_is_among_those_tried() -> None:
    assert {path.relative_to(RECIPES).with_suffix("").as_posix() for path in shipped()} == {
        *FULL_SIZE,
        *(f"{folder}/{name}" for folder in ("tiny", "tiny/tissue") for name in PAPER),
    }


@pytest.mark.parametrize("name", FULL_SIZE)
def test_a_recipe_runs_forward_and_back_at_its_true_size_and_exactly_its_parts_get_gradients(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load(name)
    model = build_on_meta(recipe, published_config())
    for kind in recipe.data.kinds:
        dry_run(model, recipe, kind, monkeypatch)
    learns: dict[str, int] = {}
    for parameter_name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = part_of(parameter_name)
            learns[part] = learns.get(part, 0) + parameter.numel()
        unused = any(f".{module}." in parameter_name for module in UNUSED)
        assert (parameter.grad is not None) == (parameter.requires_grad and not unused), parameter_name
    assert learns == LEARNS.get(name, LEARNS["stage3_video_sft"])


@pytest.mark.parametrize("name", FULL_SIZE)
def test_a_recipe_is_planned_from_a_number_of_records_alone(name: str) -> None:
    recipe = load(name)
    plan = plan_stage(recipe, PlanOptions(gpus=8, samples={recipe.data.kinds[-1]: 10_000}))
    batch = recipe.optimisation.global_batch
    epochs, records = recipe.optimisation.epochs, 10_000 * recipe.data.fraction
    assert batch is not None and plan.global_batch == batch
    assert abs(plan.steps - epochs * records / batch) <= epochs
    assert {part: row["trainable"] for part, row in plan.parameters.items() if row["trainable"]} == LEARNS.get(
        name, LEARNS["stage3_video_sft"]
    )
    assert plan.fits and plan.hours > 0


def test_the_recipes_for_one_gpu_fit_where_they_say_and_the_published_one_does_not() -> None:
    def fits(name: str, gpu: str) -> bool:
        return plan_stage(load(name), PlanOptions(gpu=gpu, samples={"video": 500})).fits

    assert fits("stage3_video_lora_1gpu", "rtx4090-24gb")
    assert fits("stage3_video_qlora", "rtx4080-16gb")
    assert not fits("stage3_video_lora_1gpu", "rtx4080-16gb")
    assert not fits("stage3_video_sft", "rtx4090-24gb")


@pytest.mark.parametrize("name", FULL_SIZE)
def test_videos_have_newlines_as_published_in_the_four_paper_recipes_only(name: str) -> None:
    assert load(name).visual.video_newline_position == ("grid" if name in PAPER else "one_token")


@pytest.mark.parametrize("name", FULL_SIZE)
def test_what_recipes_train_converts_for_stock_transformers_but_for_the_four_of_the_paper(name: str) -> None:
    from videopath_hf.modeling.checks_videopath_llava import CheckpointError
    from videopath_hf.modeling.stock_settings import stock_config

    config = build_on_meta(load(name), published_config()).config
    if name in PAPER:
        with pytest.raises(CheckpointError, match="grid"):
            stock_config(name, config)
    else:
        assert stock_config(name, config).model_type == "llava_onevision"


def test_the_aspect_ratio_that_converts_makes_the_same_tokens_as_the_published_one() -> None:
    from videopath_hf.modeling.packing_videopath_llava import num_image_tokens, num_tiles

    one, other = (
        build_on_meta(load("stage3_video_lora_1gpu", f"visual.image_aspect_ratio={ratio}"), published_config())
        for ratio in ("anyres", "anyres_max_9")
    )
    for size in ((768, 1024), (3000, 500), (500, 3000), (384, 384), (2000, 2000), (748, 792)):
        tokens = [num_image_tokens(size, num_tiles(size, m.config.layout), m.config.layout) for m in (one, other)]
        assert tokens[0] == tokens[1]


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_one_thing_of_the_published_stage_3(name: str) -> None:
    exported = ("visual.video_newline_position=one_token", "visual.image_aspect_ratio=anyres_max_9")
    published = load("stage3_video_sft", *exported).model_dump()
    ablation = load(name).model_dump()
    differing = {key for key in published if published[key] != ablation[key]} - {"name"}
    changed = {"from_stage1": set(), "full": {"trainable"}, "half_data": {"data"}}[ablation["name"]]
    assert differing == changed


@pytest.mark.parametrize(
    ("processes", "batch_size", "passes"), [(8, 2, 2), (1, 2, 16), (2, 4, 4), (32, 1, 1), (16, 2, 1)]
)
def test_a_step_has_as_many_samples_on_any_number_of_processes(processes: int, batch_size: int, passes: int) -> None:
    recipe = load("stage3_video_sft", f"optimisation.batch_size={batch_size}")
    assert recipe.optimisation.passes(processes) == passes


@pytest.mark.parametrize(
    ("processes", "change", "message"),
    [
        (
            8,
            "optimisation.batch_size=3",
            r"batch_size 3 x accumulation 1 x 8 processes are 24 samples a step, .*is 32",
        ),
        (8, "optimisation.accumulation=1", r"2 x accumulation 1 x 8 .*say optimisation\.global_batch=16"),
        (64, "optimisation.batch_size=1", r"1 x accumulation 1 x 64 processes are 64 samples a step"),
    ],
)
def test_a_batch_other_than_the_published_one_is_refused_and_named(processes: int, change: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load("stage3_video_sft", change).optimisation.passes(processes)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["lora.base=4bit"], r"lora\.base = '4bit' needs `bitsandbytes`.*pip install 'videopath-hf\[qlora\]'"),
        (["report_to=trackio"], r"report_to: trackio needs `trackio`.*'videopath-hf\[trackio\]'"),
        (["report_to=[tensorboard, wandb]"], r"report_to: tensorboard needs `tensorboard`"),
    ],
)
def test_a_package_that_a_recipe_needs_is_asked_for_before_anything_is_done(
    overrides: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videopath_hf.training.stages import run_stage

    monkeypatch.setattr("videopath_hf.training.extras.find_spec", lambda _: None)
    recipe = load("stage3_video_sft", "model=absent", "data.path=absent", f"out={tmp_path / 'out'}", *overrides)
    with pytest.raises(MissingExtraError, match=message):
        run_stage(recipe)
    assert not any(tmp_path.iterdir())


def test_a_base_of_few_bits_is_for_adapters_only() -> None:
    with pytest.raises(UserError, match=r"lora\.base = 'bfloat16' is for adapters on a frozen language model"):
        load("stage1_image_sft", "lora.base=bfloat16")


@pytest.mark.parametrize("path", sorted((RECIPES / "accelerate").glob("*.yaml")), ids=lambda path: path.stem)
def test_launcher_files_are_read_by_accelerate_and_know_all_their_keys(path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    config = load_config_from_file(str(path))  # refuses keys at the top that it does not know
    known = {action.dest for action in launch_command_parser()._actions}
    nested: dict[str, Any] = {**config.fsdp_config, **config.deepspeed_config}
    assert {key for key in nested if key not in known} == set()
    assert f"--config_file recipes/accelerate/{path.name}" in path.read_text()
    assert config.num_processes == {"one_gpu": 1, "cpu": 2, "two_nodes": 16}.get(path.stem, 8)
    if config.fsdp_config:
        from accelerate.utils import FullyShardedDataParallelPlugin

        assert config.fsdp_config["fsdp_version"] == 2
        classes = config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"].split(",")
        kinds = {type(module).__name__ for module in build_on_meta(load(PAPER[1]), published_config()).modules()}
        assert set(classes) <= kinds
        assert FullyShardedDataParallelPlugin(fsdp_version=2, reshard_after_forward=True)


def test_the_deepspeed_part_is_zero_3_and_leaves_the_batch_to_the_recipe() -> None:
    named = RECIPES.parent / "recipes/accelerate/zero3.json"
    assert named.relative_to(RECIPES.parent).as_posix() in (RECIPES / "accelerate/zero3_8gpu.yaml").read_text()
    config = json.loads(named.read_text())
    assert config["zero_optimization"]["stage"] == 3
    assert config["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] is True
    assert {config[key] for key in ("train_batch_size", "gradient_accumulation_steps", "gradient_clipping")} == {
        "auto"
    }
