"""Intervals and tests for scores of records that come from shared videos: all resampling is of whole source videos.

Several clips, and several questions, of one lecture are not independent. Resampling records would give intervals that
are too narrow; here a source video is drawn, or has its sign flipped, with all of its records (cluster bootstrap and
cluster permutation, e.g. Miller 2024, arXiv 2411.00640).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

Values = np.ndarray[Any, np.dtype[np.float64]]
Draws = np.ndarray[Any, np.dtype[np.int64]]
Derive = Callable[[Values], Values]

LEVEL = 0.95
_AT_ONCE = 4_000_000  # counts held at a time
_SAME = 1e-9  # what sums of floats may be apart
_ALL_FLIPS = 14  # so many videos' 2^n flips are all looked at, in place of a sample


class Interval(NamedTuple):
    """Where the middle 95% of the resampled values lie. None with fewer than two source videos, and where all of them
    have the same: that says nothing of what others would have."""

    low: float | None
    high: float | None


NO_INTERVAL = Interval(None, None)


class PairedTest(NamedTuple):
    """The mean of paired differences, B - A, and what speaks for its being none.

    Args:
        difference (`float`, *optional*): mean over the records; None without records.
        interval (`Interval`): of the difference, by cluster bootstrap.
        p (`float`, *optional*): two-sided, by flipping the signs of whole source videos; None with fewer than two.
        effect (`float`, *optional*): Cohen's d of paired samples: the difference in standard deviations of the
            records' differences; None where they do not vary.
        records (`int`): pairs compared.
        videos (`int`): source videos they come from.
        better (`int`), equal (`int`), worse (`int`): records in which B has more, as much, or less.
    """

    difference: float | None
    interval: Interval
    p: float | None
    effect: float | None
    records: int
    videos: int
    better: int
    equal: int
    worse: int


def means(values: Values) -> Values:
    """Column means of [records, columns]; NaN is what has no score, and a column of nothing else is NaN."""
    counts = (~np.isnan(values)).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.nansum(values, axis=0) / counts, dtype=np.float64)


def bootstrap(
    values: Values, videos: Sequence[str], resamples: int, seed: int, derive: Derive | None = None
) -> list[Interval]:
    """95% percentile intervals of column means.

    Args:
        values (`np.ndarray`): float64 [records, columns], NaN where there is no score.
        videos (`Sequence[str]`): the source video of each record.
        resamples (`int`): how many times as many source videos as there are are drawn, with replacement.
        seed (`int`): the same seed gives the same intervals.
        derive (`Callable`, *optional*): makes further columns of means [resamples, columns], e.g. an average of some.

    Returns:
        `list[Interval]`: one a column, of those that `derive` returns if it is given; there is none where fewer than
        two source videos have scores.
    """
    sums, counts = _by_video(values, videos)
    replicates = np.concatenate([_ratio(drawn @ sums, drawn @ counts) for drawn in _draws(len(sums), resamples, seed)])
    replicates[:, (counts > 0).sum(axis=0) < 2] = np.nan
    columns = replicates if derive is None else derive(replicates)
    return [_interval(column) for column in columns.T]


def paired_test(differences: Values, videos: Sequence[str], resamples: int, seed: int) -> PairedTest:
    """Compare pairs of scores of the same records.

    Args:
        differences (`np.ndarray`): float64 [records], B - A; NaN where either has no score.
        videos (`Sequence[str]`): the source video of each record.
        resamples (`int`): of the bootstrap and of the permutation; up to 14 videos have all their flips looked at.
        seed (`int`): of both.
    """
    kept = ~np.isnan(differences)
    known = differences[kept]
    sources = [video for video, keep in zip(videos, kept, strict=True) if keep]
    several = len(set(sources)) > 1
    deviation = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    mean = float(known.mean()) if len(known) else None
    return PairedTest(
        difference=mean,
        interval=bootstrap(known[:, None], sources, resamples, seed)[0] if several else NO_INTERVAL,
        p=_flip_test(known, sources, resamples, seed) if several else None,
        effect=mean / deviation if mean is not None and deviation > 0 else None,
        records=len(known),
        videos=len(set(sources)),
        better=int((known > 0).sum()),
        equal=int((known == 0).sum()),
        worse=int((known < 0).sum()),
    )


def _by_video(values: Values, videos: Sequence[str]) -> tuple[Values, Values]:
    """Sums of scores and numbers of them, [videos, columns] each."""
    _, places = np.unique(np.asarray(videos, dtype=object).astype(str), return_inverse=True)
    shape = (int(places.max(initial=-1)) + 1, values.shape[1])
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, places, np.nan_to_num(values))
    np.add.at(counts, places, ~np.isnan(values))
    return sums, counts


def _draws(videos: int, resamples: int, seed: int) -> Iterator[Draws]:
    """How often each video is drawn in each resample, [some resamples, videos] at a time."""
    generator = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // max(1, videos))
    for start in range(0, resamples, step):
        yield generator.multinomial(videos, np.full(videos, 1 / max(1, videos)), size=min(step, resamples - start))


def _ratio(sums: Values, counts: Values) -> Values:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums / counts, dtype=np.float64)


def _interval(replicates: Values) -> Interval:
    """Of the resamples in which the column has a mean."""
    known = replicates[~np.isnan(replicates)]
    if not len(known):
        return NO_INTERVAL
    low, high = (float(end) for end in np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    return Interval(low, high) if known.max() - known.min() > _SAME else NO_INTERVAL


def _flip_test(differences: Values, videos: Sequence[str], resamples: int, seed: int) -> float:
    """Share of flips of whole videos' signs whose sum is as far from 0 as the one seen."""
    sums = _by_video(differences[:, None], videos)[0][:, 0]
    seen = abs(sums.sum())
    tolerance = 1e-12 * max(1.0, float(np.abs(sums).sum()))
    if len(sums) <= _ALL_FLIPS:
        codes = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums))
        flipped = np.abs(((codes & 1) * 2 - 1) @ sums)
        return float((flipped >= seen - tolerance).mean())
    generator = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // len(sums))
    as_far = 0
    for start in range(0, resamples, step):
        signs = generator.integers(0, 2, (min(step, resamples - start), len(sums))) * 2 - 1
        as_far += int((np.abs(signs @ sums) >= seen - tolerance).sum())
    return (1 + as_far) / (1 + resamples)
