"""A dry run says what would be done, and does nothing."""

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from tests.cli.conftest import Run, run  # noqa: F401
from tests.curation.conftest import SUBTITLES, lecture_frames, title
from tests.curation.test_pipeline import FAST, SHORT
from videopath_hf.curation.forecast import forecast
from videopath_hf.curation.pipeline import curate
from videopath_hf.errors import UserError
from videopath_hf.files import content_hash


@pytest.fixture(scope="module")
def folder(lecture_factory: Callable[..., Path]) -> Path:
    """A lecture, and beside it a file that is none."""
    lecture = lecture_factory("short.mp4", islice(lecture_frames(), 15, 60), SUBTITLES)
    (lecture.parent / "zz.mp4").write_text("not a video")
    return lecture.parent


def states(folder: Path, out: Path, settings: object = SHORT) -> list[tuple[str, float | None, str]]:
    found = forecast([folder], out, settings)  # type: ignore[arg-type]
    return [(lecture.source, lecture.seconds, lecture.state) for lecture in found.lectures]


def test_it_tells_new_finished_and_begun_lectures_and_writes_nothing(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert states(folder, out) == [("short.mp4", 4.5, "new"), ("zz.mp4", None, "new")]
    assert not out.exists()
    curate([folder], out, SHORT, workers=0)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert states(folder, out) == [("short.mp4", 4.5, "finished"), ("zz.mp4", None, "failed")]
    assert states(folder, out, FAST) == [("short.mp4", 4.5, "begun"), ("zz.mp4", None, "begun")]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    found = forecast([folder], out, FAST, limit=1)
    assert (found.seconds, found.seconds_to_do, found.settings_hash) == (4.5, 4.5, content_hash(FAST))


def test_a_folder_of_another_run_is_refused_as_it_would_be(
    folder: Path, lecture_factory: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "thesis.docx").touch()
    with pytest.raises(UserError, match="not of a curate run"):
        forecast([folder], tmp_path, SHORT)
    out = tmp_path / "out"
    curate([folder / "short.mp4"], out, SHORT, workers=0)
    with pytest.raises(UserError, match="another input"):
        forecast([lecture_factory("other.mp4", iter([title("x")] * 5))], out, SHORT)


def test_the_command_lists_what_would_be_done(run: Run, folder: Path, tmp_path: Path) -> None:  # noqa: F811
    code, out, _ = run("curate", folder, "--out", tmp_path / "out", "--dry-run")
    assert code == 0
    assert out.splitlines()[:2] == ["new: short.mp4 (short), 4.5 s", "new: zz.mp4 (zz), length unknown"]
    assert "4.5 of 4.5 s of video to do; settings " in out
    code, out, _ = run("curate", folder, "--out", tmp_path / "out", "--dry-run", "--json", "--limit", "1")
    assert [lecture["source"] for lecture in json.loads(out)["lectures"]] == ["short.mp4"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words", [[], ["x.mp4"], ["--validate", "a", "--out", "b"], ["x.mp4", "--out", "o", "--workers", "-1"]]
)
def test_arguments_that_do_not_go_together_are_one_sentence(run: Run, words: list[str]) -> None:  # noqa: F811
    code, out, err = run("curate", *words)
    assert code == 2 and out == "" and err.startswith("videopath: error: ")
