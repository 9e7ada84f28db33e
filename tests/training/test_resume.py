"""Killed at any moment and started again, a run ends as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from videopath_hf.files import read_json
from videopath_hf.training import results, stages
from videopath_hf.training.metering import SPEEDS
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.stages import run_stage

STEPS = 9
# Each run is a process of its own, which kills itself at a named moment: nothing can be flushed or finished after
# SIGKILL. They are forked from one that has imported everything, trained nothing and started no thread.
SCRIPT = """
import json, os, signal, sys
import torch
torch.set_num_threads(1)
from videopath_hf.training import build, callbacks, checkpoints, features, merge, results, stages
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.stages import run_stage

def deadly(function, strikes):
    def wrapped(*arguments, **options):
        if strikes(*arguments):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return wrapped

def arm(moment, step):
    if moment == "step":
        log = callbacks.StepLog
        log.on_step_begin = deadly(log.on_step_begin, lambda self, args, state, *rest: state.global_step == step)
    elif moment == "checkpoint":
        checkpoints.seal = deadly(checkpoints.seal, lambda folder, done: done == step)
    elif moment == "end":
        results.save_result = deadly(results.save_result, lambda *arguments: True)

for line in sys.stdin:
    recipe, moment, step = json.loads(line)
    child = os.fork()
    if child == 0:
        arm(moment, step)
        result = stages.run_stage(Recipe.model_validate(recipe))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
FULL = {"projector": True, "vision_tower": True, "language_model": "full"}
# Before any checkpoint, between two, while one is written, and after the last step.
KILLS = {"hybrid": [("step", 1), ("step", 5), ("checkpoint", 6), ("end", 0)], "adapters": [("step", 5), ("end", 0)]}
STAGES: dict[str, dict[str, Any]] = {
    "hybrid": {"data": {"kinds": ["image", "clip"]}, "trainable": FULL, "optimisation": {"accumulation": 2}},
    "adapters": {"lora": {"dropout": 0.3}},
}


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[..., int]]:
    """Runs a recipe in a process of its own, up to a moment; gives the process's exit code."""
    command = [sys.executable, "-c", SCRIPT]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True, env=environment) as parent:
        assert parent.stdin is not None and parent.stdout is not None

        def go(recipe: Recipe, moment: str = "never", step: int = 0) -> int:
            parent.stdin.write(json.dumps([recipe.model_dump(mode="json"), moment, step]) + "\n")  # type: ignore[union-attr]
            parent.stdin.flush()  # type: ignore[union-attr]
            return int(parent.stdout.readline())  # type: ignore[union-attr]

        yield go
        parent.stdin.close()


def outcome(out: Path) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor], dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    log = [{key: value for key, value in line.items() if key not in SPEEDS} for line in lines]
    weights = load_file((out / "merged" if (out / "merged").exists() else out) / "model.safetensors")
    told = read_json(out / "run.json")
    return log, weights, {key: told[key] for key in ("steps", "samples", "dropped", "loss", "tokens", "parameters")}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_run_killed_again_and_again_ends_with_the_losses_and_weights_of_one_that_was_not(
    stage: str, run: Callable[..., int], recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    plan = {"max_steps": STEPS, "save_steps": 2, **STAGES[stage].get("optimisation", {})}
    changes = {**STAGES[stage], "optimisation": plan}
    assert run(recipe(**changes, out=tmp_path / "whole")) == 0
    torn = recipe(**changes, out=tmp_path / "torn")
    for moment, step in KILLS[stage]:
        assert run(torn, moment, step) == -signal.SIGKILL
        assert not (tmp_path / "torn" / "run.json").exists()
    assert run(torn) == 0
    assert read_json(tmp_path / "torn" / "run.json")["resumed_step"] == STEPS
    log, weights, told = outcome(tmp_path / "torn")
    expected_log, expected_weights, expected_told = outcome(tmp_path / "whole")
    assert [line["step"] for line in log] == list(range(1, STEPS + 1))
    assert log == expected_log
    assert told == expected_told
    assert all(torch.equal(weights[name], value) for name, value in expected_weights.items())


def test_a_sharded_run_killed_at_its_end_does_its_last_steps_again(
    recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = {"trainable": FULL, "optimisation": {"max_steps": 5, "save_steps": 2}}
    run_stage(recipe(**plan, out=tmp_path / "whole"))
    torn = recipe(**plan, out=tmp_path / "torn")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(results, "save_result", killed)
        with pytest.raises(KeyboardInterrupt):
            run_stage(torn)
    monkeypatch.setattr(stages, "is_sharded", lambda: True)
    assert run_stage(torn).resumed_step == 4
    for found, expected in zip(outcome(tmp_path / "torn")[:2], outcome(tmp_path / "whole")[:2], strict=True):
        assert str(found) == str(expected)
