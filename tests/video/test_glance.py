from pathlib import Path

import av
import numpy as np
import pytest

from videopath_hf.video.container import Geometry, open_video
from videopath_hf.video.glance import glance, shrink


def colourful(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, 255 - x * 255 // width], axis=-1).astype(np.uint8)


def written(path: Path, pixels: str, size: tuple[int, int] = (180, 320)) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.height, stream.width, stream.pix_fmt = *size, pixels
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(colourful(*size), format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("rotation", [0, 90, 180])
def test_a_glance_shows_what_the_exact_small_picture_shows(tmp_path: Path, pixels: str, rotation: int) -> None:
    size = (90, 160) if rotation % 180 else (160, 90)
    with open_video(written(tmp_path / "x.mp4", pixels)) as source:
        frame = next(source.container.decode(source.stream))
        small = Geometry(*size, rotation)
        exact, quick = small.picture(frame), glance(frame, small)
    assert quick.shape == exact.shape == (size[1], size[0], 3)
    assert abs(quick.astype(int) - exact).mean() < 3  # swapped planes or a wrong turn are off by 40 and more


def test_odd_sizes_and_frames_smaller_than_the_glance_work(tmp_path: Path) -> None:
    with open_video(written(tmp_path / "x.mp4", "yuv420p", (38, 70))) as source:
        frame = next(source.container.decode(source.stream))
        small = Geometry(160, 86)
        exact, quick = small.picture(frame), glance(frame, small)
    assert abs(quick.astype(int) - exact).mean() < 5


def test_shrinking_averages_and_keeps_the_size_asked_for() -> None:
    image = colourful(181, 333)
    small = shrink(image, 40, 22)
    assert small.shape == (22, 40, 3)
    assert abs(small.mean(axis=(0, 1)) - image.mean(axis=(0, 1))).max() < 2
    checks = np.indices((64, 64)).sum(axis=0).astype(np.uint8) % 2 * 255
    assert abs(shrink(checks, 8, 8).astype(int) - 127).max() <= 1  # not one pixel of many
