"""Changes of picture that detectors of single frames' colours miss: dissolves, fades, and cuts between like pictures.

A frame half-way through a dissolve is a blend of a frame before and one after it; in a pan or a zoom it is not, for
what moves does not add up (a view that moves by a quarter of its texture's wavelength leaves a residual of 0.4, a
dissolve leaves noise). A cut between two fields of one slide changes few colours, but nearly all small blocks of the
picture at once, once. A moving camera changes them in every frame, a bullet or an inset that appears only adds
blocks, or changes few.
"""

import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from statistics import median_high
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np

Grey = np.ndarray[Any, np.dtype[np.uint8]]
Array = np.ndarray[Any, Any]

_BLOCK = 10  # side of a block in the picture 160 pixels wide
_TEXTURED = 9.0  # variance in grey levels squared; below it a block shows nothing
_LIKE = 0.5  # correlation below which a block has changed
_FEWEST = 6  # blocks that must change: a pointer and what a codec leaves can be a third of a page of one line
_IDLE = 0.3  # mean change in grey levels below which two frames are the same
_CHANGED = 0.33  # share of both pictures' blocks that a cut changes at least
_CALM = 0.6  # share of that change that frames around a cut may show
_AROUND = 0.5  # seconds around a cut that must be calm: a recorded screen that stutters in a pan jumps again

_STEP = 0.08  # seconds between two looks for a blend
_REACHES = (0.24, 0.4)  # seconds before and after the middle of a dissolve
_SLOW_REACH = 1.0  # the same for one between like views, in which less than a second changes too little
_RESIDUAL = 0.15  # of what a blend leaves unexplained; 0.00 to 0.12 in dissolves between moving views, else above 0.25
_MOVED = 0.07  # of the same, from which a frame is not of the view that dissolves: that moved on the way to it
_SHARE = (0.35, 0.65)  # how much of the earlier picture is left in the middle
_DIFFERENT = 8.0  # grey levels by which the pictures before and after differ
_SAME = (0.8, 0.5)  # correlation from which they are one picture, whatever its brightness; stricter where coarse
_SMALLEST = 0.15  # share of the frame in which a dissolve changes something; insets that fade in are smaller
_LARGE = 0.3  # the same where the pictures as a whole are alike: a window on a page, or moments of a slow dissolve,
_PURE = 0.036  # whose blends leave no more than this; a slow pan, which is nearly a blend, leaves 0.05
_BRIGHTER = 0.85  # correlation of a change with the picture itself, from which it is one of brightness
_FLAT = 6.0  # standard deviation of a picture of one colour: the middle of a fade
_FADE = 2.0  # longest seconds between fading out and fading in
_GAP = 0.17  # seconds without evidence inside one dissolve
_FOLLOWED = 1.5  # times the reach to which it is followed
_MOVING = 1.25  # times the change of what is beyond it, a view that moves
_FASTER = 2.0  # times a dissolve's change, in frames that cannot be its own
_STRONG = 0.4  # share of a dissolve's frame-to-frame change that still belongs to it


class Transition(NamedTuple):
    """How one shot becomes the next: from frame `first` on it is seen, from frame `last` on it is all that is seen."""

    first: int
    last: int
    kind: Literal["jump", "dissolve", "fade"]


class _Evidence(NamedTuple):
    """A frame that is a blend; the first frame of the view that it is a blend of; whether the picture before it, or
    after it, has one colour."""

    frame: int
    begins: int
    from_flat: bool
    to_flat: bool


class TransitionFinder:
    """Looks for transitions while frames come in; less than a second of small pictures is held.

    Args:
        fps (`float`): frames a second of the video.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._reaches = sorted({max(2, round(reach * fps)) for reach in _REACHES})
        self._every = max(1, round(_STEP * fps))
        self._slow_reach = max(2, round(_SLOW_REACH * fps))
        self._recent: deque[tuple[Array, ...]] = deque(maxlen=2 * self._slow_reach + 1)
        self._before: tuple[Grey, _Blocks] | None = None
        self._shares: list[float] = []
        self._changes: list[float] = []
        self._evidence: list[_Evidence] = []
        self._slow: list[_Evidence] = []

    def add(self, grey: Grey) -> None:
        """Look at the next frame: uint8 [h, 160], grey."""
        change = 0.0 if self._before is None else cv2.norm(grey, self._before[0], cv2.NORM_L1) / grey.size
        share = 0.0
        if self._before is None or change > _IDLE:
            blocks = _blocks(grey)
            share = _changed_share(self._before[1], blocks) if self._before is not None else 0.0
            self._before = grey, blocks
        self._shares.append(share)
        self._changes.append(change)
        self._recent.append(_scaled(grey))
        if len(self._shares) % self._every == 0:
            for reach in self._reaches:
                self._look_for_blend(reach, _RESIDUAL, self._evidence)
            self._look_for_blend(self._slow_reach, _PURE, self._slow)

    def _look_for_blend(self, reach: int, residual: float, found: list[_Evidence]) -> None:
        """Whether the frame `reach` ago is a blend of the newest one and the one `2 * reach` ago."""
        if len(self._recent) <= 2 * reach:
            return
        ago = self._recent[-1 - 2 * reach], self._recent[-1 - reach], self._recent[-1]
        for level, (same, before, middle, after) in enumerate(zip(_SAME, *ago, strict=True)):
            flat = _blended(before, middle, after, same, residual)
            if flat is not None:
                newest, since = len(self._shares) - 1, self._seen_since(2 * reach, level, middle, after)
                found.append(_Evidence(newest - reach, newest - since, *flat))
                return

    def _seen_since(self, back: int, level: int, middle: Array, after: Array) -> int:
        """How many frames ago the view came to rest that `middle` is a blend of, seen `back` frames ago for sure; all
        there ever were, where it is in all that are held."""
        limit = 0.0
        for ago in range(back, len(self._recent)):
            mixed = _mixed(self._recent[-1 - ago][level], middle, after)
            if mixed is None:
                return ago - 1
            limit = limit or max(_MOVED, 2 * mixed.unexplained)
            if mixed.unexplained > limit:
                return ago - 1
        return len(self._shares)

    def finish(self) -> list[Transition]:
        """All transitions, in order."""
        gradual = self._gradual(self._evidence, self._reaches[-1], still=False)
        for slow in self._gradual(self._slow, self._slow_reach, still=True):
            if all(slow.last < other.first or other.last < slow.first for other in gradual):
                gradual.append(slow)
        jumps = [
            Transition(frame, frame, "jump")
            for frame in self._jumps()
            if not any(soft.first - 1 <= frame <= soft.last + 1 for soft in gradual)
        ]
        return sorted(jumps + gradual)

    def _jumps(self) -> list[int]:
        shares = np.array(self._shares)
        around = max(2, round(_AROUND * self._fps))
        found = []
        for frame in np.flatnonzero(shares > _CHANGED).tolist():
            others = np.concatenate([shares[max(0, frame - around) : frame], shares[frame + 1 : frame + around + 1]])
            if others.max(initial=0.0) < _CALM * shares[frame]:
                found.append(int(frame))
        return found

    def _gradual(self, evidence: Sequence[_Evidence], reach: int, still: bool) -> list[Transition]:
        runs: list[list[_Evidence]] = []
        for item in sorted(set(evidence)):
            if runs and item.frame - runs[-1][-1].frame <= max(2, round(_GAP * self._fps)):
                runs[-1].append(item)
            else:
                runs.append([item])
        # Of a frame and the one before: some codecs bring the change of a dissolve in every second frame only.
        changes = np.array([max(pair) for pair in pairwise([0.0, *self._changes])])
        found: list[tuple[Transition, bool]] = []  # and whether it ends in one colour
        for run in runs:
            first, last = _extent(changes, run[0].frame, run[-1].frame, reach, still)
            if not still:
                begins = median_high(item.begins for item in run)
                first = max(first, min(begins, run[0].frame - self._reaches[0]))
            opens, closes = any(item.from_flat for item in run), any(item.to_flat for item in run)
            if found and opens and found[-1][1] and first - found[-1][0].last <= _FADE * self._fps:
                found[-1] = (Transition(found[-1][0].first, last, "fade"), closes and not opens)
            else:
                found.append((Transition(first, last, "fade" if opens or closes else "dissolve"), closes))
        return [transition for transition, _ in found]


def _extent(changes: Array, first: int, last: int, reach: int, still: bool) -> tuple[int, int]:
    """Follow the change of a run of blends, found by frames `reach` before and after, to both sides; `still` where the
    views do not move while they dissolve."""
    strength = float(np.median(changes[first : last + 1]))
    reach = round(_FOLLOWED * reach) + 1
    before = changes[max(0, first - 3 * reach) : max(0, first - 2 * reach)]
    after = changes[last + 2 * reach : last + 3 * reach]
    if still:
        before = after = changes[:0]
    low, high = max(1, first - reach), min(len(changes) - 2, last + reach)
    while first > low and _goes_on(changes[max(0, first - 3) : first], strength, _level(strength, before)):
        first -= 1
    while last < high and _goes_on(changes[last + 4 : last + 1 : -1], strength, _level(strength, after)):
        last += 1
    return first, last


def _goes_on(changes: Array, strength: float, level: float) -> bool:
    """Whether a dissolve goes on in the frames beyond it, the last of which is the nearest: it neither stops there,
    nor does a view begin that moves, frame after frame, by more than the dissolve changes."""
    return bool(changes[-1] >= level and changes.min() <= _FASTER * strength)


def _level(strength: float, beyond: Array) -> float:
    """The change from which a frame still belongs to a dissolve, given how much the view moves beyond it."""
    moving = _MOVING * float(np.median(beyond)) if len(beyond) else 0.0
    return min(0.9 * strength, max(_STRONG * strength, moving))


def _scaled(grey: Grey) -> tuple[Array, ...]:
    """A picture 80 pixels wide, and one of 20: in it views that move slowly while they dissolve still add up."""
    small = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.float32)
    return small, cv2.resize(small, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)


class _Mixed(NamedTuple):
    """How much of a picture is the one before it, the rest being the one after it, and what that leaves unexplained:
    a share of what the two differ by."""

    share: float
    unexplained: float


def _mixed(before: Array, middle: Array, after: Array) -> _Mixed | None:
    """The picture in the middle as a mixture of the two others; None where these do not differ."""
    difference = before - after
    energy = _mean_product(difference, difference)
    if energy < _DIFFERENT**2:
        return None
    share = _mean_product(middle - after, difference) / energy
    left = middle - after - share * difference
    return _Mixed(share, math.sqrt(_mean_product(left, left) / energy))


def _blended(before: Array, middle: Array, after: Array, same: float, residual: float) -> tuple[bool, bool] | None:
    """Whether the picture before, and the one after, have one colour; None where the middle is no blend of them."""
    mixed = _mixed(before, middle, after)
    if mixed is None or not _SHARE[0] <= mixed.share <= _SHARE[1] or mixed.unexplained > residual:
        return None
    a, b = before - before.mean(), after - after.mean()
    spread = float(a.std()), float(b.std())
    flat = spread[0] < _FLAT, spread[1] < _FLAT
    part = _changed_part(before - after)
    if not any(flat) and before[part].size < _SMALLEST * before.size:
        return None
    alike = not any(flat) and float((a * b).mean()) > same * spread[0] * spread[1]
    pure = same == max(_SAME) and mixed.unexplained <= _PURE
    if alike and not (pure and _replaced(before[part], after[part], _LARGE * before.size)):
        return None
    return flat


def _mean_product(a: Array, b: Array) -> float:
    return float(np.vdot(a, b)) / a.size


def _changed_part(difference: Array) -> tuple[slice, slice]:
    """The rows and columns that hold all that differs."""
    rows, columns = np.nonzero(abs(difference) >= _DIFFERENT)
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


def _replaced(before: Array, after: Array, least: float) -> bool:
    """Whether like pictures differ in `least` pixels, and not by brightness."""
    difference = before - after
    if difference.size < least:
        return False
    return max(abs(_correlation(difference, picture)) for picture in (before, after)) < _BRIGHTER


def _correlation(a: Array, b: Array) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).mean()) / max(1e-6, float(a.std() * b.std()))


class _Blocks(NamedTuple):
    """A picture, and the mean and variance of its blocks."""

    picture: Array
    means: Array
    variances: Array


def _blocks(grey: Grey) -> _Blocks:
    picture = grey.astype(np.float32)
    means = block_means(picture)
    return _Blocks(picture, means, block_means(picture * picture) - means * means)


def block_means(picture: Array) -> Array:
    """Mean of every whole block of 10 x 10 pixels: float32 [h // 10, w // 10] of a picture [h, w]."""
    height, width = (side // _BLOCK for side in picture.shape)
    inside = picture[: height * _BLOCK, : width * _BLOCK].astype(np.float32, copy=False)
    means: Array = cv2.resize(inside, (width, height), interpolation=cv2.INTER_AREA)
    return means


def _changed_share(a: _Blocks, b: _Blocks) -> float:
    """Share of blocks that changed, of those that showed something before or after, whichever is smaller."""
    shown_a, shown_b = a.variances > _TEXTURED, b.variances > _TEXTURED
    if min(np.count_nonzero(shown_a), np.count_nonzero(shown_b)) < _FEWEST:
        return 0.0
    common = block_means(a.picture * b.picture) - a.means * b.means
    changed = common < _LIKE * np.sqrt(np.maximum(a.variances, 2.0) * np.maximum(b.variances, 2.0))
    in_a, in_b = changed[shown_a], changed[shown_b]
    if min(np.count_nonzero(in_a), np.count_nonzero(in_b)) < _FEWEST:
        return 0.0
    return min(float(in_a.mean()), float(in_b.mean()))


def join_cuts(cuts: Sequence[int], transitions: Sequence[Transition], shortest: int) -> list[int]:
    """A detector's cuts and the transitions as one list of frames that start a shot.

    A dissolve counts once, where it begins, whatever the detector saw in it; a jump that the detector saw too, within
    `shortest` frames, counts once, where the detector saw it. No jump starts a shot within `shortest` frames of the
    start.
    """
    soft = [transition for transition in transitions if transition.kind != "jump"]
    kept = [cut for cut in cuts if not any(t.first - shortest // 2 <= cut <= t.last + shortest // 2 for t in soft)]
    kept += [transition.first for transition in soft]
    for transition in transitions:
        if transition.kind == "jump" and all(abs(cut - transition.first) >= shortest for cut in [0, *kept]):
            kept.append(transition.first)
    return sorted(set(kept))
