"""Killed at any moment and started again, a run ends as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from videopath_hf.files import read_json
from videopath_hf.training.metering import SPEEDS
from videopath_hf.training.recipe import Recipe

STEPS = 9
# The process kills itself at a named moment: nothing can be flushed, finished or cleaned up after SIGKILL.
SCRIPT = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from videopath_hf.training import callbacks, checkpoints, stages, trainer
from videopath_hf.training.recipe import Recipe

moment, step = sys.argv[1], int(sys.argv[2])

def deadly(function, strikes):
    def wrapped(*arguments, **options):
        if strikes(*arguments):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return wrapped

if moment == "step":
    log = callbacks.StepLog
    log.on_step_begin = deadly(log.on_step_begin, lambda self, args, state, *rest: state.global_step == step)
elif moment == "checkpoint":
    checkpoints.seal = deadly(checkpoints.seal, lambda folder, done: done == step)
elif moment == "end":
    stages._save = deadly(stages._save, lambda *arguments: True)
print(stages.run_stage(Recipe.model_validate_json(sys.stdin.read())).model_dump_json())
"""
FULL = {"projector": True, "vision_tower": True, "language_model": "full"}
# Before any checkpoint, between two, while one is written, and after the last step.
KILLS = {"hybrid": [("step", 1), ("step", 5), ("checkpoint", 6), ("end", 0)], "adapters": [("step", 5), ("end", 0)]}
STAGES: dict[str, dict[str, Any]] = {
    "hybrid": {"data": {"kinds": ["image", "clip"]}, "trainable": FULL, "optimisation": {"accumulation": 2}},
    "adapters": {"lora": {"dropout": 0.3}},
}


def run(recipe: Recipe, moment: str = "never", step: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, moment, str(step)]
    text = recipe.model_dump_json()
    return subprocess.run(command, input=text, capture_output=True, text=True, env=environment, check=False)


def outcome(out: Path) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor], dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    log = [{key: value for key, value in line.items() if key not in SPEEDS} for line in lines]
    weights = load_file((out / "merged" if (out / "merged").exists() else out) / "model.safetensors")
    told = read_json(out / "run.json")
    return log, weights, {key: told[key] for key in ("steps", "samples", "dropped", "loss", "tokens", "parameters")}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_run_killed_again_and_again_ends_with_the_losses_and_weights_of_one_that_was_not(
    stage: str, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    plan = {"max_steps": STEPS, "save_steps": 2, **STAGES[stage].get("optimisation", {})}
    changes = {**STAGES[stage], "optimisation": plan}
    whole = run(recipe(**changes, out=tmp_path / "whole"))
    assert whole.returncode == 0, whole.stderr
    torn = recipe(**changes, out=tmp_path / "torn")
    for moment, step in KILLS[stage]:
        assert run(torn, moment, step).returncode == -signal.SIGKILL
        assert not (tmp_path / "torn" / "run.json").exists()
    last = run(torn)
    assert last.returncode == 0, last.stderr
    assert json.loads(last.stdout)["resumed_step"] == STEPS
    log, weights, told = outcome(tmp_path / "torn")
    expected_log, expected_weights, expected_told = outcome(tmp_path / "whole")
    assert [line["step"] for line in log] == list(range(1, STEPS + 1))
    assert log == expected_log
    assert told == expected_told
    assert all(torch.equal(weights[name], value) for name, value in expected_weights.items())
