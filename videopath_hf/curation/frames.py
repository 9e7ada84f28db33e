"""The two times a lecture is decoded: all frames at low resolution, then those of the clips at full resolution."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from pathlib import Path
from weakref import WeakSet

import av
import numpy as np
from av.video.frame import VideoFrame

from videopath_hf.curation.clips import Grid
from videopath_hf.curation.lecture import Listener
from videopath_hf.curation.look import Look, View, due_frames, look_at, small_size
from videopath_hf.curation.settings import SegmentSettings
from videopath_hf.curation.tissue import Picture
from videopath_hf.video.backends import read_each
from videopath_hf.video.container import Geometry, VideoError, open_video
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.glance import glance
from videopath_hf.video.probe import FrameWalk, VideoInfo
from videopath_hf.video.turns import decode_in_turns, with_readers

KEPT_BYTES = 300_000_000
"""Pictures of one segment that are kept for making its clips: 108 of 720p, 54 s at 2 frames a second. As much again is
kept of segments before, whose clips are under way."""

_AHEAD = 1.5  # times `KEPT_BYTES`: pictures of segments beside each other, the one decoded ahead among them
_CHUNK_BYTES = 120_000_000  # pictures that are decoded together where they are not kept; as many are decoded ahead
_BEAT_FRAMES = 25
# Frames between two others are not deblocked: nothing at low resolution shows it.
_NOT_DEBLOCKED = {"skip_loop_filter": "bidir"}
_EPSILON = 1e-6


def decode_pass(path: Path, settings: SegmentSettings, listener: Listener) -> tuple[VideoInfo, Look]:
    """Decode every frame of a video once: prove that it decodes, measure it, and look at it at low resolution.

    Raises:
        VideoError: it is not a video, or is damaged or cut off anywhere.
    """
    with open_video(path) as source:
        listener.length((source.container.duration or 0) / av.time_base)
        index = frame_index(path)

        def look(readers: int) -> tuple[VideoInfo, Look]:
            walk = FrameWalk(source, index)
            views = _views(walk, settings, listener.beat, readers)
            first = list(islice(views, 1))
            seen = look_at(chain(first, views), walk.so_far(), settings)
            return walk.info(), seen

        return with_readers(index, look)


def _views(
    walk: FrameWalk, settings: SegmentSettings, beat: Callable[[int, int | None], None], readers: int
) -> Iterator[View]:
    index, path = walk.index, walk.source.path
    full = index.geometry
    if full is None:
        raise VideoError(f"{path} holds no frame that can be decoded")
    small, detail = Geometry(*small_size(full.width, full.height), full.rotation), full.scaled(settings.width)
    due = due_frames(index.times, settings.sample_fps)

    def make(number: int, frame: VideoFrame) -> tuple[Picture, Picture | None]:
        wanted = number < len(due) and due[number]
        return glance(frame, small), detail.picture(frame) if wanted else None

    for frame in decode_in_turns(path, index, make, readers, _NOT_DEBLOCKED):
        walk.add(frame)
        if frame.number % _BEAT_FRAMES == 0:
            beat(frame.number, len(due))
        yield View(frame.time, *frame.made)


def grid_indices(path: Path, grid: Grid) -> list[int]:
    """Numbers of the frames that are nearest to the times of a grid; of two as near, the earlier one."""
    times = frame_index(path).times
    ticks = np.array([grid.time(number) for number in range(grid.frames)])
    after = np.clip(np.searchsorted(times, ticks - _EPSILON), 0, len(times) - 1)
    before = np.maximum(after - 1, 0)
    nearer = ticks - times[before] <= times[after] - ticks + _EPSILON
    found: list[int] = np.where(nearer, before, after).tolist()
    return found


class SegmentFrames:
    """The full-size pictures of one segment's grid, decoded once and kept where they fit into `KEPT_BYTES`.

    Args:
        path (`Path`): the lecture.
        info (`VideoInfo`): its size.
        grid (`Grid`): the frames.
        beat (`Callable`): called for each frame that is handed out.
        decoder (`Executor`): what decodes frames ahead.
    """

    def __init__(
        self, path: Path, info: VideoInfo, grid: Grid, beat: Callable[[int, int | None], None], decoder: Executor
    ) -> None:
        self.path, self.grid, self.beat, self.decoder = path, grid, beat, decoder
        self._bytes = info.width * info.height * 3
        self._kept: Future[list[Picture]] | None = None

    @property
    def memory(self) -> int:
        """The most bytes that its pictures take: all of them where they are kept, else those decoded together."""
        return min(self._bytes * self.grid.frames, KEPT_BYTES)

    def begin(self) -> None:
        """Have all frames decoded, if they fit; they are kept."""
        if self._kept is None and self._bytes * self.grid.frames <= KEPT_BYTES:
            self._kept = self.decoder.submit(_read, self.path, grid_indices(self.path, self.grid))

    def all(self) -> Iterator[Picture]:
        """Hand out all frames, uint8 [H, W, 3] RGB, and keep them, where they fit, for `part`."""
        self.begin()
        if self._kept is not None:
            return self.part(0, self.grid.frames)
        chunks = self._chunks(0, self.grid.frames)
        return self._beating(0, self._ahead(chunks, self.decoder.submit(_read, self.path, chunks[0])))

    def part(self, first: int, last: int) -> Iterator[Picture]:
        """Hand out frames `first` to `last`, exclusive, of the grid; they must not be changed."""
        if self._kept is not None:
            return self._beating(first, self._kept.result()[first:last])
        chunks = self._chunks(first, last)
        return self._beating(first, (picture for chunk in chunks for picture in _read(self.path, chunk)))

    def _chunks(self, first: int, last: int) -> list[list[int]]:
        indices = grid_indices(self.path, self.grid)[first:last]
        size = max(1, _CHUNK_BYTES // self._bytes)
        return [indices[start : start + size] for start in range(0, len(indices), size)]

    def _ahead(self, chunks: Sequence[Sequence[int]], coming: "Future[list[Picture]]") -> Iterator[Picture]:
        for chunk in chunks[1:]:
            pictures, coming = coming.result(), self.decoder.submit(_read, self.path, chunk)
            yield from pictures
        yield from coming.result()

    def _beating(self, first: int, pictures: Iterable[Picture]) -> Iterator[Picture]:
        for number, picture in enumerate(pictures, start=first):
            self.beat(number, self.grid.frames)
            yield picture


class LectureFrames:
    """The full-size pictures of a lecture's segments, one after the other, the next one's decoded ahead.

    Args:
        path, info, beat: as of `SegmentFrames`.
    """

    def __init__(self, path: Path, info: VideoInfo, beat: Callable[[int, int | None], None]) -> None:
        self._make = partial(SegmentFrames, path, info, beat=beat, decoder=ThreadPoolExecutor(1))
        self._held: dict[Grid, SegmentFrames] = {}
        self._alive: WeakSet[SegmentFrames] = WeakSet()  # those that clips are still made of, too

    def of(self, grid: Grid) -> SegmentFrames:
        """The pictures of a segment; those of segments before are let go."""
        frames = self._held.get(grid) or self._new(grid)
        self._held = {other: held for other, held in self._held.items() if other.start > grid.start} | {grid: frames}
        return frames

    def begin(self, grid: Grid) -> None:
        """Decode the pictures of the segment that comes next, unless they would take too much memory beside others."""
        if grid not in self._held:
            frames = self._new(grid)
            if sum(other.memory for other in self._alive) <= _AHEAD * KEPT_BYTES:
                self._held[grid] = frames
                frames.begin()

    def _new(self, grid: Grid) -> SegmentFrames:
        frames = self._make(grid=grid)
        self._alive.add(frames)
        return frames


def _read(path: Path, indices: Sequence[int]) -> list[Picture]:
    """The frames of ascending numbers, of which some may repeat; each as its decoder made it."""
    pictures: dict[int, Picture] = {}
    read_each(path, frame_index(path), sorted(set(indices)), pictures.__setitem__)
    return [pictures[index] for index in indices]
