"""Frames as arrays: one pass over a video at a steady rate, or the very frames asked for."""

from collections.abc import Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from av.video.frame import VideoFrame

from videopath_hf.errors import UserError
from videopath_hf.video.container import Geometry, Source, VideoError, decode, open_video, reason
from videopath_hf.video.frame_index import FrameIndex, frame_index

Backend = Literal["pyav", "decord"]
Pictures = np.ndarray[Any, np.dtype[np.uint8]]

_EPSILON = 1e-6
_SEEK_PAYS = 16  # frames: a seek empties the decoder's threads, which costs about as much as decoding a few


class Frame(NamedTuple):
    """One frame: its number in the video, its time in seconds, its picture as uint8 [H, W, 3] RGB."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls on a frame
    time: float
    image: Pictures


class _Shown(NamedTuple):
    """A decoded frame that was not converted yet."""

    index: int  # type: ignore[assignment]
    time: float
    frame: VideoFrame


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
        last: Frame | None = None
        for index, time, frame in picked:
            if geometry is None:
                geometry = Geometry.of(frame, source.stream).scaled(width)
            if last is None or last.index != index:
                last = Frame(index, time, geometry.picture(frame))
            yield last


def _shown_from(source: Source, start: float) -> Iterator[_Shown]:
    """Decode from the keyframe before `start`, which takes the file's index, or from the first frame."""
    if start > 0:
        index = frame_index(source.path)
        wanted = max(0, int(np.searchsorted(index.times, start + _EPSILON)) - 1)
        if index.pts is not None and index.keyframe_before(wanted) > _SEEK_PAYS:
            return _decode_at(source, index, wanted)
    return _decode_all(source)


def _decode_all(source: Source) -> Iterator[_Shown]:
    for number, frame in enumerate(decode(source)):
        yield _Shown(number, source.time(frame.pts, number), frame)


def _between(shown: Iterator[_Shown], start: float, end: float | None) -> Iterator[_Shown]:
    for item in shown:
        if end is not None and item.time >= end - _EPSILON:
            return
        if item.time >= start - _EPSILON:
            yield item


def _on_grid(shown: Iterator[_Shown], source: Source, fps: float, start: float, end: float | None) -> Iterator[_Shown]:
    ticks = (start + number / fps for number in count())
    tick = next(ticks)
    before: _Shown | None = None
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


def _decode_at(source: Source, index: FrameIndex, wanted: int) -> Iterator[_Shown]:
    """Decode from a keyframe at or before frame `wanted` on.

    A container seeks by decoding times and may land behind the frame: then from the keyframe before, then from 0.
    """
    assert index.pts is not None
    keyframe = index.keyframe_before(wanted)
    for start in (keyframe, index.keyframe_before(keyframe - 1), 0):
        source.container.seek(int(index.pts[start]), stream=source.stream)
        shown = _numbered(source, index, from_start=False)
        first = next(shown, None)
        if first is not None and first.index <= wanted:
            return chain([first], shown)
    raise VideoError(f"{source.path}: frame {wanted} cannot be reached; the file's seek table is damaged")


def _numbered(source: Source, index: FrameIndex, from_start: bool = True) -> Iterator[_Shown]:
    assert index.pts is not None
    for frame in decode(source, from_start):
        number = int(np.searchsorted(index.pts, frame.pts)) if frame.pts is not None else len(index.pts)
        if number == len(index.pts) or index.pts[number] != frame.pts:
            raise VideoError(f"{source.path}: a frame decodes at a time ({frame.time} s) that no packet of it names")
        yield _Shown(number, float(index.times[number]), frame)


def read_frames(path: str | Path, indices: Sequence[int], backend: Backend = "pyav") -> Pictures:
    """Read the frames asked for, exactly, in the order asked for.

    Args:
        path (`str` or `Path`): the video.
        indices (`Sequence[int]`): frame numbers from 0 on, in any order; a number may come several times.
        backend (`str`, defaults to `"pyav"`): `"pyav"`, or `"decord"`, which the published implementation uses.

    Returns:
        `np.ndarray`: uint8 [F, H, W, 3] RGB, upright, with square pixels.

    Raises:
        VideoError: for a file that is not a video or does not decode up to the last frame asked for, and for a number
            that is out of range.
        UserError: if decord is asked for and not installed.
    """
    wanted = np.asarray(indices, dtype=np.int64)
    if wanted.ndim != 1 or not wanted.size:
        raise ValueError(f"indices must be a non-empty sequence of frame numbers, not of shape {wanted.shape}")
    if backend not in ("pyav", "decord"):
        raise ValueError(f"backend must be 'pyav' or 'decord', not {backend!r}")
    numbers, places = np.unique(wanted, return_inverse=True)
    index = frame_index(path)
    if numbers[0] < 0 or numbers[-1] >= len(index.times):
        outside = numbers[0] if numbers[0] < 0 else numbers[-1]
        raise VideoError(f"{path} has {len(index.times)} frames, numbered from 0; frame {outside} does not exist")
    read = _read_decord if backend == "decord" else _read_pyav
    pictures = read(Path(path), index, numbers)
    return pictures if np.array_equal(numbers, wanted) else pictures[places]


def _read_pyav(path: Path, index: FrameIndex, numbers: np.ndarray[Any, Any]) -> Pictures:
    with open_video(path) as source:
        pictures: Pictures | None = None
        shown = _decode_all(source) if index.pts is None else _numbered(source, index)
        position = 0
        for place, number in enumerate(numbers.tolist()):
            if index.keyframe_before(number) - position > _SEEK_PAYS:
                shown = _decode_at(source, index, number)
            item = next((item for item in shown if item.index >= number), None)
            if item is None or item.index != number:
                raise VideoError(f"{path} is damaged: frame {number} at {index.times[number]:.2f} s does not decode")
            if pictures is None:
                geometry = Geometry.of(item.frame, source.stream)
                pictures = np.empty((len(numbers), geometry.height, geometry.width, 3), dtype=np.uint8)
            pictures[place] = geometry.picture(item.frame)
            position = number + 1
    assert pictures is not None
    return pictures


def _read_decord(path: Path, index: FrameIndex, numbers: np.ndarray[Any, Any]) -> Pictures:
    try:
        import decord
    except ImportError:
        raise UserError("backend='decord' needs `decord`: pip install decord, or use backend='pyav'") from None
    with open_video(path) as source:
        first = next(decode(source))
        if Geometry.of(first, source.stream) != Geometry(first.width, first.height):
            raise VideoError(f"{path} is shown turned or with oblong pixels, which decord ignores; use backend='pyav'")
    try:
        reader = decord.VideoReader(str(path))
        if len(reader) != len(index.times):
            raise VideoError(
                f"{path}: decord sees {len(reader)} frames, {len(index.times)} decode; use backend='pyav'"
            )
        batch = reader.get_batch(numbers.tolist())
    except (RuntimeError, decord.DECORDError) as error:
        why = reason(error).rpartition("check failed: ")[2]  # before it stand decord's own source lines
        raise VideoError(f"{path} cannot be decoded by decord ({why}); use backend='pyav'") from None
    pictures: Pictures = batch.asnumpy()
    return pictures
