"""Small videos made on the spot."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from videopath_hf.video.encode import write_clip

Maker = Callable[..., Path]


def numbered(count: int, height: int = 72, width: int = 96) -> Iterator[np.ndarray]:
    """Frames that carry their number as eight black or white blocks, so that a decoded frame tells which it is."""
    background = np.random.default_rng(0).integers(90, 160, (height, width, 3), dtype=np.uint8)
    for number in range(count):
        frame = np.roll(background, number, axis=1)
        for bit in range(8):
            frame[:16, bit * width // 8 : (bit + 1) * width // 8] = 255 * (number >> bit & 1)
        yield frame


def number_of(image: np.ndarray) -> int:
    """The number that `numbered` wrote into a frame."""
    rows = image[: max(1, image.shape[0] // 8)].mean(axis=(0, 2))
    return sum(int(block.mean() > 127) << bit for bit, block in enumerate(np.array_split(rows, 8)))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 numbered frames at 25 fps, 96x72, a keyframe every second."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_clip(path, numbered(100), fps=25)
    return path


@pytest.fixture(scope="session")
def long_gop_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 numbered frames at 30 fps with B-frames and a keyframe every 40 frames."""
    path = tmp_path_factory.mktemp("clip") / "long.mp4"
    write_clip(path, numbered(240), fps=30, gop=40)
    return path


@pytest.fixture
def uneven_clip(tmp_path: Path) -> Path:
    """Six frames of a variable frame rate, at 0, 0.1, 0.2, 2.0, 2.1 and 3.0 s, in a Matroska file."""
    path = tmp_path / "uneven.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for image, time in zip(numbered(6), (0, 100, 200, 2000, 2100, 3000), strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def turned_clip(clip: Path, tmp_path: Path) -> Path:
    """The clip with a display matrix, as phones write it: to be turned by 90 degrees clockwise."""
    data = bytearray(clip.read_bytes())
    matrix = data.index(b"tkhd") + 44  # after type, version, times, id, duration, layer and volume (ISO 14496-12)
    values = (0, 0x10000, 0, -0x10000, 0, 0, 72 << 16, 0, 0x40000000)
    data[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in values)
    path = tmp_path / "turned.mp4"
    path.write_bytes(data)
    return path


@pytest.fixture
def damaged_clip(clip: Path, tmp_path: Path) -> Path:
    """The clip with a stretch in its middle overwritten."""
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = b"\xff" * 4000
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    return path


@pytest.fixture
def cut_clip(clip: Path, tmp_path: Path) -> Path:
    """The first 60 % of the clip's bytes: its header lists frames that are not there."""
    data = clip.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: len(data) * 6 // 10])
    return path


@pytest.fixture
def sound_only(tmp_path: Path) -> Path:
    """A second of silence in an mp4 container."""
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), dtype=np.float32), format="fltp", layout="mono")
        frame.rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def encoded(path: Path, codec: str) -> Path:
    """40 numbered frames with a keyframe every 12; x264 and x265 are told to show frames across keyframes."""
    options = {"libx264": {"x264-params": "open-gop=1:keyint=12:bframes=3"}, "libsvtav1": {"preset": "8"}}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 96, 72, "yuv420p", 12
        for image in numbered(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def without_frames(path: Path) -> Path:
    """What a recorder that was switched off at once leaves: the header of a video stream, and no frame."""
    with av.open(str(path), "w", options={"movflags": "empty_moov+frag_keyframe"}) as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.start_encoding()
    return path
