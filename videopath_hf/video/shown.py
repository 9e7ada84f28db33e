"""Decoded frames that know their number in the video, from its start or from a keyframe on."""

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
from av.video.frame import VideoFrame

from videopath_hf.video.container import Source, VideoError, Wanted, decode, seek
from videopath_hf.video.frame_index import FrameIndex


class Shown(NamedTuple):
    """A decoded frame that was not converted yet: its number in the video, its time in seconds, its data."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls on a frame
    time: float
    frame: VideoFrame


def decode_all(source: Source) -> Iterator[Shown]:
    """All frames, numbered by counting."""
    for number, frame in enumerate(decode(source)):
        yield Shown(number, source.time(frame.pts, number), frame)


def numbered(
    source: Source, index: FrameIndex, from_start: bool = True, wanted: Wanted | None = None
) -> Iterator[Shown]:
    """Frames from where the container stands, numbered by time stamp; `wanted` as for `decode`."""
    assert index.pts is not None
    for frame in decode(source, from_start, wanted):
        number = int(np.searchsorted(index.pts, frame.pts)) if frame.pts is not None else len(index.pts)
        if number == len(index.pts) or index.pts[number] != frame.pts:
            raise VideoError(f"{source.path}: a frame decodes at a time ({frame.time} s) that no packet of it names")
        yield Shown(number, float(index.times[number]), frame)


def decode_at(source: Source, index: FrameIndex, first_wanted: int, wanted: Wanted | None = None) -> Iterator[Shown]:
    """Decode from a keyframe at or before frame `first_wanted` on.

    A container seeks by decoding times and may land behind the frame: then from the keyframe before, then from 0.
    """
    assert index.pts is not None
    keyframe = index.keyframe_before(first_wanted)
    for start in (keyframe, index.keyframe_before(keyframe - 1), 0):
        seek(source, int(index.pts[start]))
        shown = numbered(source, index, from_start=False, wanted=wanted)
        first = next(shown, None)
        if first is not None and first.index <= first_wanted:
            return chain([first], shown)
    raise VideoError(f"{source.path}: frame {first_wanted} cannot be reached; the file's seek table is damaged")
