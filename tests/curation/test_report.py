import json
import re
import shutil
from pathlib import Path

import pytest

from tests.curation.test_pipeline import SHORT
from videopath_hf.curation.pipeline import curate
from videopath_hf.curation.report import lecture_sections, write_report
from videopath_hf.errors import UserError


@pytest.fixture(scope="module")
def hostile(lecture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A curated lecture whose subtitles try to be HTML."""
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copy(lecture, folder / "talk.mp4")
    entry = {"start": 2.5, "end": 3.5, "text": "The diagnosis is <script>alert(1)</script>."}
    (folder / "talk.json").write_text(json.dumps({"transcript": [entry]}), encoding="utf-8")
    curate([folder / "talk.mp4"], folder / "out", SHORT)
    return folder / "out"


def test_the_report_shows_timeline_clips_sheets_sentences_and_rejects(hostile: Path) -> None:
    html = lecture_sections(hostile)
    assert html.count("<svg") == 1 and "talk_c00000" in html and "talk_c00003" in html
    assert html.count("data:image/jpeg;base64,") == 8  # before and after of four clips
    assert "shows a title slide, no tissue" in html
    assert all(f">{row}<" in html for row in ("segments", "clips", "speech"))
    assert "labels stay in the clips" in html


def test_words_of_the_lecture_are_escaped(hostile: Path) -> None:
    html = (hostile / "report.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_the_report_needs_nothing_outside_of_itself(hostile: Path) -> None:
    html = write_report(hostile).read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    sources = re.findall(r"(?:src|href)=\"([^\"]{0,20})", html)
    assert sources and all(source.startswith("data:image/") for source in sources)


def test_the_report_of_many_clips_shows_the_sheets_beside_it(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videopath_hf.curation.report.INLINED", 3)
    for folder in ("", "curated/"):
        html = lecture_sections(hostile, folder)
        sources = re.findall(r'src="([^"]+)"', html)
        assert len(sources) == 8 and "data:image" not in html
        assert all((hostile / source.removeprefix(folder)).is_file() for source in sources)
        assert f"the files of {folder}sheets/" in html


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run\.json does not exist"):
        lecture_sections(tmp_path)
