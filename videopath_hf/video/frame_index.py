"""When every frame of a video is shown and where decoding can start, read from the packets without decoding them."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.video.frame import PictureType, VideoFrame

from videopath_hf.video.container import (
    Geometry,
    Source,
    VideoError,
    Wanted,
    check_complete,
    decode,
    decoding_error,
    open_video,
    seek,
)

_REMEMBERED = 16  # files
_REORDERED = 32  # frames: no codec shows one more places before the packet order than this


class FrameIndex(NamedTuple):
    """Time stamps of all frames in the order in which they are shown.

    Args:
        pts (`np.ndarray` or `None`): int64 [N] ticks; None where the packets carry no usable time stamps: such a
            video can only be decoded from its start.
        times (`np.ndarray`): float64 [N] seconds from the start of the recording.
        keyframes (`np.ndarray`): int64 [K] indices of frames at which decoding can start.
        closed (`bool`, defaults to `True`): whether the frames that come after a keyframe in the file are those that
            are shown after it.
        geometry (`Geometry`, *optional*): how the first frame is shown. Frames of another size, from where a recording
            changes, are scaled to it.
    """

    pts: "np.ndarray[Any, np.dtype[np.int64]] | None"
    times: "np.ndarray[Any, np.dtype[np.float64]]"
    keyframes: "np.ndarray[Any, np.dtype[np.int64]]"
    closed: bool = True
    geometry: Geometry | None = None

    def keyframe_before(self, index: int) -> int:
        """The last frame at or before `index` at which decoding can start."""
        return int(self.keyframes[max(0, int(np.searchsorted(self.keyframes, index, side="right")) - 1)])

    def wanted(self, numbers: Sequence[int]) -> Wanted | None:
        """What a decoder must know to leave out what frames of these ascending numbers do not need; None if nothing
        can be left out."""
        if self.pts is None:
            return None
        groups: dict[int, int] = {}
        if self.closed:
            bounds = np.searchsorted(numbers, np.append(self.keyframes, len(self.pts)))
            groups = dict(zip(self.pts[self.keyframes].tolist(), np.diff(bounds).tolist(), strict=True))
        return Wanted(frozenset(self.pts[list(numbers)].tolist()), groups)


def frame_index(path: str | Path) -> FrameIndex:
    """Index a video file. The last files are remembered, by path, size and time of change.

    Raises:
        VideoError: for a file that is not a video or cannot be read to its end.
    """
    path = Path(path)
    if not path.is_file():
        with open_video(path):  # raises, and says why
            pass
    stat = path.stat()
    return _frame_index(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=_REMEMBERED)
def _frame_index(path: Path, size: int, changed: int) -> FrameIndex:
    with open_video(path) as source:
        packets = _packets(source)
        if packets is None:
            return _by_decoding(path)
        closed = _is_closed(packets)
        packets.sort()
        pts = np.array([pts for pts, _ in packets], dtype=np.int64)
        keyframes = np.flatnonzero([number == 0 or key for number, (_, key) in enumerate(packets)])
        context = source.stream.codec_context
        context.thread_count = 1  # several threads start with as many frames
        shape = context.width, context.height  # of the first frames; decoding others changes it
        second = _frame_at(source, int(pts[keyframes[1]])) if len(keyframes) > 1 else None
        # Streams with intra refresh mark frames that complete only later, and a damaged table leads nowhere.
        if second is None or second.pict_type != PictureType.I:
            second, keyframes = None, keyframes[:1]
        times = source.times(pts)
        if second is not None and (second.width, second.height) == shape:
            geometry = Geometry.of(second, source.stream)
        else:
            geometry = _first_geometry(path)
    return FrameIndex(pts, times, keyframes, closed, geometry)


def _first_geometry(path: Path) -> Geometry:
    with open_video(path) as source:
        source.stream.codec_context.thread_count = 1
        first = next(decode(source), None)
        if first is None:
            raise VideoError(f"{path} holds no frame that can be decoded")
        return Geometry.of(first, source.stream)


def _is_closed(packets: list[tuple[int, bool]]) -> bool:
    keyframe = last = packets[0][0]
    for pts, is_key in packets:
        if is_key and pts >= last:
            keyframe = pts
        elif pts < keyframe or is_key:
            return False
        last = max(last, pts)
    return True


def _frame_at(source: Source, pts: int) -> VideoFrame | None:
    """The first frame that decodes from a keyframe on, if one does."""
    try:
        seek(source, pts)
        return next(decode(source, from_start=False), None)
    except VideoError:
        return None


def _packets(source: Source) -> list[tuple[int, bool]] | None:
    """Time stamp and key flag of every packet that becomes a frame; None if the stamps cannot be relied on."""
    packets: list[tuple[int, bool]] = []
    seen, last = 0, 0.0
    first_keyframe: int | None = None
    try:
        for packet in source.container.demux(source.stream):
            seen += packet.size > 0
            if packet.size == 0:
                continue
            if packet.pts is None:
                return None
            if first_keyframe is None and packet.is_keyframe:
                first_keyframe = packet.pts
            # Nothing decodes before the first keyframe; an edit list may leave that one itself out of what is shown.
            if first_keyframe is not None and not packet.is_discard:
                packets.append((packet.pts, packet.is_keyframe))
                last = source.time(packet.pts, 0)
    except (av.FFmpegError, OSError) as error:
        raise decoding_error(source.path, last, error) from None
    check_complete(source, seen, last)
    kept = [packet for packet in packets if first_keyframe is not None and packet[0] >= first_keyframe]
    if len(packets) - len(kept) > _REORDERED:  # the first stamp is damaged
        return None
    return kept if kept and len({pts for pts, _ in kept}) == len(kept) else None


def _by_decoding(path: Path) -> FrameIndex:
    with open_video(path) as source:
        times = [source.time(frame.pts, index) for index, frame in enumerate(decode(source))]
    return FrameIndex(
        None, np.array(times, dtype=np.float64), np.zeros(1, dtype=np.int64), geometry=_first_geometry(path)
    )
