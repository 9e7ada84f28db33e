import threading
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from tests.fuzz.clips import write
from tests.video.conftest import encoded, number_of
from videopath_hf.samples import lecture_path
from videopath_hf.video.container import VideoError, decode, open_video
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.turns import Walked, decode_in_turns, with_readers


def seen(number: int, frame: VideoFrame) -> tuple[int, int]:
    return number, hash(frame.to_ndarray(format="gray").tobytes())


def walk(path: Path, readers: int) -> list[Walked[tuple[int, int]]]:
    return list(decode_in_turns(path, frame_index(path), seen, readers))


def readers_of(path: Path) -> int:
    return with_readers(frame_index(path), lambda readers: readers)


@pytest.mark.parametrize("readers", [2, 3])
def test_several_readers_give_what_one_gives(long_gop_clip: Path, readers: int) -> None:
    assert walk(long_gop_clip, readers) == walk(long_gop_clip, 1)
    assert [frame.number for frame in walk(long_gop_clip, readers)] == list(range(240))


@pytest.mark.parametrize("codec", ["libx265", "libvpx-vp9", "libsvtav1", "mpeg2video", "mjpeg"])
def test_codecs_of_all_kinds_come_in_order_and_whole(tmp_path: Path, codec: str) -> None:
    pix_fmt, suffix = ("yuvj420p", ".mkv") if codec == "mjpeg" else ("yuv420p", ".mkv")
    path = write(tmp_path / f"x{suffix}", codec=codec, frames=60, rate=25, pix_fmt=pix_fmt)
    alone = walk(path, 1)
    assert len(alone) == 60
    assert with_readers(frame_index(path), lambda readers: walk(path, readers)) == alone


def test_every_frame_is_decoded_once(long_gop_clip: Path) -> None:
    numbers: list[int] = []
    lock = threading.Lock()

    def note(number: int, frame: VideoFrame) -> int:
        with lock:
            numbers.append(number)
        return number_of(frame.to_ndarray(format="rgb24"))

    found = [frame.made for frame in decode_in_turns(long_gop_clip, frame_index(long_gop_clip), note, 2)]
    assert found == list(range(240))
    assert sorted(numbers) == list(range(240))


def test_whoever_is_free_takes_the_next_stretch(long_gop_clip: Path) -> None:
    index = frame_index(long_gop_clip)
    decoded = threading.Event()

    def held_up(number: int, frame: VideoFrame) -> int:
        if number == index.keyframes[2]:
            decoded.set()
        assert number > 0 or decoded.wait(60), "the reader of the first stretch was waited for"
        return number

    found = [frame.made for frame in decode_in_turns(long_gop_clip, index, held_up, 2)]
    assert found == list(range(240))


def test_a_video_without_keyframes_in_its_middle_has_one_reader(tmp_path: Path, long_gop_clip: Path) -> None:
    assert readers_of(write(tmp_path / "one.mp4", frames=40, gop=400)) == 1
    assert readers_of(write(tmp_path / "far.mp4", frames=620, gop=310)) == 1
    assert readers_of(long_gop_clip) > 1


def test_open_groups_of_pictures_have_one_reader(tmp_path: Path) -> None:
    assert readers_of(encoded(tmp_path / "open.mp4", "libx264")) == 1


def test_where_readers_fail_one_says_what_is_wrong(damaged_clip: Path) -> None:
    index = frame_index(damaged_clip)
    with open_video(damaged_clip) as source, pytest.raises(VideoError) as alone:
        list(decode(source))
    with pytest.raises(VideoError) as several:
        with_readers(index, lambda readers: list(decode_in_turns(damaged_clip, index, seen, readers)))
    assert str(several.value) == str(alone.value)


def test_whoever_stops_early_leaves_no_thread_and_no_open_file() -> None:
    before = threading.active_count()
    frames = decode_in_turns(lecture_path(), frame_index(lecture_path()), seen, 2)
    assert [frame.number for frame in islice(frames, 3)] == [0, 1, 2]
    frames.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_a_fault_in_what_is_made_reaches_the_caller(long_gop_clip: Path) -> None:
    def fail(number: int, frame: VideoFrame) -> int:
        raise ZeroDivisionError(f"at {number}")

    with pytest.raises(ZeroDivisionError, match="at 0"):
        list(decode_in_turns(long_gop_clip, frame_index(long_gop_clip), fail, 2))


def test_times_are_those_of_the_index(long_gop_clip: Path) -> None:
    index = frame_index(long_gop_clip)
    for readers in (1, 2):
        times = [frame.time for frame in decode_in_turns(long_gop_clip, index, seen, readers)]
        np.testing.assert_array_equal(times, index.times)
