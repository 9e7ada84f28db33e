"""Upright rectangles that are painted over a moving picture: insets, label plates."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from videopath_hf.curation.tissue import Picture
from videopath_hf.records import Box

_CLIP = np.uint8(40)  # grey levels: one very strong stretch must not make up for a side that is not there
_CANDIDATES = 10  # lines tried for each side
_ABOUT = 0.85  # share of the best strength that counts as equally strong
_BESIDE = 12  # pixels to both sides with which a line is compared
_STANDS_OUT = 1.5
_AT_BORDER = 15.0  # what a side is worth that lies on the frame's own border, where no edge can be seen

Edges = np.ndarray[Any, np.dtype[np.float32]]


class Rectangle(NamedTuple):
    """A rectangle and how far, in grey levels, its weakest side stands out."""

    box: Box
    strength: float


def ranked(frames: Sequence[Picture]) -> list[Picture]:
    """Each pixel's values in some frames, uint8, in ascending order: a picture of the least first.

    Whole pictures are compared with each other, by vector instructions: of 12 frames much faster than `np.sort`.
    """
    pictures = list(frames)
    for turn in range(len(pictures)):
        for low in range(turn % 2, len(pictures) - 1, 2):
            a, b = pictures[low : low + 2]
            pictures[low : low + 2] = np.minimum(a, b), np.maximum(a, b)
    return pictures


def quantile(ranks: Sequence[Picture], share: float) -> Edges:
    """Each pixel's quantile, float32, interpolated as `np.quantile` does by default, of what `ranked` returned."""
    place = share * (len(ranks) - 1)
    low = int(place)
    if place == low:
        return ranks[low].astype(np.float32)
    return (ranks[low] + (place - low) * (ranks[low + 1].astype(np.float64) - ranks[low])).astype(np.float32)


def persistent_edges(crops: Sequence[Picture]) -> tuple[Edges, Edges]:
    """Edges that stay while the picture moves: vertical ones float32 [H, W+1], horizontal ones float32 [H+1, W].

    Args:
        crops (`Sequence[np.ndarray]`): the same region of several frames, uint8 [H, W] grey.

    Column x of the vertical edges lies between pixels x - 1 and x, so that it is a box's x0 or x1 as it is.
    """
    vertical = quantile(ranked([_step(crop[:, 1:], crop[:, :-1]) for crop in crops]), 0.5)
    horizontal = quantile(ranked([_step(crop[1:], crop[:-1]) for crop in crops]), 0.5)
    return np.pad(vertical, ((0, 0), (1, 1))), np.pad(horizontal, ((1, 1), (0, 0)))


def _step(a: Picture, b: Picture) -> Picture:
    return np.minimum(np.maximum(a, b) - np.minimum(a, b), _CLIP)


def find_rectangle(
    edges: tuple[Edges, Edges], inner: Box, at_border: tuple[bool, bool, bool, bool]
) -> Rectangle | None:
    """Find the rectangle around `inner` whose four sides stand out most.

    Args:
        edges: what `persistent_edges` returned.
        inner (`Box`): what the rectangle must hold, in the crop's pixels.
        at_border: whether the crop's left, top, right and bottom side lie on the frame's border.
    """
    vertical, horizontal = edges
    height, width = vertical.shape[0], horizontal.shape[1]
    x0, y0, x1, y1 = max(0, inner[0]), max(0, inner[1]), min(width, inner[2]), min(height, inner[3])
    if x1 <= x0 or y1 <= y0:
        return None
    columns = vertical.copy()
    rows = horizontal.copy()
    beside = columns[y0:y1].mean(axis=0)
    above = rows[:, x0:x1].mean(axis=1)
    lefts, rights = _peaks(beside[: x0 + 1], 0), _peaks(beside[x1:], x1)
    tops, bottoms = _peaks(above[: y0 + 1], 0), _peaks(above[y1:], y1)
    for flag, found, lines, position in zip(
        at_border, (lefts, tops, rights, bottoms), (columns, rows, columns, rows), (0, 0, width, height), strict=True
    ):
        if flag:
            lines[(slice(None), position) if lines is columns else position] = _AT_BORDER
            found.append(position)
    down = np.pad(columns.cumsum(axis=0), ((1, 0), (0, 0)))
    along = np.pad(rows.cumsum(axis=1), ((0, 0), (1, 0)))
    if not (lefts and rights and tops and bottoms):
        return None
    left, right, top, bottom = (part.ravel() for part in np.meshgrid(lefts, rights, tops, bottoms, indexing="ij"))
    tall, wide = bottom - top, right - left
    strength = np.minimum.reduce(
        [
            (down[bottom, left] - down[top, left]) / tall,
            (down[bottom, right] - down[top, right]) / tall,
            (along[top, right] - along[top, left]) / wide,
            (along[bottom, right] - along[bottom, left]) / wide,
        ]
    )
    # A drawn frame has an inner and an outer edge: of rectangles that are about as strong, the largest.
    best = int(np.where(strength >= _ABOUT * strength.max(), tall * wide, -1).argmax())
    box = int(left[best]), int(top[best]), int(right[best]), int(bottom[best])
    return Rectangle(box, float(strength[best]))


def _peaks(profile: Edges, offset: int) -> list[int]:
    """Positions of the strongest lines of a profile, neighbours left out.

    A line stands out from what is beside it; texture at rest has edges everywhere.
    """
    around = np.lib.stride_tricks.sliding_window_view(np.pad(profile, _BESIDE, mode="reflect"), 2 * _BESIDE + 1)
    remaining = np.where(profile >= _STANDS_OUT * np.median(around, axis=1), profile, 0).astype(np.float64)
    found: list[int] = []
    while len(found) < _CANDIDATES and remaining.size and remaining.max() > 0:
        position = int(remaining.argmax())
        found.append(position + offset)
        remaining[max(0, position - 1) : position + 2] = 0
    return found
