"""Segments: the stretches between cuts, split further where what is shown changes its kind, and named by it."""

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from videopath_hf.curation.look import Look, Sample
from videopath_hf.curation.settings import CurateSettings, TissueSettings
from videopath_hf.curation.tissue import Colours
from videopath_hf.records import Segment, SegmentKind

_MIN_RUN = 1.5  # seconds another kind must last inside a shot to become a segment of its own
_AROUND = 1.0  # seconds before and after a bound to which a dissolve is followed
_SHORTEST = 0.001  # seconds from frame to frame; damaged files may say 0
_DISSOLVE = 0.4  # share of a bound's frame-to-frame change that still belongs to its dissolve


class Shot(NamedTuple):
    """Frames `first` to `last`, exclusive, and the kind that most of their samples have."""

    first: int
    last: int
    kind: SegmentKind


def frame_kind(seen: Colours, settings: TissueSettings) -> SegmentKind:
    """Name a frame by its colours; a presenter is `other` here, only a face tells."""
    if seen.plain >= settings.title_plain:
        return "title"
    if seen.slide >= settings.min_slide and seen.plain <= settings.max_plain:
        if seen.tissue >= settings.min_tissue and seen.darkness <= settings.max_darkness:
            return "tissue"
        if seen.tissue < settings.min_tissue:
            return "title"  # a white page
    return "other"


def find_segments(video_id: str, seen: Look, settings: CurateSettings, end: float | None = None) -> list[Segment]:
    """Turn cuts and samples into segments that cover the lecture without gaps.

    A hard cut is where PySceneDetect puts it. A dissolve, which it may miss, shows as a change of kind inside a shot;
    tissue ends where a dissolve begins, or begins where it ends. `end` is when the last frame ends, in seconds; if
    omitted, that frame is taken to last as long as most.
    """
    bounds = [0, *(cut for cut in seen.cuts if 0 < cut < len(seen.times)), len(seen.times)]
    shots = [part for first, last in pairwise(bounds) for part in _by_kind(seen, first, last, settings.tissue)]
    shots = _without_dissolves(seen, shots)
    if end is None:
        end = float(seen.times[-1]) + (float(np.median(np.diff(seen.times))) if len(seen.times) > 1 else 1.0)
    starts = [*(float(seen.times[shot.first]) for shot in shots[1:]), end]
    return [
        Segment(
            video_id=video_id,
            index=number,
            start=round(float(seen.times[shot.first]), 3),
            end=round(stop, 3),
            kind=shot.kind,
            figures=_figures(_inside(seen.samples, shot.first, shot.last)),
        )
        for number, (shot, stop) in enumerate(zip(shots, starts, strict=True))
    ]


def _inside(samples: Sequence[Sample], first: int, last: int) -> list[Sample]:
    inside = [sample for sample in samples if first <= sample.frame < last]
    return inside or [min(samples, key=lambda sample: abs(sample.frame - (first + last) / 2))]


def _figures(samples: Sequence[Sample]) -> dict[str, float]:
    table = np.array([sample.colours for sample in samples])
    return {name: round(float(value), 4) for name, value in zip(Colours._fields, table.mean(axis=0), strict=True)}


def _by_kind(seen: Look, first: int, last: int, settings: TissueSettings) -> list[Shot]:
    """Split one shot where its kind changes for good."""
    samples = _inside(seen.samples, first, last)
    runs: list[tuple[SegmentKind, list[int]]] = [
        (kind, [sample.frame for sample in run])
        for kind, run in groupby(samples, key=lambda sample: frame_kind(sample.colours, settings))
    ]
    while len(runs) > 1:
        lengths = [float(seen.times[frames[-1]] - seen.times[frames[0]]) for _, frames in runs]
        shortest = int(np.argmin(lengths))
        if lengths[shortest] >= _MIN_RUN:
            break
        runs = _absorb(runs, shortest)
    shots: list[Shot] = []
    start = first
    for (kind, frames), (_, later) in pairwise(runs):
        bound = frames[-1] + 1 + int(np.argmax(seen.changes[frames[-1] + 1 : min(later[0] + 1, last)]))
        shots.append(Shot(start, bound, kind))
        start = bound
    return [*shots, Shot(start, last, runs[-1][0])]


def _without_dissolves(seen: Look, shots: Sequence[Shot]) -> list[Shot]:
    """Move the bounds of tissue to where a dissolve into it ends, and to where one out of it begins."""
    done = [shots[0]]
    for shot in shots[1:]:
        before = done[-1]
        bound = shot.first
        if (before.kind == "tissue") != (shot.kind == "tissue"):
            bound = _dissolve_end(seen, shot, before, entering=shot.kind == "tissue")
        done[-1] = before._replace(last=bound)
        done.append(shot._replace(first=bound))
    return done


def _absorb(runs: list[tuple[SegmentKind, list[int]]], number: int) -> list[tuple[SegmentKind, list[int]]]:
    """Give a short run to its longer neighbour, and join neighbours of one kind."""
    left = len(runs[number - 1][1]) if number > 0 else -1
    right = len(runs[number + 1][1]) if number + 1 < len(runs) else -1
    kind = runs[number - 1][0] if left >= right else runs[number + 1][0]
    renamed = [*runs[:number], (kind, runs[number][1]), *runs[number + 1 :]]
    return [(kind, [f for _, frames in group for f in frames]) for kind, group in groupby(renamed, key=lambda r: r[0])]


def _dissolve_end(seen: Look, shot: Shot, before: Shot, entering: bool) -> int:
    """The end, or the beginning, of the run of frames around a bound that change about as much as it does."""
    reach = int(_AROUND / max(_SHORTEST, float(np.median(np.diff(seen.times)))))
    low, high = max(before.first + 1, shot.first - reach), min(shot.last, shot.first + reach)
    level = _DISSOLVE * float(seen.changes[shot.first])
    begin = stop = shot.first
    while begin - 1 >= low and seen.changes[begin - 1] >= level:
        begin -= 1
    while stop + 1 < high and seen.changes[stop + 1] >= level:
        stop += 1
    return stop if entering else begin
