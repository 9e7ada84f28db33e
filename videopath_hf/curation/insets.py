"""How far a presenter's picture reaches around the face that was found: a framed inset, a round one, or a figure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from videopath_hf.curation.boxes import around, covered
from videopath_hf.curation.rectangles import find_rectangle, persistent_edges, quantile, ranked
from videopath_hf.curation.tissue import Picture, slide_masks
from videopath_hf.records import Box

_DRAWN = 3.0  # times the least strength from which a rectangle is the inset and no round one is looked for
_SURE = 1.75  # times the least strength from which a rectangle is the inset and no figure is looked for
_ROOM = (2.2, 1.6)  # width and height of an inset by its face's
_MEDIAN_SIDE = 240  # pixels of the longer side of the picture in which a round inset is looked for
_RADII = (0.8, 3.0)  # of a round inset, by its face's width
_OFF_CENTRE = 0.7  # widths of its face by which a round inset's centre may lie beside the face's
_STRONGEST = 80  # grey levels from which an edge counts no more
# Times the least strength by which nearly all of a circle must stand out, and with it times the edges of the circles
# beside it; rims of heads stay below 7 times and 1.4 times.
_ROUND = ((4.0, 1.45), (8.0, 1.25))
_BESIDE = (-14, -11, -8, 8, 11, 14)  # pixels by which their radii differ
_FIGURE = (1.1, 0.8, 1.1, 3.2)  # head and shoulders: face widths and heights to the left, above, right and below
_GROWN = 6.0  # colours around a face that reach further than this many face widths are no figure's
_FACE_ROOM = 0.3  # a mask must reach this many face widths beyond every face


class Inset(NamedTuple):
    """The box that holds a presenter's picture; `drawn` where its outline stands out and is no guess."""

    box: Box
    drawn: bool


def inset_box(
    crops: Sequence[Picture],
    faces: Sequence[Box],
    at_border: tuple[bool, bool, bool, bool],
    is_face: bool,
    min_edge: float,
    known: Sequence[Box] = (),
) -> Inset:
    """Find the box, in the crops' pixels, that holds a presenter's picture.

    Args:
        crops (`Sequence[np.ndarray]`): the same surroundings in several frames, uint8 [H, W, 3] RGB.
        faces (`Sequence[tuple[int, int, int, int]]`): where the face was found.
        at_border (`tuple[bool, bool, bool, bool]`): which sides of the crops are the frame's own.
        is_face (`bool`): faces were found, not whole persons.
        min_edge (`float`): grey levels by which the sides must stand out.
        known: boxes that were drawn elsewhere in the lecture; one that holds the faces is better than a guess.
    """
    face: Box = tuple(np.median(faces, axis=0).astype(int).tolist())
    edges = persistent_edges([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops])
    framed = find_rectangle(edges, face, at_border)
    drawn = framed is not None and framed.strength >= _DRAWN * min_edge
    circle = _round(crops, face, min_edge) if is_face and not drawn else None
    again = [box for box in known if all(covered(other, box) == 1 for other in faces)]
    if circle is not None:
        box = circle
    elif again and not drawn:
        box = again[-1]
    elif framed is None or framed.strength < min_edge:
        box = _figure(crops, face) if is_face else face
    else:
        sure = framed.strength >= _SURE * min_edge or _roomy(framed.box, face)
        box = around([framed.box, face if sure or not is_face else _figure(crops, face)])
    for x0, y0, x1, y1 in faces:
        room = round(_FACE_ROOM * (x1 - x0)) if is_face else 0
        box = around([box, (x0 - room, y0 - room, x1 + room, y1 + room)])
    return Inset(box, drawn or circle is not None)


def _roomy(box: Box, face: Box) -> bool:
    """Whether a rectangle leaves the room around a face that insets do; texture about a face seldom does."""
    wide, tall = face[2] - face[0], face[3] - face[1]
    return box[2] - box[0] >= _ROOM[0] * wide and box[3] - box[1] >= _ROOM[1] * tall


def _round(crops: Sequence[Picture], face: Box, min_edge: float) -> Box | None:
    """A circle around the face that stands out from what moves or rests behind it."""
    height, width = crops[0].shape[:2]
    scale = min(1.0, _MEDIAN_SIDE / max(height, width))
    small = [
        cv2.cvtColor(cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        for crop in crops
    ]
    typical = quantile(ranked(small), 0.5).astype(np.uint8)
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    edges = np.minimum(cv2.morphologyEx(typical, cv2.MORPH_GRADIENT, near), _STRONGEST)
    circles = _circles(face, scale)
    if not len(circles):
        return None
    x, y, radius = circles[_on_circles(edges, circles).mean(axis=1).argmax()]
    rings = _on_circles(edges, np.array([(x, y, max(1.0, radius + by)) for by in (0, *_BESIDE)]))
    strength, contrast = np.percentile(rings[0], 5), rings[0].mean() / max(1.0, np.median(rings[1:].mean(axis=1)))
    if not any(strength >= edge * min_edge and contrast >= above for edge, above in _ROUND):
        return None
    reach = 1.06 * radius + 1  # what it was looked for at is not finer
    return (
        max(0, int((x - reach) / scale)),
        max(0, int((y - reach) / scale)),
        min(width, int((x + reach) / scale) + 1),
        min(height, int((y + reach) / scale) + 1),
    )


def _circles(face: Box, scale: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Circles that hold a face: x, y and radius, [N, 3], in a picture of this scale."""
    wide = (face[2] - face[0]) * scale
    x, y = (face[0] + face[2]) / 2 * scale, (face[1] + face[3]) / 2 * scale
    beside = np.arange(-_OFF_CENTRE, _OFF_CENTRE + 1e-6, 1 / 16) * wide
    radii = np.arange(*_RADII, 1 / 24) * wide
    circles = np.stack(np.meshgrid(x + beside, y + beside, radii, indexing="ij"), axis=-1).reshape(-1, 3)
    found: np.ndarray[Any, np.dtype[np.float64]] = circles[
        np.hypot(circles[:, 0] - x, circles[:, 1] - y) + 0.5 * wide <= circles[:, 2]
    ]
    return found


def _on_circles(edges: Picture, circles: np.ndarray[Any, Any]) -> Picture:
    """The edges at 72 places of each circle, [N, 72]; none where a circle leaves the picture."""
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    padded = np.pad(edges, 1)
    x, y, radius = circles.T[:, :, None]
    columns = np.clip(np.round(x + radius * np.cos(angles)).astype(np.int32) + 1, 0, padded.shape[1] - 1)
    rows = np.clip(np.round(y + radius * np.sin(angles)).astype(np.int32) + 1, 0, padded.shape[0] - 1)
    found: Picture = padded[rows, columns]
    return found


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
