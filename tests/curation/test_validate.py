"""A folder is what its records say, or `--validate` names what is not."""

import json
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from tests.cli.conftest import Run, run  # noqa: F401
from tests.curation.conftest import SUBTITLES, lecture_frames
from tests.curation.test_pipeline import SHORT
from videopath_hf.curation.pipeline import curate
from videopath_hf.curation.validate import validate
from videopath_hf.errors import UserError


@pytest.fixture(scope="module")
def sound(lecture_factory: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A curated folder of two clips."""
    lecture = lecture_factory("short.mp4", islice(lecture_frames(), 60), SUBTITLES)
    out = tmp_path_factory.mktemp("sound") / "out"
    curate([lecture], out, SHORT, workers=0)
    return out


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(sound, tmp_path / "out"))


def edit(folder: Path, **values: object) -> None:
    """Change fields of the first clip's record."""
    first, *rest = (folder / "clips.jsonl").read_text().splitlines()
    (folder / "clips.jsonl").write_text("\n".join([json.dumps({**json.loads(first), **values}), *rest]) + "\n")


def problems(folder: Path) -> str:
    return "\n".join(f"{finding.file} {finding.where} {finding.problem}" for finding in validate(folder))


def test_a_finished_folder_is_sound(sound: Path) -> None:
    assert validate(sound) == []


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"sha256": "0" * 64}, "SHA-256 is another"),
        ({"frames": 99}, "its record says 99"),
        ({"width": 10}, "its record says 10x360"),
        ({"clip": "../../x.mp4"}, "leads out of"),
        ({"clip": "/etc/passwd"}, "leads out of"),
        ({"keyframes": ["keyframes/absent.jpg"]}, "keyframes/absent.jpg does not exist"),
        ({"end": 0.0}, "before or when it starts"),
        ({"clip_id": "short_c00001"}, "comes 2 times"),
        ({"video_id": "other"}, "transcripts/other.json"),
        ({"fps": "fast"}, "is no ClipRecord: fps"),
        ({"schema_version": 99}, "schema_version is not"),
        ({"source": "/home/me/short.mp4"}, "names a place on a machine"),
    ],
)
def test_a_record_that_is_not_true_is_named(folder: Path, values: dict[str, object], problem: str) -> None:
    edit(folder, **values)
    assert problem in problems(folder)


def test_missing_added_and_damaged_files_are_named(folder: Path) -> None:
    first, second = sorted((folder / "clips").iterdir())
    second.write_bytes(second.read_bytes()[:-100])
    first.rename(folder / "clips" / "stranger.mp4")
    (folder / "transcripts" / "short.json").unlink()
    found = problems(folder)
    assert f"clips/{first.name} does not exist" in found
    assert "clips/stranger.mp4  belongs to no record" in found
    assert f"{second.name} is not the file that was written" in found and f"{second.name} does not decode" in found
    assert "transcripts/short.json" in found


def test_counts_that_do_not_agree_are_named(folder: Path) -> None:
    lines = (folder / "clips.jsonl").read_text().splitlines(keepends=True)
    (folder / "clips.jsonl").write_text(lines[0])
    (folder / "rejects.jsonl").write_text("")
    found = problems(folder)
    assert "summary.clips is 2, the records say 1" in found
    assert "summary.rejects" in found and "lectures.short" in found


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UserError):
            validate(folder)


def test_the_command_prints_findings_and_fails_only_where_there_are_any(run: Run, folder: Path) -> None:  # noqa: F811
    assert run("curate", "--validate", folder) == (0, f"{folder}: sound\n", "")
    edit(folder, frames=99)
    code, out, _ = run("curate", "--validate", folder)
    assert code == 1
    assert "clips.jsonl: short_c00000: clips/short_c00000.mp4 has 4 frames, its record says 99" in out
    code, out, _ = run("curate", "--validate", folder, "--json")
    assert code == 1 and len(json.loads(out)["findings"]) == 1
