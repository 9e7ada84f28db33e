"""All frames of a video, in order and once each, decoded ahead of whoever looks at them."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import count, islice
from pathlib import Path
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

import av
import numpy as np
from av.video.frame import VideoFrame

from videopath_hf.video.backends import cpus
from videopath_hf.video.container import Source, VideoError, decode, decoding_error, open_video
from videopath_hf.video.frame_index import FrameIndex

T = TypeVar("T")
R = TypeVar("R")

_MOST_READERS = 4  # each holds a decoder's pictures and what was made ahead of its turn
_LONGEST_STRETCH = 300  # frames between keyframes; beyond it, the readers would wait for each other
_TOGETHER = 4  # frames that are handed over together


class Walked(NamedTuple, Generic[T]):
    """A frame that was decoded: its number, its time stamp, its time and duration in seconds, what was made of it."""

    number: int
    pts: int | None
    time: float
    duration: float
    made: T


def with_readers(index: FrameIndex, work: Callable[[int], R]) -> R:
    """Do `work` with as many readers as a video keeps busy; if that fails, with a single one, which bears more damage.

    Two decoders of one thread take 2.8 processor seconds for what one decoder of two threads takes 3.9.
    """
    readers = _most_readers(index)
    if readers > 1:
        with suppress(VideoError):
            return work(readers)
    return work(1)


def _most_readers(index: FrameIndex) -> int:
    if index.pts is None or not index.closed or index.keyframes[0] != 0:
        return 1
    longest = int(np.diff(index.keyframes, append=len(index.pts)).max())
    return min(cpus(), _MOST_READERS, len(index.keyframes)) if longest <= _LONGEST_STRETCH else 1


def decode_in_turns(
    path: Path,
    index: FrameIndex,
    make: Callable[[int, VideoFrame], T],
    readers: int = 1,
    options: dict[str, str] | None = None,
) -> Iterator[Walked[T]]:
    """Decode every frame once and make something of it, in other threads and ahead of the caller.

    Args:
        path (`Path`): the video.
        index (`FrameIndex`): its index.
        make (`Callable`): given a frame's number and the frame, in the thread that decoded it; what it returns is
            handed out, the frame itself is let go.
        readers (`int`, defaults to 1): how many read the file, each all of its packets, and decode stretches from one
            keyframe to the next, whoever is free the next one; see `with_readers`. A single one decodes all, with the
            decoder's own threads.
        options (`dict[str, str]`, *optional*): of the decoder.

    Raises:
        VideoError: a frame does not decode, or, with several readers, comes in another place than the index says.
    """
    with ExitStack() as stack:
        shown, turns = [], _Turns()
        for _ in range(readers):
            source = stack.enter_context(open_video(path))
            pool = ThreadPoolExecutor(1)
            stack.callback(pool.shutdown, cancel_futures=True)  # before its file is closed
            source.stream.codec_context.options = options or {}
            frames = _all(source, make) if readers == 1 else _stretches(source, index, turns, make)
            shown.append(_ahead(frames, pool, 2 if readers == 1 else _LONGEST_STRETCH // _TOGETHER))
        for expected, item in enumerate(_in_order(shown)):
            if readers > 1 and item.number != expected:
                raise VideoError(f"{path} decodes out of order: frame {item.number} comes as number {expected}")
            yield item


def _all(source: Source, make: Callable[[int, VideoFrame], T]) -> Iterator[Walked[T] | int]:
    """All frames, as if they were one stretch."""
    yield 0
    for number, frame in enumerate(decode(source)):
        yield _walked(source, number, frame, source.time(frame.pts, number), make)


class _Turns:
    """Which reader decodes which stretch: the first that comes to it and is free."""

    def __init__(self) -> None:
        self._next = 0
        self._lock = Lock()

    def take(self, stretch: int) -> bool:
        """Whether a reader that comes to this stretch is to decode it; every reader asks for all, in order."""
        with self._lock:
            mine = stretch == self._next
            self._next += mine
        return mine


def _stretches(
    source: Source, index: FrameIndex, turns: _Turns, make: Callable[[int, VideoFrame], T]
) -> Iterator[Walked[T] | int]:
    """The frames of the stretches that this reader decodes, and before those of each its number."""
    assert index.pts is not None
    source.stream.codec_context.thread_count = 1
    for frame in _decode_stretches(source, turns):
        if isinstance(frame, int):
            yield frame
            continue
        number = int(np.searchsorted(index.pts, frame.pts)) if frame.pts is not None else len(index.pts)
        if number == len(index.pts) or index.pts[number] != frame.pts:
            raise VideoError(f"{source.path}: a frame decodes at a time ({frame.time} s) that no packet of it names")
        yield _walked(source, number, frame, float(index.times[number]), make)


def _decode_stretches(source: Source, turns: _Turns) -> Iterator[VideoFrame | int]:
    context = source.stream.codec_context
    stretch, mine, last = -1, False, 0.0
    try:
        for packet in source.container.demux(source.stream):
            if packet.is_keyframe:
                stretch += 1
                if mine:
                    yield from context.decode(None)
                    context.flush_buffers()
                mine = turns.take(stretch)
                if mine:
                    yield stretch
            if mine:
                for frame in packet.decode():
                    last = source.time(frame.pts, 0)
                    yield frame
    except (av.FFmpegError, OSError) as error:
        raise decoding_error(source.path, last, error) from None


def _walked(
    source: Source, number: int, frame: VideoFrame, time: float, make: Callable[[int, VideoFrame], T]
) -> Walked[T]:
    seconds = float(frame.duration * source.time_base if frame.duration else 1 / source.rate)
    return Walked(number, frame.pts, time, seconds, make(number, frame))


def _ahead(frames: Iterator[T], reader: Executor, parts: int) -> Iterator[T]:
    """The frames, so many parts of them decoded by another thread before they are asked for; it begins at once."""

    def decode_some() -> list[T]:
        return list(islice(frames, _TOGETHER))

    waiting = deque(reader.submit(decode_some) for _ in range(parts))

    def hand_out() -> Iterator[T]:
        while some := waiting.popleft().result():
            waiting.append(reader.submit(decode_some))
            yield from some

    return hand_out()


def _in_order(readers: Sequence[Iterator[T | int]]) -> Iterator[T]:
    """What the readers give, stretch after stretch; each stretch follows its number."""
    coming = {next(reader, None): reader for reader in readers}
    for stretch in count():
        reader = coming.pop(stretch, None)
        if reader is None:
            return
        for item in reader:
            if isinstance(item, int):
                coming[item] = reader
                break
            yield item
