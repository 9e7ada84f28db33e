"""The plan: the authors' logged steps, the trainer's own arithmetic, memory as measured, mistakes in one sentence."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from videopath_hf.cli.main import app
from videopath_hf.errors import UserError
from videopath_hf.settings import load_settings
from videopath_hf.training.batches import ModalityBatches
from videopath_hf.training.plan import PlanOptions, count_steps, plan_stage
from videopath_hf.training.recipe import Recipe

RECIPES = Path(__file__).parents[2] / "recipes"


def load(name: str, *overrides: str) -> Recipe:
    return load_settings(Recipe, RECIPES / f"{name}.yaml", overrides)


@pytest.mark.parametrize(
    ("name", "samples", "logged"),
    [
        ("stage0_alignment", {"caption": 949_575}, 29_675),
        ("stage1_image_sft", {"image": 140_363}, 17_545),
        ("stage2_hybrid_sft", {"clip": 139_941}, 4_373),
    ],
)
def test_the_steps_are_those_of_the_authors_logs(name: str, samples: dict[str, int], logged: int) -> None:
    assert count_steps(load(name), samples, processes=8) == logged


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("counts", [{"image": 25, "clip": 31}, {"clip": 7}, {"image": 12, "clip": 3, "video": 4}])
def test_steps_are_counted_as_the_batches_of_training_are_made(
    counts: dict[str, int], processes: int, drop_last: bool
) -> None:
    settings = {"learning_rate": 1, "batch_size": 2, "accumulation": 2, "drop_last": drop_last, "epochs": 2}
    recipe = Recipe.model_validate(
        {"stage": 2, "name": "x", "data": {"kinds": list(counts)}, "trainable": {}, "optimisation": settings}
    )
    modalities = ["image" if kind == "image" else "video" for kind, count in counts.items() for _ in range(count)]
    batches = ModalityBatches(modalities, 2, seed=0, drop_last=drop_last, world_size=processes)
    passes = len(list(batches)) // processes
    assert count_steps(recipe, counts, processes) == 2 * max(1, -(-passes // 2))


def test_a_run_takes_the_steps_and_tokens_that_were_planned(recipe: Callable[..., Recipe]) -> None:
    from videopath_hf.files import read_json
    from videopath_hf.training.stages import run_stage

    chosen = recipe(
        data={"kinds": ["clip", "image"]},
        trainable={"projector": True, "language_model": "none", "vision_tower": False},
        optimisation={"max_steps": None, "epochs": 1, "batch_size": 4, "accumulation": 2},
        visual={"image_aspect_ratio": "square"},
    )
    plan = plan_stage(chosen)
    result = run_stage(chosen)
    run = read_json(result.out / "run.json")
    assert plan.steps == result.steps
    assert {part: row["trainable"] for part, row in plan.parameters.items()} == {
        part: row["trainable"] for part, row in run["parameters"].items()
    }
    assert {kind: row.samples for kind, row in plan.kinds.items()} == {"clip": 6, "image": 12}
    # The tiny model's own tokenizer makes fewer tokens of these few sentences than English takes.
    assert run["tokens"]["total"] / 2 < plan.tokens < run["tokens"]["total"] * 2
    assert plan.kinds["image"].visual_tokens == 7 * 7 + 1 and plan.kinds["clip"].visual_tokens == 4 * 16 + 1


def test_planning_opens_no_medium_and_no_weights(
    recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr("videopath_hf.video.sampling.sample_video", fail)
    monkeypatch.setattr("PIL.Image.open", fail)
    monkeypatch.setattr("safetensors.safe_open", fail)
    assert plan_stage(recipe()).kinds["video"].samples == 6


def test_frames_of_short_clips_are_counted_by_their_seconds(recipe: Callable[..., Recipe]) -> None:
    frames = {"num_frames": 32, "strategy": "fps", "video_fps": 2.0}
    assert plan_stage(recipe(frames=frames)).kinds["video"].tiles == 8  # of 4 seconds each
    assert plan_stage(recipe(frames={"num_frames": 32})).kinds["video"].tiles == 32


def test_sharding_divides_weights_and_replicas_do_not() -> None:
    recipe = load("stage1_image_sft")
    samples = {"image": 1000}
    one, eight = (plan_stage(recipe, PlanOptions(gpus=gpus, samples=samples)).memory for gpus in (1, 8))
    replica = plan_stage(recipe, PlanOptions(gpus=8, samples=samples, sharded=False)).memory
    for name in ("weights", "gradients", "optimizer"):
        assert eight[name] == pytest.approx(one[name] / 8, rel=0.01)
        assert replica[name] == one[name]
    # 8,030,348,832 weights, in float32 each with a gradient and AdamW's two moments.
    assert one["weights"] == pytest.approx(8_030_348_832 * 4 / 2**30, abs=0.01)
    assert one["optimizer"] == pytest.approx(8_030_348_832 * 8 / 2**30, abs=0.01)


def test_weights_of_a_frozen_base_are_counted_in_the_type_they_are_held_in() -> None:
    held = {
        base: plan_stage(
            load("stage3_video_lora_1gpu", f"lora.base={base}"), PlanOptions(samples={"video": 9})
        ).memory["weights"]
        for base in ("float32", "bfloat16", "8bit", "4bit")
    }
    assert held["float32"] == pytest.approx(2 * held["bfloat16"], rel=0.02)
    linears = 28 * (2 * 3584 * 3584 + 2 * 3584 * 512 + 3 * 3584 * 18944) / 2**30
    assert held["bfloat16"] - held["8bit"] == pytest.approx(linears, rel=0.01)
    assert held["bfloat16"] - held["4bit"] == pytest.approx(linears * (2 - 0.5625), rel=0.01)


def test_operations_of_a_training_step_are_those_that_torch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    from tests.training.true_size import IMAGE, TEXT, dry_run
    from videopath_hf.modeling.packing_videopath_llava import num_image_tokens, num_tiles
    from videopath_hf.training.plan import KindPlan, sample_flops
    from videopath_hf.training.shapes import build_on_meta, count_parts, published_config

    chosen = load("stage1_image_sft", "optimisation.gradient_checkpointing=false")
    model = build_on_meta(chosen, published_config("qwen2.5-0.5b"))
    parts, layout = count_parts(model), model.config.layout
    with FlopCounterMode(display=False) as counter, pytest.MonkeyPatch.context() as patch:
        dry_run(model, chosen, "image", patch)
    tiles = num_tiles(IMAGE, layout)
    visual = num_image_tokens(IMAGE, tiles, layout)
    kind = KindPlan(samples=1, tiles=tiles, visual_tokens=visual, tokens=visual + TEXT)
    assert sample_flops(chosen, model.config, parts, kind) == pytest.approx(counter.get_total_flops(), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["full", "adapters"])
def test_memory_is_estimated_within_a_quarter_of_what_training_takes(case: str, tmp_path: Path) -> None:
    # The heap keeps small blocks after they are freed, which is the allocator's memory and not the training's.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "100000"}
    command = [sys.executable, "-m", "tests.training.measure_memory", case, str(tmp_path)]
    done = subprocess.run(command, env=environment, cwd=RECIPES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["measured"] > 100 * 2**20
    assert 0.8 <= seen["estimated"] / seen["measured"] <= 1.25, seen


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samples", "video=5", "--gpu", "abacus"], "gpu is 'abacus'; known are b200-180gb"),
        ([], "does not say data.path: add data.path=DATA, or say how many records there are with --samples"),
        (["--samples", "video"], "--samples 'video' is not of the form kind=number"),
        (["--samples", "image=5"], "has no records of kind image; its kinds are video"),
        (["--samples", "video=5", "--image-size", "big"], "--image-size 'big' is not of the form WIDTHxHEIGHT"),
        (["--samples", "video=5", "--language-model", "gpt"], "language model is 'gpt'; accepted are qwen2.5-7b"),
        (["--samples", "video=5", "--utilisation", "2"], "utilisation = 2"),
        (["--samples", "video=5", "--gpus", "5"], "batch_size 2 x accumulation 3 x 5 processes are 30 samples"),
    ],
)
def test_a_mistake_ends_in_one_sentence(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["plan", str(RECIPES / "stage3_video_sft.yaml"), *arguments])
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception) and "\n" not in str(done.exception)


def test_the_command_prints_what_it_found_for_people_and_for_programs() -> None:
    command = ["plan", str(RECIPES / "stage1_image_sft.yaml"), "--samples", "image=140363", "--gpus", "8"]
    shown = CliRunner().invoke(app, command).stdout
    assert "steps: 17,545 of 8 samples" in shown and "8,030,348,832 learn of 8,030,348,832" in shown
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert found["steps"] == 17_545 and found["fits"] is True and len(found["assumptions"]) == 4
