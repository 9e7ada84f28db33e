"""Full and read-only disks, folders in use, odd names and links: one clear sentence, or the usual result."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.curation.conftest import pan, stained
from tests.curation.test_pipeline import digest
from videopath_hf.curation.pipeline import curate
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.errors import UserError
from videopath_hf.files import read_json, read_records
from videopath_hf.records import ClipRecord
from videopath_hf.settings import load_settings

OVERRIDES = ["screen_text.backend=none", "transcript.backend=none", "clips.max_seconds=2"]
SETTINGS = load_settings(CurateSettings, overrides=OVERRIDES)
DISK_BYTES = 8 << 20


@pytest.fixture(scope="module")
def video(lecture_factory: Callable[..., Path]) -> Path:
    """Four seconds of tissue: two clips."""
    return lecture_factory("talk.mp4", (pan(stained(600, 1000, 4), number) for number in range(40)))


@pytest.fixture(scope="module")
def expected(video: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("expected") / "out"
    curate([video], out, SETTINGS)
    return digest(out)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def command(*words: object) -> subprocess.CompletedProcess[str]:
    code = "from videopath_hf.cli.main import main; main()"
    overrides = [word for setting in OVERRIDES for word in ("--set", setting)]
    return subprocess.run(
        [sys.executable, "-c", code, "curate", *map(str, words), *overrides],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def half_written(out: Path) -> list[Path]:
    return [path for path in out.rglob(".*") if path.is_file() and path.name not in (".lock", ".claim.json")]


@pytest.mark.parametrize(
    "free", [120 << 10, *(pytest.param(size, marks=pytest.mark.slow) for size in (16 << 10, 400 << 10))]
)
def test_a_full_disk_is_one_sentence_and_once_there_is_space_the_run_goes_on(
    video: Path, expected: dict[str, str], disk: Path, free: int
) -> None:
    (disk / "ballast").write_bytes(bytes(DISK_BYTES - free))
    done = command(video, "--out", disk / "out")
    assert done.returncode == 2, done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("videopath: error: ")]
    assert "No space left on device" in sentence and str(disk / "out") in sentence
    assert "Traceback" not in done.stderr
    assert half_written(disk / "out") == []
    assert not (disk / "out" / "clips.jsonl").exists()
    (disk / "ballast").unlink()
    done = command(video, "--out", disk / "out")
    assert done.returncode == 0, done.stderr
    assert digest(disk / "out") == expected


def test_a_disk_that_may_only_be_read_is_one_sentence(video: Path, disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    done = command(video, "--out", disk / "out")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"output folder {disk / 'out'} cannot be written (Read-only file system)" in done.stderr


def test_a_disk_that_becomes_read_only_between_runs_is_one_sentence(
    video: Path, disk: Path, expected: dict[str, str]
) -> None:
    curate([video], disk / "out", SETTINGS)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    done = command(video, "--out", disk / "out", "--set", "clips.crf=30")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "Read-only file system" in done.stderr
    assert digest(disk / "out") == expected


def test_an_output_below_a_file_is_one_sentence(video: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("a file")
    with pytest.raises(UserError, match="is or lies below a file"):
        curate([video], tmp_path / "notes" / "out", SETTINGS)


def test_a_second_run_on_a_folder_in_use_is_refused_and_harms_nothing(
    video: Path, tmp_path: Path, expected: dict[str, str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with FileLock(out / ".lock"), pytest.raises(UserError, match="is in use by another run"):
        curate([video], out, SETTINGS)
    curate([video], out, SETTINGS)
    assert digest(out) == expected


def test_any_file_name_is_curated_and_named_in_the_records(video: Path, tmp_path: Path) -> None:
    names = ["two words", "Größe 腸 🔬", "new\nline", "-o", "50% %d", "[red]bold", "a'b\"c"]
    (tmp_path / "in").mkdir()
    for number, name in enumerate(names):
        (tmp_path / "in" / f"{name}.mp4").write_bytes(video.read_bytes() + b"\0" * number)
    curate([tmp_path / "in"], tmp_path / "out", SETTINGS)
    clips = read_records(tmp_path / "out" / "clips.jsonl", ClipRecord)
    assert {clip.source for clip in clips} == {f"{name}.mp4" for name in names}
    assert all((tmp_path / "out" / clip.clip).is_file() and clip.clip.isascii() for clip in clips)


def test_a_link_out_of_the_folder_is_not_followed_and_named(video: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(video, folder / "inside.mp4")
    (folder / "linked.mp4").symlink_to(folder / "inside.mp4")
    (folder / "outside.mp4").symlink_to(video)
    (folder / "device.mp4").symlink_to("/dev/zero")
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    os.mkfifo(folder / "pipe.mp4")
    summary = curate([folder], tmp_path / "out", SETTINGS)
    assert [lecture["source"] for lecture in read_json(tmp_path / "out" / "run.json")["lectures"]] == ["inside.mp4"]
    for name in ("outside.mp4", "device.mp4", "loop.mp4", "pipe.mp4"):
        assert [note for note in summary.notes if note.startswith(f"{name} was left out")], name
