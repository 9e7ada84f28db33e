"""When every frame of a video is shown and where decoding can start, read from the packets without decoding them."""

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.video.frame import PictureType

from videopath_hf.video.container import (
    Geometry,
    Source,
    VideoError,
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
        closed (`bool`, defaults to `True`): whether every frame that comes after a keyframe in the file is also shown
            after it.
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
        if len(keyframes) > 1 and not _starts_clean(source, int(pts[keyframes[1]])):
            keyframes = keyframes[:1]
        times = source.times(pts)
    return FrameIndex(pts, times, keyframes, closed, _first_geometry(path))


def _first_geometry(path: Path) -> Geometry:
    with open_video(path) as source:
        source.stream.codec_context.thread_count = 1  # several threads start with as many frames
        first = next(decode(source), None)
        if first is None:
            raise VideoError(f"{path} holds no frame that can be decoded")
        return Geometry.of(first, source.stream)


def _is_closed(packets: list[tuple[int, bool]]) -> bool:
    keyframe = packets[0][0]
    for pts, is_key in packets:
        if is_key:
            keyframe = pts
        elif pts < keyframe:
            return False
    return True


def _starts_clean(source: Source, pts: int) -> bool:
    """Whether decoding can start at a keyframe.

    Streams with intra refresh mark frames that complete only later, and a damaged table leads nowhere.
    """
    try:
        seek(source, pts)
        first = next(decode(source, from_start=False), None)
    except VideoError:
        return False
    return first is not None and first.pict_type == PictureType.I


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
