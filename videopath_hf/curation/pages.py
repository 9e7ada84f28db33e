"""Pages with a picture of tissue on them: a title slide, not a slide under a microscope."""

import cv2
import numpy as np

from videopath_hf.curation.rectangles import find_rectangle, persistent_edges
from videopath_hf.curation.tissue import Picture, slide_masks
from videopath_hf.records import Segment

_WIDTH = 320  # pixels at which a frame is looked at
_JOINED = 9  # pixels between stained parts of one picture
_STILL = 1.0  # seconds of a page that may not be still: a line that appears, a codec that settles
_LARGEST = 0.3  # share of the frame from which a picture is what the page is about: tissue in a presentation
_FRAME = 8.0  # grey levels of a picture's weakest side; on pages 16 and more, outlines of fragments on glass up to 15
_PAPER = 10  # grey levels by which paper differs from itself
_EMPTY = 0.85  # share of what is around the picture that is paper; the rest is letters
_FILLED = 0.6  # share of the picture that is no paper


def stands_still(segment: Segment) -> bool:
    """Whether nothing moves in a segment but for a moment."""
    start = segment.start if segment.settled is None else segment.settled
    return sum(stop - begin for begin, stop in segment.stills) >= segment.end - start - _STILL


def is_page(image: Picture) -> bool:
    """Whether a frame, uint8 [H, W, 3] RGB, is paper with a small, sharp-edged picture of tissue on it.

    A small fragment on empty glass is none: its outline is not straight.
    """
    height = max(2, round(image.shape[0] * _WIDTH / image.shape[1]))
    small = cv2.resize(image, (_WIDTH, height), interpolation=cv2.INTER_AREA)
    stain = cv2.morphologyEx(slide_masks(small).stain.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    joined = cv2.morphologyEx(stain, cv2.MORPH_CLOSE, np.ones((_JOINED, _JOINED), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined)
    if count < 2:
        return False
    x, y, w, h, _ = max(stats[1:count].tolist(), key=lambda part: part[4])
    edges = persistent_edges([cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)])
    inner = (x + w // 4, y + h // 4, x + w - w // 4, y + h - h // 4)
    picture = find_rectangle(edges, inner, (False, False, False, False))
    if picture is None or picture.strength < _FRAME:
        return False
    x0, y0, x1, y1 = picture.box
    inside = np.zeros(small.shape[:2], dtype=bool)
    inside[y0:y1, x0:x1] = True
    if inside.mean() > _LARGEST or stain[inside].sum() < 0.9 * stain.sum():
        return False
    paper = np.median(small[~inside], axis=0)
    like_paper = abs(small - paper).max(axis=2) <= _PAPER
    return bool(like_paper[~inside].mean() >= _EMPTY and (~like_paper[inside]).mean() >= _FILLED)
