"""Damaged videos: none may crash, hang or confuse what reads it, or touch the other videos of a run."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fuzz.clips import write
from tests.fuzz.damage import Damaged, damaged_files, sample
from tests.fuzz.examine import examine
from videopath_hf.curation.inputs import VIDEO_SUFFIXES
from videopath_hf.files import read_json, read_records
from videopath_hf.records import ClipRecord, Reject

SEED = 4
FULL = pytest.mark.skipif(
    os.environ.get("VIDEOPATH_FUZZ") != "full", reason="takes minutes: the full set runs with VIDEOPATH_FUZZ=full"
)
SETTINGS = ["screen_text.backend=none", "transcript.backend=none", "max_failed_videos=1", "clips.min_seconds=1"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Damaged]:
    return damaged_files(tmp_path_factory.mktemp("made"), SEED)


def written(files: Sequence[Damaged], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file.name).write_bytes(file.data)
    return [folder / file.name for file in files]


def curate(folder: Path, out: Path, limit: float) -> str:
    """Run the command in a process of its own, within a time limit in seconds; returns what it says on stderr."""
    code = "from videopath_hf.cli.main import main; main()"
    overrides = [word for setting in SETTINGS for word in ("--set", setting)]
    command = [sys.executable, "-c", code, "curate", str(folder), "--out", str(out), *overrides]
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    return done.stderr


def good_clip(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return write(folder / "good.mp4", size=(320, 240), frames=30, muxing={"movflags": "+faststart"})


def check_run(files: list[Damaged], tmp_path: Path, limit: float) -> None:
    """Curate a good clip alone and among damaged files, and compare."""
    good_clip(tmp_path / "alone")
    curate(tmp_path / "alone", tmp_path / "out_alone", limit)
    good_clip(tmp_path / "among")
    written(files, tmp_path / "among")
    curate(tmp_path / "among", tmp_path / "out_among", limit)

    alone = read_records(tmp_path / "out_alone" / "clips.jsonl", ClipRecord)
    among = [
        clip for clip in read_records(tmp_path / "out_among" / "clips.jsonl", ClipRecord) if clip.source == "good.mp4"
    ]
    assert among == alone and alone
    for clip in alone:
        assert (tmp_path / "out_alone" / clip.clip).read_bytes() == (tmp_path / "out_among" / clip.clip).read_bytes()

    run = read_json(tmp_path / "out_among" / "run.json")
    curated = {lecture["source"] for lecture in run["lectures"]}
    refused = {
        reject.source: reject.reason
        for reject in read_records(tmp_path / "out_among" / "rejects.jsonl", Reject)
        if reject.source not in curated
    }
    assert curated | set(refused) == {file.name for file in files} | {"good.mp4"}
    assert run["summary"]["failed"] == len(refused)
    for source, reason in refused.items():
        assert source in reason and "\n" not in reason and "internal error" not in reason, reason


def test_the_same_seed_makes_the_same_files_and_another_seed_others(
    files: list[Damaged], tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert len(files) >= 200
    again = damaged_files(tmp_path_factory.mktemp("again"), SEED)
    assert [file.name for file, other in zip(files, again, strict=True) if file != other] == []
    other = damaged_files(tmp_path_factory.mktemp("other"), SEED + 1)
    assert [file.data for file in other] != [file.data for file in files]


def check_reading(files: list[Damaged], folder: Path) -> None:
    seen = examine(written(files, folder))
    assert [one for one in seen if one.faulty] == []
    assert [one.name for one in seen] == [file.name for file in files]
    outcomes = Counter(one.outcome for one in seen)
    assert min(outcomes["processed"], outcomes["refused"]) > len(files) // 5


def test_every_way_of_reading_a_damaged_file_ends_in_frames_or_in_a_sentence(
    files: list[Damaged], tmp_path: Path
) -> None:
    check_reading(sample(files, 240, SEED), tmp_path)


@FULL
@pytest.mark.parametrize("seed", range(3))
def test_every_way_of_reading_the_full_set_ends_in_frames_or_in_a_sentence(seed: int, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    check_reading(damaged_files(tmp_path / "made", seed), tmp_path / "files")


def test_the_examiner_sees_a_file_that_takes_too_long(tmp_path: Path) -> None:
    (seen,) = examine([good_clip(tmp_path)], limit=0.01)
    assert seen.outcome == "hang" and seen.faulty


def test_damaged_files_leave_the_run_and_its_other_videos_alone(files: list[Damaged], tmp_path: Path) -> None:
    videos = [file for file in files if Path(file.name).suffix in VIDEO_SUFFIXES]
    check_run(sample(videos, 36, SEED), tmp_path, limit=300)


@FULL
def test_hundreds_of_damaged_files_leave_the_run_and_its_other_videos_alone(
    files: list[Damaged], tmp_path: Path
) -> None:
    check_run([file for file in files if Path(file.name).suffix in VIDEO_SUFFIXES], tmp_path, limit=1500)
