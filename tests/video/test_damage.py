"""Kinds of damage that the fuzzer found: what comes of each."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.clips import write
from tests.fuzz.examine import examine
from videopath_hf.video.decode import iter_frames, read_frames
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.probe import VideoError, probe


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("made") / "clip.mp4", muxing={"movflags": "+faststart"}).read_bytes()


def patched(data: bytes, box: bytes, offset: int, value: bytes, path: Path) -> Path:
    place = data.index(box) + len(box) + offset
    path.write_bytes(data[:place] + value + data[place + len(value) :])
    return path


def test_words_in_the_header_that_are_not_utf8_do_no_harm(mp4: bytes, tmp_path: Path) -> None:
    path = patched(mp4, b"hdlr", 24, b"\xc4\xf3", tmp_path / "words.mp4")
    assert probe(path).frames == 24


def test_a_video_whose_table_of_keyframes_is_damaged_is_read_from_its_start(mp4: bytes, tmp_path: Path) -> None:
    path = patched(mp4, b"stss", 8, b"\x7f\xff\xff\xff", tmp_path / "keyframes.mp4")
    assert probe(path).frames == 24
    whole = patched(mp4, b"stss", 8, b"", tmp_path / "whole.mp4")
    assert np.array_equal(read_frames(path, [3, 20]), read_frames(whole, [3, 20]))


def test_a_video_trimmed_without_encoding_it_anew_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "trimmed.mp4", shift=-1_500)  # frames before the keyframe at 0.8 s are only in the table
    info = probe(path)
    assert info.frames == len(list(iter_frames(path))) == len(frame_index(path).times) == 9
    assert frame_index(path).times[0] == 0.0
    one_by_one = np.stack([frame.image for frame in iter_frames(path)])
    assert np.array_equal(read_frames(path, range(9)), one_by_one)
    assert np.array_equal(read_frames(path, [8]), one_by_one[8:])


def test_frames_of_another_size_are_scaled_to_the_first_however_they_are_read(tmp_path: Path) -> None:
    parts = [
        write(tmp_path / f"{width}.mjpeg", "mjpeg", (width, 64), 40, pix_fmt="yuvj420p", container="mjpeg")
        for width in (64, 96)
    ]
    path = tmp_path / "changing.avi"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert {frame.image.shape for frame in iter_frames(path)} == {(64, 64, 3)}
    assert {frame.image.shape for frame in iter_frames(path, start=2.0)} == {(64, 64, 3)}
    assert read_frames(path, [0, 39, 40, 79]).shape == (4, 64, 64, 3)
    assert read_frames(path, [79]).shape == (1, 64, 64, 3)


def test_a_picture_shown_for_a_quarter_of_an_hour_is_no_damage_but_one_for_days_is(tmp_path: Path) -> None:
    lecture = write(tmp_path / "lecture.mkv", times=[0, 900_000], frames=2)
    assert probe(lecture).duration == pytest.approx(900.1)
    damaged = write(tmp_path / "damaged.mkv", times=[0, 100, 9 * 86_400_000], frames=3)
    with pytest.raises(VideoError, match=r"damaged time stamps: its frame after 0\.10 s is at 777600\.00 s"):
        probe(damaged)
    with pytest.raises(VideoError, match="damaged time stamps"):
        for number, _ in enumerate(iter_frames(damaged, fps=1)):
            assert number < 10


def test_recordings_joined_end_to_end_are_refused_and_not_half_lost(tmp_path: Path) -> None:
    part = write(tmp_path / "part.ts", container="mpegts", rate=25)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(part.read_bytes() * 2)
    assert probe(part).frames == 24
    with pytest.raises(VideoError, match="give them as separate files"):
        probe(joined)


def test_a_frame_rate_that_no_camera_has_is_refused(mp4: bytes, tmp_path: Path) -> None:
    path = patched(mp4, b"mdhd", 12, b"\x7f\xff\xff\xff", tmp_path / "rate.mp4")
    with pytest.raises(VideoError, match="damaged time stamps: its 24 frames last"):
        probe(path)


def test_frames_that_decode_to_nothing_true_for_want_of_a_keyframe_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "headless.mkv", "mpeg4", gop=12, keep=lambda number: number > 0)
    with pytest.raises(VideoError, match="without a keyframe before them"):
        probe(path)


def test_the_frame_rate_is_measured_where_the_header_gives_another(tmp_path: Path) -> None:
    path = write(tmp_path / "uneven.mkv", times=[number * number * 10 for number in range(24)])
    info = probe(path)
    assert info.fps == pytest.approx(24 / info.duration) and info.fps < 5


@pytest.mark.parametrize("name", ["list.m3u8", "list.ffconcat"])
def test_a_playlist_is_refused_before_it_is_followed(tmp_path: Path, name: str) -> None:
    """FFmpeg waits without end for a list that names itself, so it is read in a process of its own."""
    path = tmp_path / name
    lists = {
        "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nlist.m3u8\n",
        "list.ffconcat": "ffconcat version 1.0\nfile 'list.ffconcat'\n",
    }
    path.write_text(lists[name])
    (seen,) = examine([path], limit=30)
    assert seen.outcome == "refused" and "if it is a playlist, give the videos that it names" in seen.detail


def test_a_pipe_is_refused_before_it_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoError, match="is a device or a pipe"):
        probe(tmp_path / "pipe.mp4")
