"""Writing clips: H.264 without sound, the same bytes for the same frames."""

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from videopath_hf.errors import DISK_TROUBLES
from videopath_hf.files import atomic_path
from videopath_hf.video.container import VideoError, reason

_MATRIX_BT601 = 6  # what players, decord and FFmpeg undo alike, whatever the frame size
_LIMITED_RANGE = 1
_CHROMA = np.array([[-0.148223, -0.290993, 0.439216, 128], [0.439216, -0.367788, -0.071427, 128]])  # BT.601's U and V
_PRESET = "ultrafast"  # no CABAC: a fifth larger than veryfast, but decoded in a third of the time, at each epoch
_THREADS = "2"  # x264's output depends on their number, so it must not be the machine's


def write_clip(
    path: str | Path,
    frames: Iterable[np.ndarray[Any, np.dtype[np.uint8]]],
    fps: float,
    crf: int = 18,
    gop: int | None = None,
) -> int:
    """Write frames as an mp4 file (H.264, yuv420p, no sound, playable while it loads) and return how many.

    The same frames give the same bytes: threads are fixed, nothing of the machine or the hour is in the file. The file
    appears when it is complete. An odd last row or column of pixels is cropped.

    Args:
        path (`str` or `Path`): the file to write; one that exists is replaced.
        frames (`Iterable[np.ndarray]`): uint8 [H, W, 3] RGB, all of one size.
        fps (`float`): frames per second.
        crf (`int`, defaults to 18): x264's constant rate factor, 0 (lossless) to 51.
        gop (`int`, *optional*): frames from one keyframe to the next; a second of them if omitted.

    Raises:
        VideoError: if there is no frame, or the file cannot be written.
        OSError: the disk is full or may not be written to.
    """
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise VideoError(f"{path} is not written: there are no frames for it")
    if min(first.shape[:2]) < 2:
        raise VideoError(f"{path} is not written: frames of {first.shape[1]}x{first.shape[0]} pixels are too small")
    rate = Fraction(fps).limit_denominator(1001)
    options = {"crf": str(crf), "preset": _PRESET, "threads": _THREADS}
    try:
        with (
            atomic_path(path) as temporary,
            av.open(
                str(temporary), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}
            ) as container,
        ):
            stream = container.add_stream("libx264", rate=rate, options=options)
            stream.height, stream.width = (size // 2 * 2 for size in first.shape[:2])
            stream.pix_fmt = "yuv420p"
            stream.gop_size = gop or max(1, round(fps))
            stream.codec_context.colorspace = _MATRIX_BT601
            stream.codec_context.color_range = _LIMITED_RANGE
            count = 0
            for count, frame in enumerate(_pictures(chain([first], iterator), first.shape), start=1):
                frame.pts = count - 1
                frame.time_base = 1 / rate
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            return count
    except (av.FFmpegError, OSError) as error:
        if error.errno in DISK_TROUBLES:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from None
        raise VideoError(f"{path} cannot be written ({reason(error)})") from None


def _pictures(frames: Iterable[np.ndarray[Any, np.dtype[np.uint8]]], shape: tuple[int, ...]) -> Iterator[VideoFrame]:
    """The frames in BT.601's limited range."""
    height, width = (size // 2 * 2 for size in shape[:2])
    packed = np.empty((height * 3 // 2, width), dtype=np.uint8)  # Y, then U and V at half the size
    chroma = packed[height:].reshape(2, height // 2, width // 2)
    for frame in frames:
        if frame.shape != shape or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ValueError(f"frames must be uint8 [H, W, 3] of one size, {shape}; got {frame.dtype} {frame.shape}")
        picture = np.ascontiguousarray(frame[:height, :width])
        cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420, dst=packed)
        # OpenCV takes the colour of one pixel of four: it is to be that of their mean.
        halved = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        cv2.split(cv2.transform(halved, _CHROMA), list(chroma))
        yield VideoFrame.from_ndarray(packed, format="yuv420p")
