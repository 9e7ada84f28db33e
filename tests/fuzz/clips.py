"""Small real videos of many kinds, made on the spot: what the damage is done to."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.curation.conftest import Picture, stained

RATE = 10
FRAMES = 24
SIZE = (128, 96)


def pictures(count: int, size: tuple[int, int], seed: int = 1) -> Iterator[Picture]:
    """A camera that moves over a stained slide."""
    width, height = size
    canvas = stained(height + 40, width + 2 * count + 4, seed)
    for number in range(count):
        yield canvas[number // 2 % 40 :, 2 * number :][:height, :width]


def write(
    path: Path,
    codec: str = "libx264",
    size: tuple[int, int] = SIZE,
    frames: int = FRAMES,
    rate: float = RATE,
    pix_fmt: str = "yuv420p",
    container: str | None = None,
    muxing: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    keep: Callable[[int], bool] = lambda number: True,
    shift: int = 0,
    sound: bool = False,
    gop: int = 8,
) -> Path:
    """Encode a video with PyAV.

    Args:
        times (`Sequence[int]`, *optional*): time stamps in thousandths of a second instead of a steady rate.
        keep (`Callable`): which packets, by number, go into the file.
        shift (`int`): thousandths of a second added to every packet's time stamps.
        sound (`bool`): add a silent track.
    """
    with av.open(str(path), "w", format=container, options={"fflags": "+bitexact", **(muxing or {})}) as output:
        options = {"threads": "1", "crf": "30", "preset": "ultrafast"} if codec == "libx264" else {"threads": "1"}
        stream = output.add_stream(codec, rate=Fraction(rate).limit_denominator(100), options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *size, pix_fmt, gop
        tick = Fraction(1, 1000) if times is not None else Fraction(1) / Fraction(rate).limit_denominator(100)
        if times is not None:
            stream.codec_context.time_base = tick
        tone = output.add_stream("aac", rate=16000) if sound else None
        number = 0
        for index, picture in enumerate(pictures(frames, size)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = index if times is None else times[index], tick
            number = _mux(output, stream.encode(frame.reformat(format=pix_fmt)), keep, shift, number)
        _mux(output, stream.encode(None), keep, shift, number)
        if tone is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000), dtype=np.float32), format="fltp", layout="mono")
            silence.rate = 16000
            output.mux(tone.encode(silence))
            output.mux(tone.encode(None))
    return path


def _mux(output: Any, packets: Any, keep: Callable[[int], bool], shift: int, number: int) -> int:
    for packet in packets:
        if keep(number):
            ticks = round(Fraction(shift, 1000) / packet.time_base)
            packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
            output.mux(packet)
        number += 1
    return number


def only_sound(path: Path) -> Path:
    """A second of silence."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac" if path.suffix == ".mp4" else "pcm_s16le", rate=16000)
        layout = "fltp" if path.suffix == ".mp4" else "s16"
        kind = np.float32 if path.suffix == ".mp4" else np.int16
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), dtype=kind), format=layout, layout="mono")
        frame.rate = 16000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def picture_file(path: Path, codec: str) -> Path:
    """One picture as an image file."""
    with av.open(str(path), "w", format="image2") as output:
        stream = output.add_stream(codec, rate=1)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuvj420p" if codec == "mjpeg" else "rgb24"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(next(pictures(1, SIZE))), format="rgb24")
        output.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        output.mux(stream.encode(None))
    return path


def containers(folder: Path) -> dict[str, bytes]:
    """The same scene in the containers and codecs that lectures come in, by file suffix."""
    made = {
        "mp4": write(folder / "fast.mp4", muxing={"movflags": "+faststart"}, sound=True),
        "late.mp4": write(folder / "late.mp4"),
        "frag.mp4": write(folder / "frag.mp4", muxing={"movflags": "frag_keyframe+empty_moov"}),
        "mov": write(folder / "clip.mov", "mjpeg", pix_fmt="yuvj420p"),
        "mkv": write(folder / "clip.mkv", sound=True),
        "webm": write(folder / "clip.webm", "libvpx-vp9"),
        "avi": write(folder / "clip.avi", "mjpeg", pix_fmt="yuvj420p"),
        "ts": write(folder / "clip.ts", container="mpegts", rate=25, sound=True),
        "mpg": write(folder / "clip.mpg", "mpeg2video", rate=25),
        "flv": write(folder / "clip.flv"),
        "wmv": write(folder / "clip.wmv", "wmv2", container="asf"),
    }
    return {suffix: path.read_bytes() for suffix, path in made.items()}
