"""Presenters: faces by scikit-image's own LBP cascade, insets by the rectangle around a face.

The cascade also answers to stained texture, so a face alone decides nothing: a presenter's face must come back in most
of a segment's frames, and an inset's face must lie in a patch whose colours are no slide's and within four straight
edges that stay while the slide moves.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np

from videopath_hf.curation.rectangles import find_rectangle, persistent_edges
from videopath_hf.curation.settings import PersonSettings
from videopath_hf.curation.tissue import Picture
from videopath_hf.records import Box, PersonBox

_FRAME_WIDTH = 400  # pixels to which a whole frame is scaled before faces are looked for
_PATCH_WIDTH = 320  # the same for a patch that may be an inset
_PATCH_FACE = 0.08  # narrowest face in a patch and its surroundings, as a share of their width
_FACE_CROPS = 4  # crops of a patch in which faces are looked for
_SMALLEST_FACE = 24  # pixels: the cascade's own window
_THUMB = 48  # side, in pixels, of the small grey copies by which an inset is recognised again
_ALIKE = 0.5  # correlation with an inset's typical picture from which a frame shows it
_MIN_SECONDS = 1.5  # shortest time for which an inset is shown
_CROPS = 12  # full-size crops kept of a patch


def overlap(a: Box, b: Box) -> float:
    """Intersection of two boxes over their union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@cache
def _cascade() -> Any:
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


def find_faces(image: Picture, width: int, smallest: float) -> list[Box]:
    """Find frontal faces in a picture.

    Args:
        image (`np.ndarray`): uint8 [H, W, 3] RGB.
        width (`int`): pixels to which the picture is scaled first.
        smallest (`float`): narrowest face, as a share of the picture's width.

    Returns:
        `list[Box]`: boxes in the picture's own pixels.
    """
    scale = image.shape[1] / width
    height = max(1, round(image.shape[0] / scale))
    if min(width, height) < _SMALLEST_FACE:
        return []
    scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR)
    narrowest = max(_SMALLEST_FACE, round(smallest * width))
    hits = _cascade().detect_multi_scale(
        img=scaled,
        scale_factor=1.2,
        step_ratio=1,
        min_size=(narrowest, narrowest),
        max_size=(height, height),
    )
    return [
        (
            round(hit["c"] * scale),
            round(hit["r"] * scale),
            round((hit["c"] + hit["width"]) * scale),
            round((hit["r"] + hit["height"]) * scale),
        )
        for hit in hits
    ]


def presenter_share(frames: Sequence[Picture], settings: PersonSettings) -> float:
    """Share of a segment's frames that show a presenter's face, large and in about the same place."""
    if not frames:
        return 0.0
    faces = [find_faces(frame, _FRAME_WIDTH, settings.min_face) for frame in frames]
    best = 0
    for first in (face for found in faces for face in found):
        best = max(best, sum(any(overlap(first, face) >= 0.25 for face in found) for found in faces))
    return best / len(frames)


class Patch:
    """A place in a segment that may hold a presenter's inset, watched frame by frame.

    Args:
        box (`Box`): where colours that are no slide's were seen.
        size (`tuple[int, int]`): width and height of the frames.
        start, end (`float`): seconds between which they were seen.
    """

    def __init__(self, box: Box, size: tuple[int, int], start: float, end: float) -> None:
        self.box = box
        reach = round(0.6 * max(box[2] - box[0], box[3] - box[1]))
        self.size = size
        self.start, self.end = start, end
        self.area: Box = (
            max(0, box[0] - reach),
            max(0, box[1] - reach),
            min(size[0], box[2] + reach),
            min(size[1], box[3] + reach),
        )
        self.crops: list[Picture] = []
        self.times: list[float] = []
        self._thumbs: list[np.ndarray[Any, Any]] = []
        self._due = start

    def add(self, time: float, image: Picture) -> None:
        """See the next frame of the segment."""
        x0, y0, x1, y1 = self.area
        crop = image[y0:y1, x0:x1]
        self.times.append(time)
        self._thumbs.append(
            cv2.resize(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (128, 128), interpolation=cv2.INTER_AREA)
        )
        if self._due <= time <= self.end and len(self.crops) < _CROPS:
            self.crops.append(crop.copy())
            self._due = time + max(0.5, (self.end - self.start) / _CROPS)

    def insets(self, period: float, end: float, settings: PersonSettings) -> list[PersonBox]:
        """Where and when an inset with a face was shown.

        Args:
            period (`float`): seconds from one frame to the next.
            end (`float`): seconds at which the segment ends.
        """
        found = self._rectangle(settings)
        if found is None:
            return []
        x0, y0, _, _ = self.area
        box = (found[0] + x0, found[1] + y0, found[2] + x0, found[3] + y0)
        shown = self._shown(found)
        spans: list[list[float]] = []
        for time, here in zip(self.times, shown, strict=True):
            if not here:
                continue
            if spans and time - spans[-1][1] <= max(2.0, period) + 1e-6:
                spans[-1][1] = time + period
            else:
                spans.append([time, time + period])
        return [PersonBox(box=box, start=round(start, 3), end=round(min(stop, end), 3)) for start, stop in spans]

    def _rectangle(self, settings: PersonSettings) -> Box | None:
        """The inset's rectangle in the crop's pixels, if faces were found in at least half of the crops."""
        if not self.crops:
            return None
        area, (width, height) = self.area, self.size
        border = (area[0] == 0, area[1] == 0, area[2] == width, area[3] == height)
        edges = persistent_edges([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in self.crops])
        x, y = (self.box[0] + self.box[2]) // 2 - area[0], (self.box[1] + self.box[3]) // 2 - area[1]
        framed = find_rectangle(edges, (x - 4, y - 4, x + 4, y + 4), border)
        if framed is None or framed.strength < settings.min_edge:
            return None  # most stained patches end here, before the costly search for faces
        face = self._face()
        rectangle = find_rectangle(edges, face, border) if face is not None else None
        if rectangle is None or rectangle.strength < settings.min_edge:
            return None
        return rectangle.box

    def _face(self) -> Box | None:
        """The typical face of the crops, if it is found in at least half of them and in one of the first two."""
        chosen = np.linspace(0, len(self.crops) - 1, min(_FACE_CROPS, len(self.crops)), dtype=int).tolist()
        found: list[list[Box]] = []
        for number in chosen:
            found.append(find_faces(self.crops[number], _PATCH_WIDTH, _PATCH_FACE))
            if len(found) == 2 and not any(found):
                return None
        if 2 * sum(map(bool, found)) < len(found):
            return None
        x0, y0, x1, y1 = np.median([face for faces in found for face in faces], axis=0).astype(int).tolist()
        return x0, y0, x1, y1

    def _shown(self, box: Box) -> list[bool]:
        """For every frame seen, whether it shows what the crops show in `box`."""
        width, height = self.area[2] - self.area[0], self.area[3] - self.area[1]
        x0, x1 = (round(value * 128 / width) for value in (box[0], box[2]))
        y0, y1 = (round(value * 128 / height) for value in (box[1], box[3]))
        parts = [
            cv2.resize(thumb[y0 : max(y1, y0 + 2), x0 : max(x1, x0 + 2)], (_THUMB, _THUMB)).astype(np.float32)
            for thumb in self._thumbs
        ]
        inside = [
            part for part, time in zip(parts, self.times, strict=True) if self.start <= time <= self.end
        ] or parts
        typical = np.median(inside, axis=0)
        return [_correlation(part, typical) >= _ALIKE for part in parts]


def _correlation(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 1e-6 else 0.0


class Seen(NamedTuple):
    """A box of foreign colours at a time."""

    time: float
    box: Box


def find_patches(seen: Sequence[Seen], size: tuple[int, int], gap: float) -> list[Patch]:
    """Group foreign boxes that stay in their place, seen for a while and never missing for more than `gap` seconds."""
    groups: list[list[Seen]] = []
    for item in seen:
        for group in groups:
            if item.time - group[-1].time <= gap and overlap(item.box, group[-1].box) >= 0.3:
                group.append(item)
                break
        else:
            groups.append([item])
    return [
        Patch(
            (
                min(item.box[0] for item in group),
                min(item.box[1] for item in group),
                max(item.box[2] for item in group),
                max(item.box[3] for item in group),
            ),
            size,
            group[0].time,
            group[-1].time,
        )
        for group in groups
        if group[-1].time - group[0].time >= _MIN_SECONDS
    ]
