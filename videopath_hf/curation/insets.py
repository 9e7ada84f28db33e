"""How far a presenter's picture reaches around the face that was found: a framed inset, a round one, or a figure."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from videopath_hf.curation.boxes import around
from videopath_hf.curation.rectangles import find_rectangle, persistent_edges, quantile, ranked
from videopath_hf.curation.tissue import Picture, slide_masks
from videopath_hf.records import Box

_SURE = 1.75  # times the least strength from which a rectangle is the inset and nothing else is looked for
_ROOM = (2.2, 1.6)  # width and height of an inset by its face's
_MEDIAN_SIDE = 240  # pixels of the longer side of the picture in which a round inset is looked for
_ROUND_VOTES = 18  # of Hough's accumulator
_ROUND_EDGE = 0.75  # share of a circle that must stand out
_FIGURE = (1.1, 0.8, 1.1, 3.2)  # head and shoulders: face widths and heights to the left, above, right and below
_GROWN = 6.0  # colours around a face that reach further than this many face widths are no figure's
_FACE_ROOM = 0.3  # a mask must reach this many face widths beyond every face


def inset_box(
    crops: Sequence[Picture],
    faces: Sequence[Box],
    at_border: tuple[bool, bool, bool, bool],
    is_face: bool,
    min_edge: float,
) -> Box:
    """The box, in the crops' pixels, that holds a presenter's picture.

    Args:
        crops (`Sequence[np.ndarray]`): the same surroundings in several frames, uint8 [H, W, 3] RGB.
        faces (`Sequence[tuple[int, int, int, int]]`): where the face was found.
        at_border (`tuple[bool, bool, bool, bool]`): which sides of the crops are the frame's own.
        is_face (`bool`): faces were found, not whole persons.
        min_edge (`float`): grey levels by which the sides must stand out.
    """
    face: Box = tuple(np.median(faces, axis=0).astype(int).tolist())
    edges = persistent_edges([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops])
    framed = find_rectangle(edges, face, at_border)
    drawn = framed is not None and framed.strength >= _SURE * min_edge
    sure = drawn or (framed is not None and framed.strength >= min_edge and _roomy(framed.box, face))
    circle = _round(crops, face, min_edge) if is_face and not drawn else None
    box = circle or (face if sure or not is_face else _figure(crops, face))
    if framed is not None and framed.strength >= min_edge:
        box = around([box, framed.box])
    for x0, y0, x1, y1 in faces:
        room = round(_FACE_ROOM * (x1 - x0)) if is_face else 0
        box = around([box, (x0 - room, y0 - room, x1 + room, y1 + room)])
    return box


def _roomy(box: Box, face: Box) -> bool:
    """Whether a rectangle leaves the room around a face that insets do; texture about a face seldom does."""
    wide, tall = face[2] - face[0], face[3] - face[1]
    return box[2] - box[0] >= _ROOM[0] * wide and box[3] - box[1] >= _ROOM[1] * tall


def _round(crops: Sequence[Picture], face: Box, min_edge: float) -> Box | None:
    """A circle around the face that stands out from what moves behind it."""
    height, width = crops[0].shape[:2]
    scale = min(1.0, _MEDIAN_SIDE / max(height, width))
    small = [
        cv2.cvtColor(cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        for crop in crops
    ]
    typical = quantile(ranked(small), 0.5).astype(np.uint8)
    wide = (face[2] - face[0]) * scale
    found = cv2.HoughCircles(
        typical, cv2.HOUGH_GRADIENT, 1.5, max(4.0, wide / 2), param1=80, param2=_ROUND_VOTES,
        minRadius=round(0.7 * wide), maxRadius=round(3.0 * wide),
    )  # fmt: skip
    if found is None:
        return None
    x, y = (face[0] + face[2]) / 2 * scale, (face[1] + face[3]) / 2 * scale
    for cx, cy, radius in found.reshape(-1, 3)[:8]:
        if np.hypot(cx - x, cy - y) + 0.5 * wide <= radius and _ring(typical, cx, cy, radius, min_edge):
            left, top, right, bottom = cx - radius, cy - radius, cx + radius, cy + radius
            return (
                max(0, int(left / scale) - 2),
                max(0, int(top / scale) - 2),
                min(width, int(right / scale) + 3),
                min(height, int(bottom / scale) + 3),
            )
    return None


def _ring(grey: Picture, x: float, y: float, radius: float, min_edge: float) -> bool:
    """Whether the picture changes across most of a circle."""
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)

    def at(distance: float) -> np.ndarray[Any, Any]:
        columns = np.clip(np.round(x + distance * np.cos(angles)).astype(int), 0, grey.shape[1] - 1)
        rows = np.clip(np.round(y + distance * np.sin(angles)).astype(int), 0, grey.shape[0] - 1)
        return grey[rows, columns].astype(np.float32)

    step = np.max([abs(at(radius + out) - at(radius - inside)) for out in (1, 2, 3) for inside in (1, 2, 3)], axis=0)
    return bool((step >= 2 * min_edge).mean() >= _ROUND_EDGE)


def _figure(crops: Sequence[Picture], face: Box) -> Box:
    """Head and shoulders below a face, and the colours around it that are no slide's."""
    height, width = crops[0].shape[:2]
    wide, tall = face[2] - face[0], face[3] - face[1]
    left, above, right, below = _FIGURE
    box = (
        max(0, round(face[0] - left * wide)),
        max(0, round(face[1] - above * tall)),
        min(width, round(face[2] + right * wide)),
        min(height, round(face[3] + below * tall)),
    )
    foreign = np.mean([slide_masks(crop).foreign for crop in crops], axis=0) >= 0.5
    reach = max(3, wide // 6)
    joined = cv2.morphologyEx(foreign.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    inside = labels[face[1] : face[3], face[0] : face[2]]
    counts = np.bincount(inside[inside > 0].ravel()) if (inside > 0).any() else np.zeros(1, dtype=int)
    if counts.max() > 0:
        x, y, w, h, _ = stats[int(counts.argmax())].tolist()
        if max(w, h) <= _GROWN * wide:
            box = (min(box[0], x), min(box[1], y), max(box[2], x + w), max(box[3], y + h))
    return box
