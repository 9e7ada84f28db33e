"""What is said before the first step is what the first step finds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from videopath_hf.data.folder import read_instructions
from videopath_hf.files import read_json
from videopath_hf.modeling.loading import load_model
from videopath_hf.training.collator import VideoPathCollator
from videopath_hf.training.memory import estimate_memory
from videopath_hf.training.parts import parameter_table, prepare_parts
from videopath_hf.training.preflight import length_histogram
from videopath_hf.training.recipe import LoraSettings, Recipe, TrainableSettings
from videopath_hf.training.stages import run_stage

PARTS = {
    "projector": TrainableSettings(projector=True),
    "all": TrainableSettings(projector=True, vision_tower=True, language_model="full"),
    "adapters": TrainableSettings(projector=True, vision_tower=True, language_model="lora"),
}


def kept_bytes(model: Any, inputs: dict[str, Any]) -> int:
    """What the forward pass keeps for the backward pass, each storage counted once, weights left out."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in weights:
            kept[place] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = model(**inputs)
    assert outputs is not None
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("kind", ["image", "video"])
@pytest.mark.parametrize("learns", PARTS)
def test_the_memory_of_activations_is_estimated_within_a_quarter(
    learns: str, kind: str, tiny: Path, data: Path
) -> None:
    model, processor = load_model(tiny)
    config = model.config
    whole = prepare_parts(model, PARTS[learns], LoraSettings(r=4, alpha=8)).train()
    inputs = VideoPathCollator(processor, data, num_frames=8).collate(read_instructions(data, [kind], "train")[:2])
    inputs = {key: value for key, value in inputs.items() if key not in ("sample_ids", "labels")}
    body = (whole.get_base_model() if learns == "adapters" else whole).model
    measured = kept_bytes(body, {**inputs, "use_cache": False})
    counts = inputs["image_num_tiles" if kind == "image" else "video_num_frames"]
    sizes = {"tokens": inputs["input_ids"].numel(), "tiles": int(counts.sum())}
    estimate = estimate_memory(parameter_table(whole), config, **sizes)
    assert 0.8 < estimate.activations / measured < 1.25
    recomputed = estimate_memory(parameter_table(whole), config, **sizes, gradient_checkpointing=True)
    assert recomputed.activations < 0.6 * estimate.activations


def test_weights_gradients_and_moments_are_counted_and_spread_over_shards(tiny: Path) -> None:
    model, _ = load_model(tiny)
    table = parameter_table(prepare_parts(model, PARTS["all"], LoraSettings()))
    count = sum(parameter.numel() for parameter in model.parameters())
    one = estimate_memory(table, model.config, tokens=100, tiles=2)
    assert one[:3] == (4 * count, 4 * count, 8 * count)
    assert one.total == sum(one)
    eight = estimate_memory(table, model.config, tokens=100, tiles=2, bf16=True, shards=8)
    assert eight[:3] == (6 * count // 8, 4 * count // 8, 8 * count // 8)
    assert eight.activations == one.activations // 2


def test_every_sample_is_in_the_histogram_once() -> None:
    bins = length_histogram([1, 5, 99, 100, 640], budget=32768)
    assert [(bin_.low, bin_.high) for bin_ in bins[:2]] == [(0, 80), (80, 160)]
    assert [bin_.samples for bin_ in bins] == [2, 2, 0, 0, 0, 0, 0, 1]
    assert length_histogram([900, 20], budget=1000)[-1] == (875, 1000, 1)


def test_before_the_first_step_it_is_said_what_learns_how_long_samples_are_and_what_memory_it_takes(
    recipe: Callable[..., Recipe], capfd: pytest.CaptureFixture[str]
) -> None:
    result = run_stage(recipe(max_length=300, optimisation={"max_steps": 1}))
    said = capfd.readouterr().err
    run = read_json(result.out / "run.json")
    language_model = run["parameters"]["language_model"]["total"]
    assert f"language_model  frozen, {language_model:,} parameters" in said
    assert "tokens a sample (budget 300)" in said and "memory of a step, estimated: " in said
    assert sum(bin_["samples"] for bin_ in run["histogram"]) == result.samples
    assert run["memory"]["total"] > run["memory"]["weights"] > 0
