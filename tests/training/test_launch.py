"""The command under launchers: two processes train one model, and say so once."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from videopath_hf.errors import UserError
from videopath_hf.files import read_json
from videopath_hf.modeling.loading import load_model
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.stages import run_stage

ROOT = Path(__file__).parents[2]


def command(launcher: str, folder: Path) -> list[str]:
    """What starts two processes on the CPU: torchrun, or accelerate with a shipped file of eight GPUs cut down."""
    if launcher == "torchrun":
        return ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    file = folder / f"{launcher}.yaml"
    shipped = (ROOT / f"recipes/accelerate/{launcher}_8gpu.yaml").read_text()
    for eight, two in (("num_processes: 8", "num_processes: 2"), ("use_cpu: false", "use_cpu: true")):
        assert eight in shipped
        shipped = shipped.replace(eight, two)
    file.write_text(shipped.replace("mixed_precision: bf16", 'mixed_precision: "no"'))
    return ["accelerate.commands.launch", "--config_file", str(file)]


def launch(launcher: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", *command(launcher, folder), "-m", "videopath_hf", "train", *arguments]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "DS_ACCELERATOR": "cpu",
    }
    return subprocess.run(words, capture_output=True, text=True, env=environment, cwd=ROOT, check=False, timeout=500)


@pytest.fixture(scope="module")
def train(tiny: Path, data: Path) -> Callable[..., list[str]]:
    def arguments(out: Path) -> list[str]:
        return [
            *("recipes/tiny/stage3_video_sft.yaml", f"model={tiny}", f"data.path={data}", f"out={out}", "--json"),
            *("optimisation.max_steps=null", "optimisation.batch_size=1", "optimisation.global_batch=4"),
            *("evaluation.every=2", "evaluation.max_new_tokens=4", "evaluation.keep_best=true"),
            *("frames.num_frames=4", "lora.dropout=0"),
        ]

    return arguments


@pytest.fixture(scope="module")
def replicated(
    train: Callable[..., list[str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """What torchrun has left behind and printed."""
    folder = tmp_path_factory.mktemp("torchrun")
    return folder / "out", launched("torchrun", folder, train)


def launched(launcher: str, folder: Path, train: Callable[..., list[str]]) -> dict[str, Any]:
    done = launch(launcher, folder, *train(folder / "out"))
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])  # DeepSpeed says what it builds
    return found


def log_of(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def check_outcome(out: Path, result: dict[str, Any]) -> None:
    assert (result["steps"], result["samples"]) == (2, 6)  # six videos, four a step
    load_model(out / "merged")
    assert [line["step"] for line in log_of(out)] == [1, 2]
    rounds = [json.loads(line) for line in (out / "evaluations.jsonl").read_text().splitlines()]
    assert [found["step"] for found in rounds] == [2]
    assert [len(said["answer"]) > 0 for said in rounds[0]["answers"]] == [True, True]
    assert read_json(out / "run.json")["evaluation"]["rounds"] == 1
    assert (out / "training.html").is_file() and not (out / "checkpoints").exists()


@pytest.mark.slow
def test_two_processes_make_the_steps_of_the_global_batch_and_leave_one_merged_model(
    replicated: tuple[Path, dict[str, Any]],
) -> None:
    check_outcome(*replicated)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["fsdp2", "zero3"])
def test_a_sharded_model_makes_the_same_steps_is_asked_and_merged(
    launcher: str, train: Callable[..., list[str]], replicated: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    if launcher == "zero3":
        pytest.importorskip("deepspeed")
    check_outcome(tmp_path / "out", launched(launcher, tmp_path, train))
    losses = [[line["loss"] for line in log_of(out)] for out in (tmp_path / "out", replicated[0])]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_launch_of_more_samples_than_the_published_step_is_refused_before_anything_is_read(
    recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    plan = {"batch_size": 3, "global_batch": 32}
    with pytest.raises(UserError, match="batch_size 3 x accumulation 5 x 2 processes are 30 samples a step"):
        run_stage(recipe(optimisation=plan, data={"path": "absent"}))
    assert not (tmp_path / "out").exists()
