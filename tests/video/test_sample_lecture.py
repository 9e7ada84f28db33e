"""The lecture that ships is the one that its plan describes."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from videopath_hf.errors import UserError
from videopath_hf.samples import lecture_path
from videopath_hf.samples.lecture_plan import DIAGNOSES, FPS, PLAN, truth
from videopath_hf.video.decode import read_frames
from videopath_hf.video.probe import probe


@pytest.fixture(scope="module")
def sentences() -> list[tuple[float, float, str]]:
    """Start, end and words of every subtitle."""
    stamp = r"(\d\d):(\d\d):(\d\d),(\d\d\d)"
    text = lecture_path().with_suffix(".srt").read_text(encoding="utf-8")
    found = re.findall(rf"^\d+\n{stamp} --> {stamp}\n(.+)$", text, flags=re.MULTILINE)
    times = [[int(h) * 3600 + int(m) * 60 + int(s) + int(ms) / 1000 for h, m, s, ms in (f[:4], f[4:8])] for f in found]
    return [(start, end, row[8]) for (start, end), row in zip(times, found, strict=True)]


@pytest.fixture(scope="module")
def sound() -> tuple[np.ndarray, int]:
    """The sound track as float samples, and its rate."""
    with av.open(str(lecture_path())) as container:
        rate = container.streams.audio[0].rate
        return np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)]), rate


def test_the_lecture_is_as_long_as_its_plan_and_small() -> None:
    info, plan = probe(lecture_path()), truth()
    assert (info.width, info.height, info.fps, info.frames) == (1280, 720, 25.0, plan["frames"])
    assert info.duration == pytest.approx(plan["duration"])
    assert 55 <= info.duration <= 60
    assert (info.codec, info.has_audio) == ("h264", True)
    assert lecture_path().stat().st_size < 4_000_000


def test_the_plan_has_two_cases_and_enough_tissue() -> None:
    plan = truth()
    kinds = [(item["kind"], item.get("case")) for item in plan["segments"]]
    tissue = [("tissue", 1), ("tissue", 2), ("tissue", 1), ("tissue", 2)]
    assert kinds == [("title", None), ("presenter", None), *tissue, ("outro", None)]
    assert sum(item["end"] - item["start"] for item in plan["segments"] if item["kind"] == "tissue") >= 44
    assert [case["diagnosis"] for case in plan["cases"]] == list(DIAGNOSES.values())


def test_the_picture_changes_at_every_cut_and_only_there() -> None:
    cuts = [cut["frame"] for cut in truth()["cuts"]]
    frames = read_frames(lecture_path(), [number for cut in cuts for number in (cut - 2, cut - 1, cut, cut + 1)])
    changes = np.abs(np.diff(frames.astype(np.int16), axis=0)).mean(axis=(1, 2, 3)).reshape(-1)
    at_cut, beside = changes[1::4], np.concatenate([changes[0::4], changes[2::4]])
    assert len(at_cut) == 6 and at_cut.min() > 15
    assert beside.max() < 3


def test_the_picture_stands_still_where_the_plan_says() -> None:
    stills = [still for item in truth()["segments"] for still in item.get("still", [])]
    assert len(stills) >= 9
    for start, end in stills:
        first, last = read_frames(lecture_path(), [round(start * FPS) + 1, round(end * FPS) - 1])[:, 150:460, 300:1000]
        assert np.abs(first.astype(int) - last).mean() < 3


def test_case_one_is_brown_and_case_two_is_not() -> None:
    for item in truth()["segments"]:
        if item["kind"] != "tissue":
            continue
        first, last = round(item["start"] * FPS), round(item["end"] * FPS) - 1
        frames = read_frames(lecture_path(), list(range(first + 10, last, 40)))[:, 260:460, 300:1000].astype(int)
        brown = (frames[..., 0] - frames[..., 2] > 40).mean(axis=(1, 2))
        assert brown.min() > 0.1 if item["case"] == 1 else brown.max() < 0.001


def test_the_subtitles_are_the_plans_sentences_inside_their_segments(
    sentences: list[tuple[float, float, str]],
) -> None:
    assert [text for _, _, text in sentences] == [text for part in PLAN for text in part.said]
    segments = {text: item for item in truth()["segments"] for text in item["sentences"]}
    for start, end, text in sentences:
        assert segments[text]["start"] < start < end < segments[text]["end"]
    assert all(a[1] < b[0] for a, b in itertools.pairwise(sentences))


def test_the_diagnosis_is_spoken_once_in_each_case_and_the_organ_named(
    sentences: list[tuple[float, float, str]],
) -> None:
    spoken = " ".join(text for _, _, text in sentences)
    assert all(spoken.count(f"The diagnosis is {diagnosis}.") == 1 for diagnosis in DIAGNOSES.values())
    assert spoken.count("biopsy of the colon") == 2
    assert "synthetic negative control" in spoken


def test_there_is_speech_where_the_subtitles_say_and_silence_between(
    sentences: list[tuple[float, float, str]], sound: tuple[np.ndarray, int]
) -> None:
    samples, rate = sound
    assert len(samples) / rate == pytest.approx(truth()["duration"], abs=0.1)

    def loudness(start: float, end: float) -> float:
        return float(np.sqrt(np.mean(samples[round(start * rate) : round(end * rate)] ** 2)))

    assert min(loudness(start, end) for start, end, _ in sentences) > 0.03
    for before, after in itertools.pairwise(sentences):
        assert loudness(before[1] + 0.1, after[0] - 0.1) < 0.003


def test_the_script_still_draws_the_pictures_that_ship() -> None:
    pytest.importorskip("cv2")
    pytest.importorskip("skimage")
    from videopath_hf.samples.make_lecture import _shown, picture

    start = 0.0
    for part in PLAN:
        moments = (0.4, part.seconds / 2, part.seconds - 0.4)
        shipped = read_frames(lecture_path(), [round((start + at) * FPS) for at in moments])
        for at, frame in zip(moments, shipped, strict=True):
            drawn = picture(part, _shown(part, round(at * FPS) / FPS))
            assert np.abs(drawn.astype(int) - frame).mean() < 6, (part.kind, start + at)
        start += part.seconds


def test_the_script_writes_the_plan_with_the_boxes_of_the_labels(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "videopath_hf.samples.make_lecture", "--truth", str(tmp_path / "truth.json")]
    subprocess.run(command, check=True, timeout=60)
    written = json.loads((tmp_path / "truth.json").read_text())
    assert written["segments"] == json.loads(json.dumps(truth()["segments"]))
    frame = read_frames(lecture_path(), [round(10 * FPS)])[0]
    label = next(text for text in written["texts"] if text["text"] == "Case 1: colon biopsy")
    x0, y0, x1, y1 = label["box"]
    inside = frame[y0:y1, x0:x1].mean(axis=-1)
    assert (inside > 230).mean() > 0.4 and (inside < 80).mean() > 0.15  # black letters on white


def test_a_missing_voice_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from videopath_hf.samples import make_lecture

    monkeypatch.setattr(make_lecture.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="apt install espeak-ng"):
        make_lecture.narrate()
