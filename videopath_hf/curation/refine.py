"""Refined frames: presenters masked, burned-in text painted out, everything else left as it was."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from videopath_hf.curation.boxes import clipped, widened
from videopath_hf.curation.settings import ScreenTextSettings
from videopath_hf.curation.tissue import Picture
from videopath_hf.records import Box, PersonBox, RemovedText

_INSET_MARGIN = 6  # pixels: an inset's frame and shadow
_RADIUS = 3  # cells of surroundings that inpainting looks at
_CELLS = 3  # cells across a box's short side: coarse enough that neither streaks nor cells nor letters are made up
_CONTEXT = 4  # cells around a box that are handed to inpainting
_KNOWN = 0.25  # share of a cell that lies outside all boxes, from which its colour is known
_ROUNDED = 1e-3  # seconds: the times of records are rounded, those of frames are not
_METHODS = {"telea": cv2.INPAINT_TELEA, "ns": cv2.INPAINT_NS}


class Refiner:
    """Hides the presenters and the text of one segment.

    Args:
        texts (`Sequence[RemovedText]`): texts with their boxes and times.
        persons (`Sequence[PersonBox]`): insets with their boxes and times.
        glass (`tuple[int, int, int]`): RGB of the slide's background, which insets are filled with.
        settings (`ScreenTextSettings`): time margin and inpainting method.
        slide (`tuple[int, int, int, int]`, *optional*): where the slide lies in the frame.
        crop (`tuple[int, int, int, int]`, *optional*): the part of the frame that is kept; all of it if omitted.
        thumbnails (`Sequence[tuple[int, int, int, int]]`): minimaps on the slide, masked as insets are.

    A text's box is inpainted coarsely and scaled up: what stood there is not known, and a soft patch of the
    surroundings' colours does not pretend to. Inpainted pixel by pixel, wide plates became streaks.
    """

    def __init__(
        self,
        texts: Sequence[RemovedText],
        persons: Sequence[PersonBox],
        glass: tuple[int, int, int],
        settings: ScreenTextSettings,
        slide: Box | None = None,
        crop: Box | None = None,
        thumbnails: Sequence[Box] = (),
    ) -> None:
        self.texts = texts
        self.persons = persons
        self.glass = glass
        self.settings = settings
        self.slide = slide
        self.crop = crop
        self.thumbnails = list(thumbnails)

    def active_texts(self, time: float) -> list[RemovedText]:
        """The texts that are painted out of the frame at `time`."""
        pad = self.settings.pad_seconds
        return [text for text in self.texts if text.start - pad - _ROUNDED <= time < text.end + pad - _ROUNDED]

    def active_persons(self, time: float) -> list[PersonBox]:
        """The insets that are masked in the frame at `time`."""
        return [person for person in self.persons if person.start - _ROUNDED <= time < person.end - _ROUNDED]

    def refine(self, time: float, image: Picture) -> Picture:
        """Return the frame at `time` refined; the array given, uint8 [H, W, 3] RGB, is not changed."""
        size = (image.shape[1], image.shape[0])
        texts = [clipped(text.box, size) for text in self.active_texts(time)]
        masked = [*(person.box for person in self.active_persons(time)), *self.thumbnails]
        masked = [widened(box, _INSET_MARGIN, _INSET_MARGIN, size) for box in masked]
        if not texts and not masked:
            return self._cropped(image)
        refined = image.copy()
        for x0, y0, x1, y1 in masked:
            refined[y0:y1, x0:x1] = self.glass
        hidden = np.zeros(image.shape[:2], dtype=np.float32)
        for x0, y0, x1, y1 in texts:
            hidden[y0:y1, x0:x1] = 1
        for box in texts:
            if box[2] > box[0] and box[3] > box[1]:
                self._paint_out(refined, hidden, box)
                hidden[box[1] : box[3], box[0] : box[2]] = 0
        return self._cropped(refined)

    def _cropped(self, image: Picture) -> Picture:
        if self.crop is None:
            return image
        x0, y0, x1, y1 = self.crop
        return image[y0:y1, x0:x1]

    def _paint_out(self, image: Picture, hidden: np.ndarray[Any, Any], box: Box) -> None:
        """Fill a box of `image`, in place, from what lies around it and is not hidden itself."""
        cell = max(1, round(min(box[2] - box[0], box[3] - box[1]) / _CELLS))
        x0, y0, x1, y1 = widened(box, _CONTEXT * cell, _CONTEXT * cell, (image.shape[1], image.shape[0]))
        shown = 1 - hidden[y0:y1, x0:x1]
        size = max(1, (x1 - x0) // cell), max(1, (y1 - y0) // cell)
        share = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
        part = image[y0:y1, x0:x1]
        colours = cv2.resize(part * shown[:, :, None], size, interpolation=cv2.INTER_AREA)
        known = np.where(share[:, :, None] > 0, colours / np.maximum(share, 1e-3)[:, :, None], self.glass)
        cells = np.clip(known, 0, 255).astype(np.uint8)
        unknown = (share < _KNOWN).astype(np.uint8)
        if not unknown.all():
            cells = cv2.inpaint(cells, unknown, _RADIUS, _METHODS[self.settings.method])
        patch = cv2.resize(cells, (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC)
        inside = slice(box[1] - y0, box[3] - y0), slice(box[0] - x0, box[2] - x0)
        part[inside] = patch[inside]


def covered_share(boxes: Sequence[Box], size: tuple[int, int]) -> float:
    """Share of a frame of `size` (width, height) that boxes cover together."""
    mask = np.zeros((size[1], size[0]), dtype=bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return float(mask.mean())
