"""Full-size pictures of segments: the right ones, the next segment's ahead of time, and never too many."""

import gc
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from tests.curation.conftest import Picture
from videopath_hf.curation import frames
from videopath_hf.curation.clips import Grid
from videopath_hf.curation.frames import LectureFrames
from videopath_hf.video.container import VideoError
from videopath_hf.video.decode import iter_frames
from videopath_hf.video.probe import VideoInfo, probe

FIRST, SECOND, THIRD = Grid(1.0, 2.0, 5), Grid(3.5, 2.0, 4), Grid(5.5, 2.0, 4)


@pytest.fixture
def info(lecture: Path) -> VideoInfo:
    return probe(lecture)


class Decoded:
    """Counts what is decoded; `gate` holds the decoder back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[int] = []
        self.gate = Event()
        self.gate.set()
        self._read = frames._read
        monkeypatch.setattr(frames, "_read", self.read)

    def read(self, path: Path, indices: list[int]) -> list[Picture]:
        self.gate.wait()
        self.calls.append(len(indices))
        return self._read(path, indices)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Decoded:
    return Decoded(monkeypatch)


def held(lecture: Path, info: VideoInfo) -> LectureFrames:
    return LectureFrames(lecture, info, lambda done, total: None)


def expected(lecture: Path, grid: Grid) -> list[Picture]:
    end = grid.time(grid.frames) - 0.01
    return [frame.image for frame in iter_frames(lecture, grid.fps, grid.start, end)]


def test_a_segments_pictures_are_decoded_once_for_reading_and_for_its_clips(
    lecture: Path, info: VideoInfo, decoded: Decoded
) -> None:
    pictures = held(lecture, info).of(FIRST)
    right = expected(lecture, FIRST)
    assert np.array_equal(list(pictures.all()), right)
    assert np.array_equal(list(pictures.part(2, 4)), right[2:4])
    assert decoded.calls == [5]


def test_what_comes_next_is_decoded_before_it_is_asked_for(lecture: Path, info: VideoInfo, decoded: Decoded) -> None:
    lecture_frames = held(lecture, info)
    now = list(lecture_frames.of(FIRST).all())
    lecture_frames.begin(SECOND)
    lecture_frames.begin(SECOND)
    following = lecture_frames.of(SECOND)
    assert following._kept is not None
    following._kept.result()  # nobody has asked for a picture
    assert decoded.calls == [5, 4] and len(now) == 5
    assert np.array_equal(list(following.all()), expected(lecture, SECOND))
    assert decoded.calls == [5, 4]


def test_no_more_is_decoded_ahead_than_memory_allows(
    lecture: Path, info: VideoInfo, decoded: Decoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "KEPT_BYTES", 6 * info.width * info.height * 3)  # 9 pictures beside each other
    lecture_frames = held(lecture, info)
    first = lecture_frames.of(FIRST)
    list(first.all())
    second = lecture_frames.of(SECOND)  # the clips of the first are still made
    list(second.all())
    lecture_frames.begin(THIRD)
    assert decoded.calls == [5, 4]
    del first
    gc.collect()
    lecture_frames.begin(THIRD)
    third = lecture_frames.of(THIRD)
    assert third._kept is not None and len(third._kept.result()) == 4  # before anybody asks for a picture
    assert len(list(third.all())) == 4 and decoded.calls == [5, 4, 4]


def test_a_long_segment_is_decoded_in_parts_one_of_them_ahead(
    lecture: Path, info: VideoInfo, decoded: Decoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "KEPT_BYTES", 4 * info.width * info.height * 3)
    monkeypatch.setattr(frames, "_CHUNK_BYTES", 2 * info.width * info.height * 3)
    beats: list[int] = []
    pictures = LectureFrames(lecture, info, lambda done, total: beats.append(done)).of(FIRST)
    coming = pictures.all()
    first = next(coming)
    decoded.gate.clear()
    second = next(coming)  # no picture is decoded now
    decoded.gate.set()
    assert np.array_equal([first, second, *coming], expected(lecture, FIRST))
    assert decoded.calls == [2, 2, 1] and beats == [0, 1, 2, 3, 4]
    assert np.array_equal(list(pictures.part(1, 4)), expected(lecture, FIRST)[1:4])
    assert decoded.calls == [2, 2, 1, 2, 1]


def test_damage_found_ahead_is_raised_where_the_pictures_are_asked_for(
    lecture: Path, info: VideoInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path, indices: list[int]) -> list[Picture]:
        raise VideoError(f"{path} is damaged")

    monkeypatch.setattr(frames, "_read", broken)
    lecture_frames = held(lecture, info)
    lecture_frames.begin(SECOND)
    with pytest.raises(VideoError, match="is damaged"):
        list(lecture_frames.of(SECOND).all())
