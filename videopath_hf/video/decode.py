"""Frames as arrays: one pass over a video at a steady rate, or the very frames asked for."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from videopath_hf.video.backends import (
    SEEK_PAYS,
    Backend,
    Pictures,
    Transform,
    choose_backend,
    cpus,
    read_decord,
    read_pyav,
    read_torchcodec,
)
from videopath_hf.video.container import Geometry, Source, VideoError, open_video
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.shown import Shown, decode_all, decode_at

__all__ = ["Backend", "Frame", "Pictures", "iter_frames", "read_frames"]

_EPSILON = 1e-6


class Frame(NamedTuple):
    """One frame: its number in the video, its time in seconds, its picture as uint8 [H, W, 3] RGB."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls on a frame
    time: float
    image: Pictures


def iter_frames(
    path: str | Path,
    fps: float | None = None,
    start: float = 0.0,
    end: float | None = None,
    width: int | None = None,
) -> Iterator[Frame]:
    """Decode a stretch of a video in one pass; only the frames that are yielded are converted.

    Args:
        path (`str` or `Path`): the video.
        fps (`float`, *optional*): yield, for every time `start + k / fps` before `end`, the frame nearest to it. Where
            the video shows one picture for longer than `1 / fps`, that frame comes several times. Without it every
            frame comes once.
        start (`float`, defaults to 0.0): seconds; frames are numbered from the start of the video all the same.
        end (`float`, *optional*): seconds, exclusive; the video's end if omitted.
        width (`int`, *optional*): scale down to this width, keeping the shape, to an even height; never scales up.

    Raises:
        VideoError: for a file that is not a video, and, when the pass gets there, for a part that does not decode.
    """
    if fps is not None and not fps > 0:
        raise ValueError(f"fps must be above 0, not {fps}")
    with open_video(path) as source:
        shown = _shown_from(source, start)
        picked = _on_grid(shown, source, fps, start, end) if fps else _between(shown, start, end)
        geometry: Geometry | None = None
        if start > 0 and (first := frame_index(path).geometry) is not None:
            geometry = first.scaled(width)
        last: Frame | None = None
        for index, time, frame in picked:
            if geometry is None:
                geometry = Geometry.of(frame, source.stream).scaled(width)
            if last is None or last.index != index:
                last = Frame(index, time, geometry.picture(frame))
            yield last


def _shown_from(source: Source, start: float) -> Iterator[Shown]:
    """Decode from the keyframe before `start`, which takes the file's index, or from the first frame."""
    if start > 0:
        index = frame_index(source.path)
        wanted = max(0, int(np.searchsorted(index.times, start + _EPSILON)) - 1)
        if index.pts is not None and index.keyframe_before(wanted) > SEEK_PAYS:
            return decode_at(source, index, wanted)
    return decode_all(source)


def _between(shown: Iterator[Shown], start: float, end: float | None) -> Iterator[Shown]:
    for item in shown:
        if end is not None and item.time >= end - _EPSILON:
            return
        if item.time >= start - _EPSILON:
            yield item


def _on_grid(shown: Iterator[Shown], source: Source, fps: float, start: float, end: float | None) -> Iterator[Shown]:
    ticks = (start + number / fps for number in count())
    tick = next(ticks)
    before: Shown | None = None
    for item in shown:
        while item.time >= tick - _EPSILON:
            if end is not None and tick >= end - _EPSILON:
                return
            if before is not None and tick - before.time <= item.time - tick + _EPSILON:
                yield before
            else:
                yield item
            tick = next(ticks)
        before = item
    if before is None:
        return
    duration = before.frame.duration
    stop = before.time + float(duration * source.time_base if duration else 1 / source.rate)
    while tick < min(stop, stop if end is None else end) - _EPSILON:
        yield before
        tick = next(ticks)


def read_frames(
    path: str | Path, indices: Sequence[int], backend: Backend = "pyav", transform: Transform | None = None
) -> Pictures:
    """Read the frames asked for, exactly, in the order asked for. All decoders give the same pictures.

    Args:
        path (`str` or `Path`): the video.
        indices (`Sequence[int]`): frame numbers from 0 on, in any order; a number may come several times.
        backend (`str`, defaults to `"pyav"`): `"pyav"`, which is the fastest here and needs nothing of the system;
            `"decord"`, which the published implementation uses; `"torchcodec"`, which transformers uses and which
            needs the system's FFmpeg; `"auto"`: the first of them that works.
        transform (`Callable`, *optional*): what to make of each picture, uint8 [H, W, 3], as soon as it is decoded,
            e.g. a smaller one; it runs in several threads at once.

    Returns:
        `np.ndarray`: uint8 [F, H, W, 3] RGB, upright, with square pixels.

    Raises:
        VideoError: for a file that is not a video or does not decode up to the last frame asked for, and for a number
            that is out of range.
        UserError: if a decoder is asked for that does not work on this machine.
    """
    wanted = np.asarray(indices, dtype=np.int64)
    if wanted.ndim != 1 or not wanted.size:
        raise ValueError(f"indices must be a non-empty sequence of frame numbers, not of shape {wanted.shape}")
    chosen = choose_backend(backend)
    numbers, places = np.unique(wanted, return_inverse=True)
    index = frame_index(path)
    if numbers[0] < 0 or numbers[-1] >= len(index.times):
        outside = numbers[0] if numbers[0] < 0 else numbers[-1]
        raise VideoError(f"{path} has {len(index.times)} frames, numbered from 0; frame {outside} does not exist")
    if chosen == "pyav":
        pictures = read_pyav(Path(path), index, numbers.tolist(), transform)
    else:
        read = read_decord if chosen == "decord" else read_torchcodec
        pictures = read(Path(path), index, numbers.tolist())
        if transform is not None:
            with ThreadPoolExecutor(cpus()) as pool:
                pictures = np.stack(list(pool.map(transform, pictures)))
    return pictures if np.array_equal(numbers, wanted) else pictures[places]
