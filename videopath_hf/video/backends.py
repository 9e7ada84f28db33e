"""The decoders that can read frames by number: PyAV, with several readers at once, decord and torchcodec."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any, Literal, get_args

import numpy as np

from videopath_hf.errors import UserError
from videopath_hf.video.container import Geometry, Source, VideoError, Wanted, decode, open_video, reason
from videopath_hf.video.frame_index import FrameIndex
from videopath_hf.video.shown import decode_all, decode_at, numbered

Backend = Literal["pyav", "decord", "torchcodec", "auto"]
Pictures = np.ndarray[Any, np.dtype[np.uint8]]
Transform = Callable[[Pictures], Pictures]

SEEK_PAYS = 16
"""Frames: a seek empties the decoder's threads, which costs about as much as decoding a few."""

_most_readers = 4  # each holds a decoder's pictures: some 30 MB at 720p
_LEAST = 2 * SEEK_PAYS  # frames of a part: shorter ones would be decoded through by the readers of those beside them
_PARTS = 16  # for each reader: the last one to finish is late by a part of its work only
_ORDER = ("pyav", "torchcodec", "decord")


def cpus() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_most_readers(count: int) -> None:
    """Let this process read a video with at most so many readers: 1 where many processes each read their own."""
    global _most_readers
    _most_readers = count


def unusable(backend: str) -> str | None:
    """Why a decoder cannot be used on this machine, found by trying; None if it can."""
    if backend == "pyav":
        return None
    try:
        if backend == "decord":
            import decord  # noqa: F401
        else:
            import torchcodec.decoders  # noqa: F401
    except ImportError as error:
        if getattr(error, "name", None) == backend:
            return f"`{backend}` is not installed: pip install {backend}"
        return f"`{backend}` does not import ({reason(error)})"
    except (RuntimeError, OSError):
        return f"`{backend}` finds none of the FFmpeg libraries it needs on this system; install FFmpeg"
    return None


def choose_backend(backend: str) -> str:
    """The decoder to use for `backend`: itself if it can be used, for `"auto"` the first one that can.

    Raises:
        ValueError: for an unknown name.
        UserError: if the decoder asked for cannot be used here; the message says why.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"backend must be one of {', '.join(get_args(Backend))}, not {backend!r}")
    if backend == "auto":
        return next(name for name in _ORDER if unusable(name) is None)
    fault = unusable(backend)
    if fault is not None:
        raise UserError(f"decoder {backend!r} cannot be used: {fault}, or choose 'pyav'")
    return backend


def read_pyav(path: Path, index: FrameIndex, numbers: list[int], transform: Transform | None) -> Pictures:
    """Read frames by ascending number with as many readers at once as there are cores.

    The readers take stretches of the video as they become free, so that none waits for another. Pictures are converted
    and transformed by the reader that decodes them. Where that fails, all is decoded from the first frame on, for the
    file may mark keyframes that are none.
    """
    taken = _Taken(numbers)

    def take(number: int, picture: Pictures) -> None:
        taken.put(number, transform(picture) if transform else picture)

    read_each(path, index, numbers, take)
    return taken.pictures


def read_each(path: Path, index: FrameIndex, numbers: list[int], take: Callable[[int, Pictures], None]) -> None:
    """Like `read_pyav`, but hand the number and picture of each frame to `take`, in no order, from several threads.

    A frame may come twice: after a failure all are read again.
    """
    try:
        _read_each(path, index, numbers, take)
    except VideoError:
        if len(index.keyframes) < 2:
            raise
        _read_each(path, index._replace(keyframes=index.keyframes[:1]), numbers, take)


def _read_each(path: Path, index: FrameIndex, numbers: list[int], take: Callable[[int, Pictures], None]) -> None:
    count = min(cpus(), _most_readers)
    parts = _split(index, numbers, count * _PARTS) if index.pts is not None else [numbers]
    wanted = index.wanted(numbers)
    # The threads of one decoder wait for each other: they pay only where there are fewer stretches than cores.
    threads = 1 if len(parts) >= count else 0
    with ExitStack() as stack:
        idle: SimpleQueue[_Reader] = SimpleQueue()
        for _ in range(min(count, len(parts))):
            source = stack.enter_context(open_video(path))
            source.stream.codec_context.thread_count = threads
            idle.put(_Reader(source, index, wanted))

        def read(part: list[int]) -> None:
            reader = idle.get()
            try:
                for number, picture in zip(part, reader.read(part), strict=True):
                    take(number, picture)
            finally:
                idle.put(reader)

        if len(parts) == 1:
            read(parts[0])
        else:
            with ThreadPoolExecutor(count) as pool:
                deque(pool.map(read, parts), maxlen=0)


class _Taken:
    """Pictures from several threads in one array: nothing is held twice."""

    def __init__(self, numbers: list[int]) -> None:
        self._places = {number: place for place, number in enumerate(numbers)}
        self._lock = Lock()
        self.pictures: Pictures = np.empty(0, np.uint8)

    def put(self, number: int, picture: Pictures) -> None:
        """Copy the picture of a frame to its place; all must be of one shape."""
        with self._lock:
            if not self.pictures.size:
                self.pictures = np.empty((len(self._places), *picture.shape), picture.dtype)
        if picture.shape != self.pictures.shape[1:]:
            raise ValueError(f"pictures of one video have shapes {self.pictures.shape[1:]} and {picture.shape}")
        self.pictures[self._places[number]] = picture


def _split(index: FrameIndex, numbers: list[int], parts: int) -> list[list[int]]:
    """Cut ascending frame numbers, between keyframes, into at most `parts` parts of about equal work."""
    groups: dict[int, list[int]] = {}
    for number in numbers:
        groups.setdefault(index.keyframe_before(number), []).append(number)
    total = sum(group[-1] - keyframe + 1 for keyframe, group in groups.items())
    parts = max(1, min(parts, total // _LEAST))
    cut: list[list[int]] = [[] for _ in range(parts)]
    done = 0
    for keyframe, group in groups.items():
        work = group[-1] - keyframe + 1
        cut[min(parts - 1, int((done + work / 2) * parts / total))] += group
        done += work
    return [part for part in cut if part]


class _Reader:
    """One open file that reads stretches of ascending frame numbers, one after the other."""

    def __init__(self, source: Source, index: FrameIndex, wanted: Wanted | None) -> None:
        self.source, self.index, self.wanted = source, index, wanted
        self.shown = decode_all(source) if index.pts is None else numbered(source, index, wanted=wanted)
        self.position = 0
        self.geometry = index.geometry

    def read(self, numbers: list[int]) -> Iterator[Pictures]:
        for number in numbers:
            if self.index.keyframe_before(number) - self.position > SEEK_PAYS:
                self.shown = decode_at(self.source, self.index, number, self.wanted)
            item = next((item for item in self.shown if item.index >= number), None)
            if item is None or item.index != number:
                time = self.index.times[number]
                raise VideoError(f"{self.source.path} is damaged: frame {number} at {time:.2f} s does not decode")
            self.position = number + 1
            if self.geometry is None:
                self.geometry = Geometry.of(item.frame, self.source.stream)
            yield self.geometry.picture(item.frame)


def read_decord(path: Path, index: FrameIndex, numbers: list[int]) -> Pictures:
    """Read frames by ascending number with decord, which the published implementation uses."""
    import decord

    _check_upright(path, "decord")
    try:
        reader = decord.VideoReader(str(path))
        if len(reader) != len(index.times):
            raise _other_count(path, "decord", len(reader), len(index.times))
        if not index.closed:  # after a seek into an open group of pictures decord miscounts
            pictures: Pictures = _one_by_one(lambda _: reader.next().asnumpy(), numbers)
        else:
            pictures = reader.get_batch(numbers).asnumpy()
    except (RuntimeError, decord.DECORDError) as error:
        why = reason(error).rpartition("check failed: ")[2]  # before it stand decord's own source lines
        raise VideoError(f"{path} cannot be decoded by decord ({why}); use backend='pyav'") from None
    return pictures


def _one_by_one(read: Callable[[int], Pictures], numbers: list[int]) -> Pictures:
    wanted = set(numbers)
    pictures = (read(number) for number in range(numbers[-1] + 1))
    return np.stack([picture for number, picture in enumerate(pictures) if number in wanted])


def read_torchcodec(path: Path, index: FrameIndex, numbers: list[int]) -> Pictures:
    """Read frames by ascending number with torchcodec, which transformers uses."""
    from torchcodec.decoders import VideoDecoder

    _check_upright(path, "torchcodec")
    try:
        decoder = VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=0)
        if len(decoder) != len(index.times):
            raise _other_count(path, "torchcodec", len(decoder), len(index.times))
        if not index.closed:  # with FFmpeg 5 a seek into an open group of pictures loses frames
            return _one_by_one(lambda number: decoder.get_frame_at(number).data.numpy(), numbers)
        pictures: Pictures = decoder.get_frames_at(numbers).data.numpy()
    except (RuntimeError, ValueError, IndexError) as error:
        raise VideoError(f"{path} cannot be decoded by torchcodec ({reason(error)}); use backend='pyav'") from None
    return pictures


def _check_upright(path: Path, backend: str) -> None:
    with open_video(path) as source:
        first = next(decode(source))
        if Geometry.of(first, source.stream) != Geometry(first.width, first.height):
            raise VideoError(
                f"{path} is shown turned or with oblong pixels, which {backend} ignores; use backend='pyav'"
            )


def _other_count(path: Path, backend: str, seen: int, decodable: int) -> VideoError:
    return VideoError(f"{path}: {backend} sees {seen} frames, {decodable} decode; use backend='pyav'")
