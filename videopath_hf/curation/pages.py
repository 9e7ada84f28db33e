"""Pages with a picture of tissue on them: a title slide, not a slide under a microscope."""

from typing import NamedTuple

import cv2
import numpy as np

from videopath_hf.curation.rectangles import find_rectangle, persistent_edges
from videopath_hf.curation.tissue import Picture, opened, slide_masks
from videopath_hf.records import Box, Segment

_WIDTH = 320  # pixels at which a frame is looked at
_JOINED = 9  # pixels between stained parts of one picture
_STILL = 1.0  # seconds of a page that may not be still: a line that appears, a codec that settles
_LARGEST = 0.3  # share of the frame from which a picture is what the page is about: tissue in a presentation
_FRAME = 8.0  # grey levels of a picture's weakest side; on pages 16 and more, outlines of fragments on glass up to 15
_PAPER = 10  # grey levels by which paper differs from itself
_EMPTY = 0.85  # share of what is around the picture that is paper; the rest is letters
_FILLED = 0.6  # share of the picture that is no paper
_DARKER = 3  # grey levels by which the glass in a picture differs from the paper, at least
_BLOCK = 0.8  # share of its box that a picture without sides of its own fills; tissue on glass up to 0.75, disks 0.79
_LETTERS = 0.008  # share of what is around it that is no paper then: titles 0.019 and more, scale bars 0.003


def stands_still(segment: Segment) -> bool:
    """Whether nothing moves in a segment but for a moment."""
    start = segment.start if segment.settled is None else segment.settled
    return sum(stop - begin for begin, stop in segment.stills) >= segment.end - start - _STILL


def is_page(image: Picture) -> bool:
    """Whether a frame, uint8 [H, W, 3] RGB, is paper with a small picture of tissue on it.

    Small fragments on empty glass are none: their outlines are not straight.
    """
    height = max(2, round(image.shape[0] * _WIDTH / image.shape[1]))
    small = cv2.resize(image, (_WIDTH, height), interpolation=cv2.INTER_AREA)
    stain = opened(slide_masks(small).stain)
    return _has_framed_picture(small, stain) or _has_pale_picture(small, stain)


def _has_framed_picture(small: Picture, stain: Picture) -> bool:
    """Whether a picture on paper has four sides that stand out."""
    part = _part(cv2.morphologyEx(stain, cv2.MORPH_CLOSE, np.ones((_JOINED, _JOINED), np.uint8)), stain)
    if part is None:
        return False
    x0, y0, x1, y1 = part
    width, height = (x1 - x0) // 4, (y1 - y0) // 4
    inner = (x0 + width, y0 + height, x1 - width, y1 - height)
    edges = persistent_edges([cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)])
    picture = find_rectangle(edges, inner, (False, False, False, False))
    if picture is None or picture.strength < _FRAME:
        return False
    paper = _paper(small, stain, picture.box)
    return paper is not None and paper.inside <= 1 - _FILLED


def _has_pale_picture(small: Picture, stain: Picture) -> bool:
    """Whether a picture lies beside letters on paper that is hardly brighter than the picture's glass."""
    darker = opened(abs(small - np.median(small, axis=(0, 1))).max(axis=2) > _DARKER)
    box = _part(darker, stain)
    if box is None:
        return False
    x0, y0, x1, y1 = box
    paper = _paper(small, stain, box)
    filled = float(darker[y0:y1, x0:x1].mean())
    return paper is not None and filled >= _BLOCK and paper.around <= 1 - _LETTERS


class _Paper(NamedTuple):
    """Shares of a picture, and of what is around it, that have the colour of the paper."""

    inside: float
    around: float


def _paper(small: Picture, stain: Picture, box: Box) -> _Paper | None:
    """How much paper there is; None if the box holds no small picture, or no paper is around it."""
    x0, y0, x1, y1 = box
    inside = np.zeros(small.shape[:2], dtype=bool)
    inside[y0:y1, x0:x1] = True
    if inside.mean() > _LARGEST or stain[inside].sum() < 0.9 * stain.sum():
        return None
    alike = abs(small - np.median(small[~inside], axis=0)).max(axis=2) <= _PAPER
    found = _Paper(float(alike[inside].mean()), float(alike[~inside].mean()))
    return found if found.around >= _EMPTY else None


def _part(mask: Picture, stain: Picture) -> Box | None:
    """The box of the connected part of a mask that holds most stain."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    held = np.bincount(labels[stain > 0], minlength=count)[1:]
    if not held.any():
        return None
    x, y, w, h, _ = stats[1 + int(held.argmax())].tolist()
    return x, y, x + w, y + h
