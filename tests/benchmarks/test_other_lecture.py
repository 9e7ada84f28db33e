"""The lectures made for measuring curation show what their truth says."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import other_lecture
from other_lecture_plan import STYLES

pytestmark = pytest.mark.needs_shared


def made(style: str, shared: Path, monkeypatch: pytest.MonkeyPatch) -> other_lecture.Lecture:
    monkeypatch.setattr(other_lecture.shutil, "which", lambda name: None)  # no speech: quick
    portrait = shared / "people" / "astronaut.png"
    return other_lecture.Lecture(STYLES[style], 1, shared / "tissue", portrait)


@pytest.mark.parametrize("style", sorted(STYLES))
def test_segments_follow_one_another_and_every_box_lies_in_the_frame(
    style: str, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = made(style, shared, monkeypatch).truth("x")
    parts = truth["segments"]
    assert [part["start"] for part in parts[1:]] == [part["end"] for part in parts[:-1]]
    assert [cut["time"] for cut in truth["cuts"]] == [part["start"] for part in parts[1:]]
    assert 45 <= truth["duration"] <= 80
    for item in (*truth["texts"], *truth["persons"], *truth["overlays"]):
        x0, y0, x1, y1 = item["box"]
        assert 0 <= x0 < x1 <= truth["width"] and 0 <= y0 < y1 <= truth["height"], item
        assert parts[item["segment"]]["start"] <= item["start"] < item["end"] <= parts[item["segment"]]["end"], item


def test_words_are_seen_in_their_box_while_they_are_shown_and_not_after(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lecture = made("screen", shared, monkeypatch)
    text = next(text for text in lecture.truth("x")["texts"] if text["text"].startswith("Diagnosis"))
    scene = lecture.scenes[text["segment"]]
    start = text["start"] - lecture.starts[text["segment"]]
    x0, y0, x1, y1 = text["box"]
    before, shown = (lecture.picture(scene, start + step)[y0:y1, x0:x1].astype(int) for step in (-0.1, 0.1))
    assert np.abs(shown - before).mean() > 40
