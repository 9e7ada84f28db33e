"""Comparing frames by their pixels: what changed, what stayed, what is painted over a moving picture."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from videopath_hf.curation.tissue import Picture
from videopath_hf.records import Box
from videopath_hf.video.glance import shrink

_CHANGED = 14.0  # mean grey levels over a block; compression alone moves a block of a still picture by up to 13
_BLOCK = 8  # pixels of a quarter-size frame
_BLOCKS = 3  # changed blocks: the shortest label covers as many
_STROKE = 25  # grey levels by which a pixel of a quarter-size frame changes where a thin letter appears,
_STROKES = 3  # so many pixels of a block,
_DRAWN = 5  # in so many blocks: letters of 14 pixels change 5, compression alone 4
_PIXEL = 30  # grey levels by which compression does not move a pixel of a letter
_PIXELS = 0.02  # share of a box's pixels that may move more
_NEARER = 0.1  # correlation by which a frame may be less like the one with a text and still counts as having it

Thumb = np.ndarray[Any, np.dtype[np.uint8]]


def grey(image: Picture) -> Picture:
    """The frame in grey, uint8 [H, W]."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def thumb(image: Picture) -> Thumb:
    """The frame in grey at a quarter of its size."""
    height, width = max(1, image.shape[0] // 4), max(1, image.shape[1] // 4)
    return shrink(grey(image), width, height)


def changed(before: Thumb, now: Thumb) -> Box | None:
    """The box, in the frame's pixels, around all that differs between two thumbs; None where they show the same."""
    difference = cv2.absdiff(before, now)
    height, width = max(1, now.shape[0] // _BLOCK), max(1, now.shape[1] // _BLOCK)
    strong = (difference > _STROKE).astype(np.float32)
    means, strokes = (cv2.resize(x, (width, height), interpolation=cv2.INTER_AREA) for x in (difference, strong))
    moved, drawn = means > _CHANGED, strokes * _BLOCK**2 > _STROKES - 0.5
    if moved.sum() < _BLOCKS and drawn.sum() < _DRAWN:
        return None
    rows, columns = np.nonzero(moved | drawn)
    down, across = 4 * now.shape[0] / height, 4 * now.shape[1] / width
    return (
        max(0, int((columns.min() - 1) * across)),
        max(0, int((rows.min() - 1) * down)),
        min(4 * now.shape[1], int((columns.max() + 2) * across)),
        min(4 * now.shape[0], int((rows.max() + 2) * down)),
    )


def cut(image: np.ndarray[Any, Any], box: Box) -> np.ndarray[Any, Any]:
    """What a box holds."""
    return image[box[1] : box[3], box[0] : box[2]]


def unmoved(a: Picture, b: Picture, box: Box) -> bool:
    """Whether a box holds the same pixels in two grey frames, up to compression."""
    return float((cv2.absdiff(cut(a, box), cut(b, box)) > _PIXEL).mean()) <= _PIXELS


def showing(box: Box, shown: Picture, gone: Picture, frames: Sequence[Picture]) -> int:
    """How many of the frames, in order from the one that shows a text to the one that does not, still show it."""
    for number, frame in enumerate(frames):
        like, unlike = (correlation(cut(frame, box), cut(other, box)) for other in (shown, gone))
        if like < unlike - _NEARER:
            return number
    return len(frames)


def correlation(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """1 for two grey pictures, [H, W], of one pattern, 0 for two that have nothing in common."""
    x, y = a.astype(np.float32) - float(a.mean()), b.astype(np.float32) - float(b.mean())
    return float((x * y).sum() / (np.sqrt(float((x * x).sum()) * float((y * y).sum())) + 1.0))
