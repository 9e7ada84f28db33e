"""What goes wrong while a stage trains: named, counted, bounded, and never hidden."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

from tests.training.synthetic import break_clip, texts, write_dataset
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.files import read_json
from videopath_hf.training import checkpoints, trainer
from videopath_hf.training.metering import SPEEDS
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.saving import explain_disk
from videopath_hf.training.stages import run_stage

FULL = {"projector": True, "vision_tower": True, "language_model": "full"}
BROKEN = "lecture_c00002"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder in which one clip of six is sound to look at and does not decode."""
    root = write_dataset(tmp_path / "broken", clips=6, held_out=0)
    break_clip(root / f"videos/train/{BROKEN}.mp4")
    return root


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (2, 1)])
def test_a_clip_that_breaks_in_the_middle_of_an_epoch_is_left_out_named_and_counted(
    batch_size: int, workers: int, broken: Path, recipe: Callable[..., Recipe], capfd: pytest.CaptureFixture[str]
) -> None:
    plan = {"max_steps": 6, "batch_size": batch_size, "workers": workers}
    data = {"path": broken, "max_dropped": 0.2, "cache_mb": 0}
    result = run_stage(recipe(data=data, trainable=FULL, optimisation=plan))
    assert (result.samples, result.dropped, result.quarantined) == (6, 0, 1)
    run = read_json(result.out / "run.json")
    (left_out,) = run["quarantined"]
    assert left_out["id"] == f"{BROKEN}-video-0" and f"{BROKEN}.mp4 cannot be read" in left_out["reason"]
    assert " ".join(capfd.readouterr().err.split()).count(f"sample {BROKEN}-video-0 is left out") == 1
    losses = [json.loads(line)["loss"] for line in (result.out / "log.jsonl").read_text().splitlines()]
    # A batch of nothing else trains on nothing: no neighbour takes its place.
    assert losses.count(0) == (1 if batch_size == 1 else 0)


def test_too_many_broken_clips_stop_the_run(broken: Path, recipe: Callable[..., Recipe]) -> None:
    chosen = recipe(data={"path": broken, "cache_mb": 0}, optimisation={"max_steps": 6})
    with pytest.raises(TooManyRejectsError, match=rf"1 of 6 samples .* allows 0\.05 .*{BROKEN}-video-0: .*{BROKEN}"):
        run_stage(chosen)
    assert not (chosen.out / "run.json").exists()


def test_clips_over_the_budget_get_fewer_frames_and_are_named(recipe: Callable[..., Recipe]) -> None:
    plan = {"frames": {"num_frames": 8}, "over_budget": "fewer_frames", "trainable": FULL}
    result = run_stage(recipe(**plan, max_length=220))
    run = read_json(result.out / "run.json")
    assert (result.samples, result.dropped) == (6, 0)
    assert len(run["fewer_frames"]) == 6
    for sample in run["fewer_frames"]:
        assert 1 <= sample["frames"] < 8 and sample["length"] <= 220 < sample["whole"]
    assert run["tokens"]["longest"] == max(sample["length"] for sample in run["fewer_frames"])


def test_a_budget_that_no_sample_fits_says_what_it_would_have_to_be(recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(TooManyRejectsError, match=r"6 of 6 samples .*max_length would have to be \d+ for the"):
        run_stage(recipe(max_length=8))


def test_a_full_disk_at_a_checkpoint_is_one_sentence_and_the_run_goes_on_when_there_is_room(
    recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = {"trainable": FULL, "optimisation": {"max_steps": 5, "save_steps": 2}}
    whole = run_stage(recipe(**plan, out=tmp_path / "whole"))
    save = trainer.save_weights

    def full(model: Any, folder: Path, *rest: Any) -> None:
        save(model, folder, *rest)
        if folder.name == "checkpoint-4":
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(trainer, "save_weights", full)
    chosen = recipe(**plan, out=tmp_path / "torn")
    with pytest.raises(UserError, match=r"checkpoint of step 4 cannot be written to .*: No space left on device") as e:
        run_stage(chosen)
    assert "\n" not in str(e.value)
    assert [path.name for path in (tmp_path / "torn" / "checkpoints").iterdir()] == ["checkpoint-2"]
    monkeypatch.setattr(trainer, "save_weights", save)
    result = run_stage(chosen)
    assert result.resumed_step == 2
    assert steps_of(result.out) == steps_of(whole.out)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (RuntimeError("PytorchStreamWriter failed writing file data/3: Read-only file system"), "Read-only file"),
        (OSError(errno.EIO, "Input/output error"), None),
        (RuntimeError("shape mismatch"), None),
    ],
)
def test_only_trouble_with_the_disk_is_called_that(error: Exception, words: str | None, tmp_path: Path) -> None:
    with pytest.raises(UserError if words else type(error), match=words), explain_disk("it", tmp_path):
        raise error


def steps_of(out: Path) -> list[dict[str, Any]]:
    """The log without the speeds, which no two runs share."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in SPEEDS} for line in lines]


class Stopped(Exception):
    """Stands for a kill."""


def stop_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the run end right after the checkpoint of a step."""
    seal = checkpoints.seal

    def sealed(folder: Path, done: int) -> Path:
        final = seal(folder, done)
        if done == step:
            raise Stopped
        return final

    monkeypatch.setattr(checkpoints, "seal", sealed)


def test_a_damaged_newest_checkpoint_is_named_and_the_run_goes_on_from_the_one_before_it_to_the_same_end(
    recipe: Callable[..., Recipe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    plan = {"data": {"kinds": ["image"]}, "optimisation": {"max_steps": 5, "save_steps": 1}}
    whole = run_stage(recipe(**plan, out=tmp_path / "whole"))
    chosen = recipe(**plan, out=tmp_path / "torn")
    with monkeypatch.context() as patch:
        stop_after(4, patch)
        with pytest.raises(Stopped):
            run_stage(chosen)
    newest = tmp_path / "torn" / "checkpoints" / "checkpoint-4" / "optimizer.pt"
    newest.write_bytes(newest.read_bytes()[:-100])
    capfd.readouterr()
    result = run_stage(chosen)
    assert result.resumed_step == 3
    said = " ".join(capfd.readouterr().err.split())
    assert "checkpoint-4 is damaged (optimizer.pt has changed)" in said
    assert steps_of(result.out) == steps_of(whole.out)


def test_a_checkpoint_of_another_model_stops_the_run(
    recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videopath_hf.modeling.tiny import build_tiny

    plan = {"trainable": FULL, "optimisation": {"max_steps": 3, "save_steps": 1}}
    ours, theirs = recipe(**plan), recipe(**plan, out=tmp_path / "theirs")
    other = build_tiny([*texts(), "Other words make another vocabulary."], tmp_path / "other", seed=1)
    for chosen in (ours, theirs.model_copy(update={"model": str(other)})):
        with monkeypatch.context() as patch:
            stop_after(2, patch)
            with pytest.raises(Stopped):
                run_stage(chosen)
    place = Path("checkpoints") / "checkpoint-2"
    shutil.rmtree(ours.out / place)
    shutil.copytree(tmp_path / "theirs" / place, ours.out / place)
    with pytest.raises(UserError, match=r"checkpoint-2 is not of this model: size mismatch for ") as caught:
        run_stage(ours)
    assert "\n" not in str(caught.value)
