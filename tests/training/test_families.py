"""Towers and decoders of other families than the default ones go through a stage as those do."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import Dinov2Config, Dinov2Model, LlamaConfig, LlamaForCausalLM

from tests.training.synthetic import texts
from videopath_hf.files import read_json
from videopath_hf.modeling.assembly import assemble_model
from videopath_hf.modeling.loading import load_model
from videopath_hf.modeling.tiny import train_tokenizer
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.stages import run_stage


@pytest.fixture(scope="module")
def dinov2_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The patch tokens of the first layer of a random DINOv2 of two, before a random Llama."""
    root = tmp_path_factory.mktemp("families")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    Dinov2Model(Dinov2Config(image_size=56, patch_size=14, **sizes)).save_pretrained(root / "tower")
    tokenizer = train_tokenizer(texts())
    decoder = LlamaConfig(vocab_size=len(tokenizer), intermediate_size=64, num_key_value_heads=2, **sizes)
    LlamaForCausalLM(decoder).save_pretrained(root / "decoder")
    tokenizer.save_pretrained(root / "decoder")
    return assemble_model(
        root / "tower",
        root / "decoder",
        root / "model",
        seed=0,
        vision_feature_layer=1,
        vision_feature_select_strategy="default",
        vision_aspect_ratio="square",
    )


@pytest.mark.parametrize("frozen", [False, True], ids=["tower learns", "features kept"])
def test_a_dinov2_before_a_llama_trains_and_is_merged(
    frozen: bool, dinov2_llama: Path, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    chosen = recipe(
        model=str(dinov2_llama),
        trainable={"vision_tower": not frozen},
        cache_features=tmp_path / "features" if frozen else None,
        optimisation={"max_steps": 3},
    )
    result = run_stage(chosen)
    losses = [json.loads(line)["loss"] for line in (result.out / "log.jsonl").read_text().splitlines()]
    assert len(losses) == 3 and losses[-1] < losses[0]
    table = read_json(result.out / "run.json")["parameters"]
    assert (table["vision_tower"]["trainable"] > 0) is not frozen
    before, after = (load_model(folder)[0].model for folder in (dinov2_llama, result.model))
    for part, learns in (("vision_tower", not frozen), ("multi_modal_projector", True), ("language_model", True)):
        pairs = zip(getattr(before, part).parameters(), getattr(after, part).parameters(), strict=True)
        assert any(not torch.equal(a, b) for a, b in pairs) is learns, part
