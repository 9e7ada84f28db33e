"""Watermarks: what is painted over a moving picture, too faint for a single frame, but plain in the mean of many."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from videopath_hf.curation.boxes import covered, shifted, widened
from videopath_hf.curation.ocr import ReadText, TextReader
from videopath_hf.curation.settings import ScreenTextSettings
from videopath_hf.curation.text_pixels import correlation, cut
from videopath_hf.curation.text_tracks import is_long, is_text, read_lines, thickness
from videopath_hf.curation.tissue import Picture
from videopath_hf.records import Box, RemovedText

_SIDE = 960  # pixels of the longer side of the mean
_FEWEST = 4  # frames read of a moving picture from which their mean shows only what is painted over it
_STRETCHES = 12  # of time, even, that are kept apart at most
_SAME = 0.5  # share of a text's box from which another text stands in its place
_AROUND = 1.0  # seconds before and after a text in which it may not be gone
_LIKE = 0.3  # correlation of what two times show in one place: watermarks reach 0.5 to 0.8, tissue 0.05
_THICK = 33  # pixels, odd
_NEAR = 61  # pixels of the square in which contrast is evened out, odd


class _Stretch(NamedTuple):
    """The sum, float32 [h, w, 3], of so many frames, the first and the last one of these times."""

    first: float
    last: float
    frames: int
    sum: np.ndarray[Any, np.dtype[np.float32]]


class Blend:
    """The mean of the frames of one segment; parts of its time can be left out of it."""

    def __init__(self) -> None:
        self._stretches: list[_Stretch] = []
        self._longest = 1  # frames of a stretch
        self._size = (0, 0)
        self._scale = 1.0

    def add(self, time: float, image: Picture) -> None:
        """Add the next frame, uint8 [H, W, 3] RGB, of a moving picture."""
        self._size = image.shape[1], image.shape[0]
        self._scale = min(1.0, _SIDE / max(self._size))
        size = round(self._size[0] * self._scale), round(self._size[1] * self._scale)
        # Averaging by other factors than whole ones takes ten times as long.
        small = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR if self._scale > 0.5 else cv2.INTER_AREA)
        if self._stretches and self._stretches[-1].frames < self._longest:
            last = self._stretches[-1]
            self._stretches[-1] = last._replace(last=time, frames=last.frames + 1, sum=cv2.accumulate(small, last.sum))
            return
        if len(self._stretches) == _STRETCHES:
            self._longest *= 2
            self._stretches = list(map(_joined, self._stretches[::2], self._stretches[1::2]))
        self._stretches.append(_Stretch(time, time, 1, small.astype(np.float32)))

    def mean(self) -> Picture | None:
        """What is fine in the mean of the frames, its contrast raised; None where they are too few."""
        if sum(stretch.frames for stretch in self._stretches) < _FEWEST:
            return None
        fine = _fine(self._stretches)
        # Letters on bare glass differ from it by a few grey levels, tissue beside them by many.
        spread = np.sqrt(np.maximum(0, cv2.blur((fine * fine).mean(axis=2), (_NEAR, _NEAR))))
        return np.clip(128 + fine * (48 / np.maximum(4.0, 3 * spread))[:, :, None], 0, 255).astype(np.uint8)

    def watermarks(
        self, mean: Picture, reader: TextReader, settings: ScreenTextSettings, texts: Sequence[RemovedText]
    ) -> list[ReadText]:
        """Read, in the mean of all frames, what is there all the time; boxes are in the pixels of the frames.

        Args:
            texts: what was found in single frames. What stands in the place of one is a watermark only if it is there
                at other times too, or longer than one that is there all the time.
        """
        always = [text for text in texts if self._is_always(text)]
        known = [ReadText(text=text.text, score=1.0, box=self._small(text.box)) for text in always]
        found = []
        for text in read_lines(reader, mean, known, settings.detail_side, mean.shape[0]):
            if text.score < settings.min_score or not is_long(text) or not is_text(text, mean.shape[0]):
                continue
            box = self._full(text.box)
            there = [other for other in texts if covered(box, other.box) >= _SAME]
            lasting = [other for other in there if other in always]
            if lasting:
                spare = thickness(box) // 2
                wanted = all(covered(box, widened(other.box, spare, spare, self._size)) < 1 for other in lasting)
            else:
                wanted = not there or self._is_there_without(text.box, there)
            if wanted:
                found.append(text.model_copy(update={"box": box}))
        return found

    def _is_always(self, text: RemovedText) -> bool:
        return text.start <= self._stretches[0].first + _AROUND and text.end >= self._stretches[-1].last - _AROUND

    def _is_there_without(self, box: Box, texts: Sequence[RemovedText]) -> bool:
        """Whether a box of the mean shows the same while none of the texts found there is there."""
        times = [(text.start - _AROUND, text.end + _AROUND) for text in texts]
        without = [s for s in self._stretches if all(s.last < start or s.first >= end for start, end in times)]
        with_them = [s for s in self._stretches if not any(s is other for other in without)]
        if not without or not with_them:
            return False
        return correlation(_pattern(with_them, box), _pattern(without, box)) >= _LIKE

    def _small(self, box: Box) -> Box:
        x0, y0, x1, y1 = (round(value * self._scale) for value in box)
        return x0, y0, x1, y1

    def _full(self, box: Box) -> Box:
        x0, y0, x1, y1 = (round(value / self._scale) for value in box)
        return x0, y0, min(x1, self._size[0]), min(y1, self._size[1])


def _joined(a: _Stretch, b: _Stretch) -> _Stretch:
    return _Stretch(a.first, b.last, a.frames + b.frames, cv2.add(a.sum, b.sum, dst=a.sum))


def _pattern(stretches: Sequence[_Stretch], box: Box) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What is fine in a box of the mean, in grey: float32 [h, w]."""
    height, width = stretches[0].sum.shape[:2]
    around = widened(box, _THICK, _THICK, (width, height))
    fine = _fine([stretch._replace(sum=cut(stretch.sum, around)) for stretch in stretches])
    found: np.ndarray[Any, np.dtype[np.float32]] = cut(fine.mean(axis=2), shifted(box, -around[0], -around[1]))
    return found


def _fine(stretches: Sequence[_Stretch]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The mean of the frames of stretches of time, without what is larger than a letter: float32 [h, w, 3]."""
    mean = stretches[0].sum.copy()
    for stretch in stretches[1:]:
        cv2.add(mean, stretch.sum, dst=mean)
    mean /= sum(stretch.frames for stretch in stretches)
    # A median, which, other than a blur, leaves no halo along a panel's edge.
    fine: np.ndarray[Any, np.dtype[np.float32]] = mean - cv2.medianBlur(mean.astype(np.uint8), _THICK)
    return fine
