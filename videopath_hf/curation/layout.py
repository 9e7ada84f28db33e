"""Where the slide lies in the frame: side panels, toolbars and black bars are left out, minimaps on it are found.

A viewer's layout stays while the slide under it moves. Straight edges that stay are the lines along which a frame may
be cut; of all rectangles between such lines the one is taken that holds most of what moves in a slide's colours and
least of what stands still or has no slide's colours. A picture of the whole slide that stands still on a moving slide
is a minimap or a thumbnail.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple, TypedDict

import cv2
import numpy as np
from pydantic import Field

from videopath_hf.curation.boxes import overlap
from videopath_hf.curation.faces import Detector
from videopath_hf.curation.rectangles import Edges, find_rectangle, persistent_edges, quantile, ranked
from videopath_hf.curation.settings import TissueSettings
from videopath_hf.curation.tissue import Picture, opened, slide_masks
from videopath_hf.records import Box, Record
from videopath_hf.video.glance import shrink

_WIDTH = 320  # pixels to which frames are scaled
_KEPT = 24  # frames of a segment that are looked at, spread evenly
_DETECTED = 8  # frames in which a detector looks for the slide
_CHANGED = 10.0  # grey levels between a pixel's darkest and brightest tenths from which it moves
_MOVING = 0.45  # share of a frame that must move before what stands still means something
_LINE = 4.0  # grey levels by which a line between panel and slide stands out from its neighbourhood
_LENGTH = 0.4  # share of the frame's height or width along which it does
_FRAME = 8.0  # grey levels of the weakest side of a minimap
_TEXTURE = 4.0  # variance of grey levels around a pixel from which it is not painted flat
_REACH = 9  # pixels around stain that are slide rather than panel where nothing moves
_LINES = 7  # lines tried for each side
_SMALLEST = 0.2  # share of the frame that a slide covers at least
_WHOLE = 0.97  # a slide that covers this share of the frame's width and height is the whole frame
_THUMBNAIL = (0.002, 0.15)  # least and largest share of the slide that a minimap covers
_THUMBNAIL_STAIN = 0.03  # share of a minimap that is stained
_SLENDER = 3.5  # longer side of a minimap by its shorter one; label plates are longer,
_STRIP = (8.0, 0.1)  # unlike minimaps of slides with a row of sections, of which this share at least is stained
_PRESENT = 3.0  # grey levels of the weakest side of a minimap that was found elsewhere

Values = np.ndarray[Any, np.dtype[np.float32]]


class Layout(Record):
    """What a segment's frames show besides the slide's own content, in the video's pixels.

    Args:
        slide (`tuple[int, int, int, int]`): the slide's box.
        moving (`bool`): whether the slide moved, so that the box rests on more than colours.
        thumbnails (`list[tuple[int, int, int, int]]`): minimaps and slide thumbnails on the slide.
    """

    slide: Box
    moving: bool
    thumbnails: list[Box] = Field(default_factory=list)


class _Evidence(NamedTuple):
    """Small frames' figures: what moves, what has a slide's colours and is stained (shares), what is not painted flat,
    and the edges."""

    moves: np.ndarray[Any, np.dtype[np.bool_]]
    slide: Values
    stain: Values
    textured: np.ndarray[Any, np.dtype[np.bool_]]
    edges: tuple[Edges, Edges]


class LayoutWatcher:
    """Keeps small copies of frames spread over a segment, however long it is.

    Args:
        size (`tuple[int, int]`): width and height of the frames.
        detector (`Detector`, *optional*): finds the slide; its colours, edges and movement do if omitted.
    """

    def __init__(self, size: tuple[int, int], detector: Detector | None = None) -> None:
        self.size = size
        self.detector = detector
        self.frames: list[Picture] = []
        self._stride, self._seen = 1, 0

    def add(self, image: Picture) -> None:
        """See the next frame, uint8 [H, W, 3] RGB."""
        if self._seen % self._stride == 0:
            if len(self.frames) == 2 * _KEPT:
                self.frames, self._stride = self.frames[::2], 2 * self._stride
            if self._seen % self._stride == 0:
                height = max(2, round(image.shape[0] * _WIDTH / image.shape[1]))
                self.frames.append(shrink(image, _WIDTH, height))
        self._seen += 1

    def finish(self, hidden: Sequence[Box] = (), known: Sequence[Layout] = (), written: Sequence[Box] = ()) -> Layout:
        """The segment's layout.

        Args:
            hidden: boxes, in the video's pixels, of presenters: they move and are no slide.
            written: boxes of on-screen text; a label's plate is no minimap.
            known: layouts of other segments of the lecture, for a segment in which nothing moves.
        """
        if not self.frames:
            return Layout(slide=(0, 0, *self.size), moving=False)
        chosen = np.linspace(0, len(self.frames) - 1, min(_KEPT, len(self.frames)), dtype=int)
        seen = _evidence([self.frames[number] for number in chosen])
        scale = self.size[0] / _WIDTH
        for presenter in hidden:
            x0, y0, x1, y1 = (round(value / scale) for value in presenter)
            seen.moves[y0:y1, x0:x1] = False
            seen.slide[y0:y1, x0:x1] = 0.5
        box, moving = _slide_box(seen)
        if self.detector is not None:
            box = self._detected([self.frames[number] for number in chosen]) or box
        thumbnails = _thumbnails(seen, box) if moving else []
        full = [_scaled(found, scale, self.size) for found in thumbnails]
        full = [found for found in full if all(overlap(found, box) < 0.3 for box in (*hidden, *written))]
        layout = Layout(slide=_scaled(box, scale, self.size), moving=moving, thumbnails=full)
        return _borrowed(layout, seen.edges, known, scale)

    def _detected(self, frames: Sequence[Picture]) -> Box | None:
        """The typical box of the slide, if the detector finds it in at least half of some frames."""
        if self.detector is None:
            return None
        looked = frames[:: max(1, len(frames) // _DETECTED)]
        hits = [self.detector.find(frame, _WIDTH) for frame in looked]
        boxes = [max(found, key=lambda hit: _area(hit.box)).box for found in hits if found]
        if 2 * len(boxes) < len(looked):
            return None
        x0, y0, x1, y1 = np.median(boxes, axis=0).round().astype(int).tolist()
        return x0, y0, x1, y1


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _evidence(frames: Sequence[Picture]) -> _Evidence:
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    ranks = ranked(grey)
    low, typical, high = (quantile(ranks, share) for share in (0.1, 0.5, 0.9))
    spread = cv2.blur(typical * typical, (5, 5)) - cv2.blur(typical, (5, 5)) ** 2
    masks = [slide_masks(frame) for frame in frames]
    return _Evidence(
        (high - low) >= _CHANGED,
        np.mean([~mask.foreign for mask in masks], axis=0).astype(np.float32),
        np.mean([opened(mask.stain) for mask in masks], axis=0).astype(np.float32),
        spread >= _TEXTURE,
        persistent_edges(grey),
    )


def _slide_box(seen: _Evidence) -> tuple[Box, bool]:
    """The slide's box in the small frames' pixels, and whether the slide moves."""
    height, width = seen.slide.shape
    coloured = seen.slide >= 0.5
    moving = bool((seen.moves & coloured).mean() >= _MOVING * max(0.3, coloured.mean()) * 0.8)
    near = cv2.dilate(((seen.stain >= 0.5) & seen.textured).astype(np.uint8), np.ones((_REACH, _REACH), np.uint8)) > 0
    still = np.full_like(seen.slide, -0.35) if moving else np.where(near, 0.5, -0.5)
    value = np.where(coloured, np.where(seen.moves, 1.0, still), np.where(seen.moves, -0.5, -1.0))
    total = np.pad(value.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    vertical, horizontal = seen.edges
    columns, rows = _lines(vertical, 0), _lines(horizontal, 1)
    best, most = (0, 0, width, height), -np.inf
    for x0, x1, y0, y1 in product([0, *columns], [*columns, width], [0, *rows], [*rows, height]):
        if (x1 - x0) * (y1 - y0) < _SMALLEST * width * height or x1 <= x0 or y1 <= y0:
            continue
        inside = float(total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0])
        if inside > most:
            best, most = (x0, y0, x1, y1), inside
    return best, moving


def _lines(edges: Edges, axis: int) -> list[int]:
    """Positions of the strongest straight edges, by how far they stand out from their neighbourhood."""
    profile = edges.mean(axis=axis)
    padded = np.pad(profile.astype(np.float64), 8, constant_values=np.nan)
    standing = profile - np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, 17), axis=1)
    across = edges if axis == 0 else edges.T
    beside = cv2.blur(across, (9, 1))
    long = ((across - beside) >= _LINE).mean(axis=0) >= _LENGTH
    found: list[int] = []
    for position in np.argsort(-standing, kind="stable"):
        if standing[position] < _LINE or len(found) == _LINES:
            break
        if long[position] and all(abs(int(position) - other) > 2 for other in found):
            found.append(int(position))
    return sorted(found)


def _thumbnails(seen: _Evidence, slide: Box) -> list[Box]:
    """Stained rectangles on a moving slide that stand still."""
    x0, y0, x1, y1 = slide
    still = (~seen.moves & (seen.slide >= 0.3)).astype(np.uint8)
    still[:y0] = still[y1:] = 0
    still[:, :x0] = still[:, x1:] = 0
    area = (x1 - x0) * (y1 - y0)
    joined = cv2.morphologyEx(still, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    joined = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined)
    found: list[Box] = []
    for x, y, w, h, size in stats[1:count].tolist():
        box = (x, y, x + w, y + h)
        if not _THUMBNAIL[0] * area <= w * h <= _THUMBNAIL[1] * area or size < 0.6 * w * h:
            continue
        stain = float(seen.stain[y : y + h, x : x + w].mean())
        if stain < _THUMBNAIL_STAIN:
            continue
        inner = (x + w // 4, y + h // 4, x + w - w // 4, y + h - h // 4)
        rectangle = find_rectangle(seen.edges, inner, (False, False, False, False))
        if rectangle is None or rectangle.strength < _FRAME or overlap(rectangle.box, box) < 0.5:
            continue
        wide, tall = rectangle.box[2] - rectangle.box[0], rectangle.box[3] - rectangle.box[1]
        longest = _STRIP[0] if stain >= _STRIP[1] else _SLENDER
        if max(wide / tall, tall / wide) <= longest:
            found.append(rectangle.box)
    return found


def _borrowed(layout: Layout, edges: tuple[Edges, Edges], known: Sequence[Layout], scale: float) -> Layout:
    """Complete the layout of a still segment with what moving ones of the lecture showed, where its edges agree."""
    if layout.moving:
        return layout
    moved = [other for other in known if other.moving]
    slides = [(_sides(edges, other.slide, scale), other.slide) for other in moved]
    strength, slide = max(slides, default=(0.0, layout.slide))
    boxes = sorted(((_sides(edges, box, scale), box) for other in moved for box in other.thumbnails), reverse=True)
    thumbnails: list[Box] = []
    for present, box in boxes:
        if present >= _PRESENT and all(overlap(box, found) < 0.3 for found in thumbnails):
            thumbnails.append(box)
    return layout.model_copy(
        update={"slide": slide if strength >= _PRESENT else layout.slide, "thumbnails": thumbnails}
    )


def _sides(edges: tuple[Edges, Edges], box: Box, scale: float) -> float:
    """Grey levels by which the weakest side of a box, in the video's pixels, stands out; the frame's borders do."""
    vertical, horizontal = edges
    height, width = vertical.shape[0], horizontal.shape[1]
    x0, y0, x1, y1 = (round(value / scale) for value in box)
    sides = [100.0]
    for x in (x0, x1):
        if 2 < x < width - 2:
            sides.append(_standing(vertical[y0:y1].mean(axis=0), x))
    for y in (y0, y1):
        if 2 < y < height - 2:
            sides.append(_standing(horizontal[:, x0:x1].mean(axis=1), y))
    return min(sides)


def _standing(profile: np.ndarray[Any, Any], position: int) -> float:
    """How far the strongest of the lines about a position stands out from those around it."""
    around = profile[max(0, position - 8) : position + 9]
    return float(profile[position - 1 : position + 2].max() - np.median(around))


def _scaled(box: Box, scale: float, size: tuple[int, int]) -> Box:
    """A small box in the video's pixels; one that is nearly the whole frame is the whole frame."""
    x0, y0, x1, y1 = (round(value * scale) for value in box)
    x1, y1 = min(x1, size[0]), min(y1, size[1])
    if x1 - x0 >= _WHOLE * size[0]:
        x0, x1 = 0, size[0]
    if y1 - y0 >= _WHOLE * size[1]:
        y0, y1 = 0, size[1]
    return x0, y0, x1, y1


def crop_box(slide: Box, margin: int, size: tuple[int, int]) -> Box:
    """What a clip shows of a frame of `size` (width, height): the slide, `margin` pixels around it, at even sizes."""
    x0, y0 = max(0, slide[0] - margin), max(0, slide[1] - margin)
    x1, y1 = min(size[0], slide[2] + margin), min(size[1], slide[3] + margin)
    return x0, y0, x1 - (x1 - x0) % 2, y1 - (y1 - y0) % 2


class KeptPart(TypedDict):
    """What a `Refiner` is told about the layout."""

    slide: Box | None
    crop: Box | None
    thumbnails: list[Box]


def kept_part(layout: Layout | None, settings: TissueSettings, size: tuple[int, int]) -> KeptPart:
    """What the settings keep of a segment's layout, for its `Refiner`."""
    if layout is None:
        return {"slide": None, "crop": None, "thumbnails": []}
    whole = (0, 0, *size)
    return {
        "slide": layout.slide,
        "crop": crop_box(layout.slide if settings.crop else whole, settings.crop_margin, size),
        "thumbnails": layout.thumbnails if settings.thumbnails else [],
    }
