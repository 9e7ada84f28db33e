"""The command under launchers: two processes train one model, and say so once."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from videopath_hf.errors import UserError
from videopath_hf.files import read_json
from videopath_hf.modeling.loading import load_model
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.stages import run_stage

ROOT = Path(__file__).parents[2]
LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"],
    "accelerate": ["accelerate.commands.launch", "--config_file", str(ROOT / "recipes/accelerate/cpu.yaml")],
}


def launch(launcher: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *LAUNCHERS[launcher], "-m", "videopath_hf", "train", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_processes_make_the_steps_of_the_global_batch_and_leave_one_merged_model(
    launcher: str, tiny: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = [
        *("recipes/tiny/stage3_video_sft.yaml", f"model={tiny}", f"data.path={data}", f"out={out}", "--json"),
        *("optimisation.max_steps=null", "optimisation.batch_size=1", "optimisation.global_batch=4"),
        *("evaluation.every=2", "evaluation.max_new_tokens=4", "evaluation.keep_best=true", "frames.num_frames=4"),
    ]
    done = launch(launcher, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert (result["steps"], result["samples"]) == (2, 6)  # six videos, four a step
    load_model(out / "merged")
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [1, 2]
    rounds = [json.loads(line) for line in (out / "evaluations.jsonl").read_text().splitlines()]
    assert [found["step"] for found in rounds] == [2] and len(rounds[0]["answers"]) == 2
    assert read_json(out / "run.json")["evaluation"]["rounds"] == 1
    assert (out / "training.html").is_file() and not (out / "checkpoints").exists()


def test_a_launch_of_more_samples_than_the_published_step_is_refused_before_anything_is_read(
    recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    plan = {"batch_size": 3, "global_batch": 32}
    with pytest.raises(UserError, match="batch_size 3 x accumulation 5 x 2 processes are 30 samples a step"):
        run_stage(recipe(optimisation=plan, data={"path": "absent"}))
    assert not (tmp_path / "out").exists()
