from pathlib import Path

import pytest

from tests.video.conftest import without_frames
from videopath_hf.errors import UserError
from videopath_hf.samples import lecture_path
from videopath_hf.video.decode import iter_frames, read_frames
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.probe import VideoError, probe


def test_probe_counts_the_frames_that_decode(clip: Path) -> None:
    info = probe(clip)
    assert (info.frames, info.width, info.height, info.fps) == (100, 96, 72, 25.0)
    assert info.duration == pytest.approx(4.0)
    assert (info.codec, info.rotation, info.has_audio) == ("h264", 0, False)
    assert info.path == clip


def test_probe_sees_the_sound_of_a_lecture() -> None:
    assert probe(lecture_path()).has_audio


def test_probe_gives_the_upright_size_of_a_turned_video(turned_clip: Path) -> None:
    info = probe(turned_clip)
    assert (info.width, info.height, info.rotation) == (72, 96, 270)


def test_probe_measures_a_variable_frame_rate_by_time_stamps(uneven_clip: Path) -> None:
    info = probe(uneven_clip)
    assert info.frames == 6
    assert 3.0 < info.duration < 4.1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"Only words here.\n" * 40, "is not a video"),
        (b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n", "is not a video"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 100, "is not a video"),
        (b"#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n", "is not a video"),
    ],
    ids=["empty", "text", "subtitles", "picture", "playlist"],
)
@pytest.mark.parametrize("suffix", [".mp4", ".txt"])
def test_probe_says_what_is_wrong_with_a_file_that_is_no_video(
    tmp_path: Path, content: bytes, words: str, suffix: str
) -> None:
    path = tmp_path / f"lecture{suffix}"
    path.write_bytes(content)
    with pytest.raises(VideoError) as caught:
        probe(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_text_file_that_ffmpeg_would_draw_on_a_terminal_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello world\n" * 50)
    with pytest.raises(VideoError, match="is not a video"):
        probe(path)


def test_probe_names_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"none\.mp4 does not exist"):
        probe(tmp_path / "none.mp4")
    with pytest.raises(VideoError, match="is a folder"):
        probe(tmp_path)


def test_probe_refuses_sound_without_pictures(sound_only: Path) -> None:
    with pytest.raises(VideoError, match="has no video stream"):
        probe(sound_only)


def test_every_reader_refuses_a_video_stream_without_frames(tmp_path: Path) -> None:
    path = without_frames(tmp_path / "aborted.mp4")
    for read in (probe, frame_index, lambda path: read_frames(path, [0]), lambda path: list(iter_frames(path))):
        with pytest.raises(VideoError) as caught:
            read(path)
        assert str(caught.value) == f"{path} holds a video stream without a single frame"


def test_probe_refuses_a_video_without_its_index(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "headless.mp4"
    path.write_bytes(clip.read_bytes()[:300])
    with pytest.raises(VideoError, match=str(path)):
        probe(path)


def test_probe_refuses_a_video_that_is_cut_off(cut_clip: Path) -> None:
    with pytest.raises(VideoError, match=r"after \d\.\d\d s"):
        probe(cut_clip)


def test_probe_names_the_time_of_damage(damaged_clip: Path) -> None:
    with pytest.raises(VideoError, match=r"cannot be decoded after [12]\.\d\d s"):
        probe(damaged_clip)


def test_a_video_error_is_the_users_to_mend() -> None:
    assert issubclass(VideoError, UserError)


def test_a_clip_cut_off_anywhere_is_whole_or_an_error_of_ours(clip: Path, tmp_path: Path) -> None:
    whole = clip.read_bytes()
    short = tmp_path / "short.mp4"
    refused = 0
    for length in range(1, len(whole), max(1, len(whole) // 60)):
        short.write_bytes(whole[:length])
        try:
            counts = probe(short).frames, len(frame_index(short).times)
        except VideoError:
            refused += 1
        else:  # only what stands behind the last frame is missing
            assert counts == (100, 100)
    assert refused > 50
