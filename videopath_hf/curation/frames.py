"""The two times a lecture is decoded: all frames at low resolution, then those of the clips at full resolution."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from pathlib import Path

import av
import numpy as np

from videopath_hf.curation.clips import Grid
from videopath_hf.curation.lecture import Listener
from videopath_hf.curation.look import Look, View, look_at, small_size
from videopath_hf.curation.settings import SegmentSettings
from videopath_hf.curation.tissue import Picture
from videopath_hf.video.backends import read_pyav
from videopath_hf.video.container import Geometry, VideoError, open_video
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.glance import glance
from videopath_hf.video.probe import FrameWalk, VideoInfo
from videopath_hf.video.shown import Shown

KEPT_BYTES = 300_000_000
"""Pictures of one segment that are kept for making its clips: 108 of 720p, 54 s at 2 frames a second."""

_CHUNK_BYTES = 160_000_000  # pictures that are decoded together where they are not kept
_BEAT_FRAMES = 25
_AHEAD = 4  # frames that are decoded together, twice, ahead of the one that is looked at
_EPSILON = 1e-6


def decode_pass(path: Path, settings: SegmentSettings, listener: Listener) -> tuple[VideoInfo, Look]:
    """Decode every frame of a video once: prove that it decodes, measure it, and look at it at low resolution.

    Raises:
        VideoError: it is not a video, or is damaged or cut off anywhere.
    """
    with open_video(path) as source:
        # Frames that no other refers to are not deblocked: nothing at low resolution shows it.
        source.stream.codec_context.options = {"skip_loop_filter": "noref"}
        listener.length((source.container.duration or 0) / av.time_base)
        walk = FrameWalk(source)
        frames = iter(walk)
        first = next(frames, None)
        if first is None or walk.geometry is None:
            raise VideoError(f"{path} holds no frame that can be decoded")
        info, full = walk.so_far(), walk.geometry
        with ThreadPoolExecutor(1) as decoder:
            shown = chain([first], _ahead(frames, decoder))
            views = _views(shown, full, settings.width, source.stream.frames or None, listener.beat)
            seen = look_at(views, info, settings)
        return walk.info(), seen


def _ahead(frames: Iterator[Shown], decoder: Executor) -> Iterator[Shown]:
    """The frames, decoded by another thread while those before them are looked at."""

    def decode() -> list[Shown]:
        return list(islice(frames, _AHEAD))

    waiting = deque([decoder.submit(decode), decoder.submit(decode)])
    while some := waiting.popleft().result():
        waiting.append(decoder.submit(decode))
        yield from some


def _views(
    frames: Iterable[Shown], full: Geometry, width: int, listed: int | None, beat: Callable[[int, int | None], None]
) -> Iterator[View]:
    small, detail = Geometry(*small_size(full.width, full.height), full.rotation), full.scaled(width)
    for item in frames:
        if item.index % _BEAT_FRAMES == 0:
            beat(item.index, listed)
        yield View(item.time, glance(item.frame, small), partial(detail.picture, item.frame))


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
    """

    def __init__(self, path: Path, info: VideoInfo, grid: Grid, beat: Callable[[int, int | None], None]) -> None:
        self.path, self.grid, self.beat = path, grid, beat
        self._bytes = info.width * info.height * 3
        self._kept: Sequence[Picture] | None = None

    def all(self) -> Iterator[Picture]:
        """Hand out all frames, uint8 [H, W, 3] RGB, and keep them, where they fit, for `part`."""
        if self._kept is None and self._bytes * self.grid.frames <= KEPT_BYTES:
            self._kept = _read(self.path, grid_indices(self.path, self.grid))
        return self.part(0, self.grid.frames)

    def part(self, first: int, last: int) -> Iterator[Picture]:
        """Hand out frames `first` to `last`, exclusive, of the grid; they must not be changed."""
        indices = grid_indices(self.path, self.grid)[first:last] if self._kept is None else []
        size = max(1, _CHUNK_BYTES // self._bytes)
        for start in range(first, last, size):
            stop = min(start + size, last)
            kept = self._kept
            chunk = kept[start:stop] if kept is not None else _read(self.path, indices[start - first : stop - first])
            for number, picture in enumerate(chunk, start=start):
                self.beat(number, self.grid.frames)
                yield picture


def _read(path: Path, indices: Sequence[int]) -> list[Picture]:
    """The frames of ascending numbers, of which some may repeat; unlike `read_frames` without a copy of them all."""
    numbers = sorted(set(indices))
    pictures = dict(zip(numbers, read_pyav(path, frame_index(path), numbers, None), strict=True))
    return [pictures[index] for index in indices]
