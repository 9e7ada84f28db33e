from pathlib import Path

import av
import numpy as np
import pytest

from tests.video.conftest import number_of, numbered
from videopath_hf.video.decode import iter_frames, read_frames
from videopath_hf.video.encode import write_clip
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.probe import VideoError, probe


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        assert write_clip(tmp_path / name, numbered(40, 240, 320), fps=2) == 40
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_a_clip_is_muted_h264_with_as_many_frames_as_went_in(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    assert write_clip(path, numbered(7), fps=2) == 7
    info = probe(path)
    assert (info.frames, info.fps, info.codec, info.has_audio) == (7, 2.0, "h264", False)
    assert info.duration == pytest.approx(3.5)
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_frames_keep_their_times_and_order(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, numbered(50), fps=29.97)
    frames = list(iter_frames(path))
    assert [number_of(frame.image) for frame in frames] == list(range(50))
    assert [frame.time for frame in frames] == pytest.approx([number / 29.97 for number in range(50)], abs=1e-4)


@pytest.mark.parametrize("size", [(64, 64), (66, 64), (64, 66), (70, 98), (90, 1062)])
def test_a_clip_looks_like_its_frames(tmp_path: Path, size: tuple[int, int]) -> None:
    across, down = (np.linspace(0, 255, side, dtype=np.uint8) for side in (size[1], size[0]))
    image = np.stack([np.tile(across, (size[0], 1)), np.tile(down[:, None], (1, size[1])), np.full(size, 128)], -1)
    image = image.astype(np.uint8)
    write_clip(tmp_path / "clip.mp4", [image] * 3, fps=1, crf=8)
    shown = read_frames(tmp_path / "clip.mp4", [1])[0]
    assert shown.shape == image.shape
    assert np.abs(shown.astype(int) - image).mean() < 3


def test_fine_stripes_take_the_mean_of_their_colours(tmp_path: Path) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, ::2, 0], image[:, 1::2, 2] = 200, 200  # red and blue
    write_clip(tmp_path / "clip.mp4", [image] * 2, fps=1, crf=1)
    red, green, blue = read_frames(tmp_path / "clip.mp4", [1])[0].reshape(-1, 3).mean(axis=0)
    assert red == pytest.approx(100, abs=10) and blue == pytest.approx(100, abs=10) and green < 10


def test_an_odd_row_and_column_are_cropped(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, numbered(4, 73, 97), fps=2, crf=0)
    info = probe(path)
    assert (info.width, info.height) == (96, 72)
    first = next(numbered(1, 73, 97))[:72, :96]
    assert np.abs(read_frames(path, [0])[0].astype(int) - first).mean() < 12


def test_keyframes_come_every_second_unless_said_otherwise(tmp_path: Path) -> None:
    still = [next(numbered(1))] * 30
    write_clip(tmp_path / "a.mp4", still, fps=5)
    assert frame_index(tmp_path / "a.mp4").keyframes.tolist() == [0, 5, 10, 15, 20, 25]
    write_clip(tmp_path / "b.mp4", still, fps=5, gop=12)
    assert frame_index(tmp_path / "b.mp4").keyframes.tolist() == [0, 12, 24]


def test_a_clip_plays_while_it_loads(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", numbered(10), fps=2)
    data = (tmp_path / "clip.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_nothing_is_left_behind_when_the_frames_fail(tmp_path: Path) -> None:
    def failing() -> object:
        yield from numbered(3)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_clip(tmp_path / "clip.mp4", failing(), fps=2)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_clip_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="there are no frames"):
        write_clip(tmp_path / "clip.mp4", [], fps=2)
    assert list(tmp_path.iterdir()) == []


def test_frames_of_different_sizes_are_refused(tmp_path: Path) -> None:
    frames = [next(numbered(1)), next(numbered(1, 80, 96))]
    with pytest.raises(ValueError, match="of one size"):
        write_clip(tmp_path / "clip.mp4", frames, fps=2)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(VideoError, match=r"clip\.mp4 cannot be written"):
        write_clip(tmp_path / "file" / "clip.mp4", numbered(2), fps=2)
