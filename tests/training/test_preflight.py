"""What is said before the first step is what the first step finds."""

from collections.abc import Callable

import pytest

from videopath_hf.files import read_json
from videopath_hf.training.preflight import length_histogram
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.stages import run_stage


def test_every_sample_is_in_the_histogram_once() -> None:
    bins = length_histogram([1, 5, 99, 100, 640], budget=32768)
    assert [(bin_.low, bin_.high) for bin_ in bins[:2]] == [(0, 80), (80, 160)]
    assert [bin_.samples for bin_ in bins] == [2, 2, 0, 0, 0, 0, 0, 1]
    assert length_histogram([900, 20], budget=1000)[-1] == (875, 1000, 1)


def test_before_the_first_step_it_is_said_what_learns_how_long_samples_are_and_what_memory_it_takes(
    recipe: Callable[..., Recipe], capfd: pytest.CaptureFixture[str]
) -> None:
    result = run_stage(recipe(max_length=300))
    said = capfd.readouterr().err
    run = read_json(result.out / "run.json")
    language_model = run["parameters"]["language_model"]["total"]
    assert f"language_model  frozen, {language_model:,} parameters" in said
    assert "tokens a sample (budget 300)" in said and "memory of a step, estimated: " in said
    assert sum(bin_["samples"] for bin_ in run["histogram"]) == result.samples
    assert run["memory"]["total"] > run["memory"]["weights"] > 0
