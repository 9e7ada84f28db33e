"""On-screen text over time: read where it can have changed, followed from frame to frame."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from statistics import median
from typing import Any, NamedTuple

import cv2
import numpy as np

from videopath_hf.curation.ocr import ReadText, TextReader
from videopath_hf.curation.persons import overlap
from videopath_hf.curation.rectangles import find_rectangle, persistent_edges
from videopath_hf.curation.settings import ScreenTextSettings
from videopath_hf.curation.tissue import Picture
from videopath_hf.records import Box, RemovedText

_CHANGED = 14.0  # mean grey levels over a block; compression alone moves a block of a still picture by up to 13
_BLOCK = 8  # pixels of a quarter-size frame
_BLOCKS = 3  # changed blocks: the shortest label covers as many
_WEAKEST = 0.5  # score below which a reading is not even followed
_TALLEST = 0.15  # height of a line of text as a share of the frame's
_LETTERS = 4  # shorter texts must be read surely, and in more than one frame
_SURE = 0.9
_GAP = 3.0  # seconds after which the same words in the same place are taken for another label
_CROPS = 6  # crops of a text kept for finding its plate
_PLATE_EDGE = 25.0  # grey levels: drawn plates stand out by 34 and more, tissue around bare letters by 21 at most


class Reading(NamedTuple):
    """What one frame of a segment says."""

    time: float
    texts: list[ReadText]


class _Crops(NamedTuple):
    """The surroundings of one text, in grey, as they were at several times, all cut around its first box."""

    text: ReadText
    crops: list[tuple[float, Picture]]


class TextScanner:
    """Reads the frames of one segment in order, and only those whose text can have changed.

    Args:
        reader (`TextReader`): finds and reads lines of text.
        settings (`ScreenTextSettings`): the interval between two readings, and what counts as text.
    """

    def __init__(self, reader: TextReader, settings: ScreenTextSettings) -> None:
        self.reader = reader
        self.settings = settings
        self.readings: list[Reading] = []
        self.reads = 0
        self._crops: list[_Crops] = []
        self._thumb: np.ndarray[Any, Any] | None = None
        self._image: Picture | None = None
        self._last_read = 0.0
        self._pending: list[tuple[float, Picture]] = []

    def add(self, time: float, image: Picture) -> None:
        """See the next frame, uint8 [H, W, 3] RGB."""
        thumb = _thumb(image)
        if self._thumb is None:
            self._read_up_to([(time, image)], thumb)
            return
        if not self._pending and not _changed(self._thumb, thumb):
            self.readings.append(Reading(time, self.readings[-1].texts))
            return
        self._pending.append((time, image))
        if time - self._last_read >= self.settings.interval - 1e-6:
            self._read_up_to(self._pending, thumb)

    def finish(self, end: float) -> list[RemovedText]:
        """Return the texts of the segment, each with the plate it stands on; `end` is the segment's end in seconds."""
        if self._pending:
            self._read_up_to(self._pending, _thumb(self._pending[-1][1]))
        return [self._finished(track) for track in follow(self.readings, self.settings.min_score, end)]

    def _read_up_to(self, frames: list[tuple[float, Picture]], thumb: np.ndarray[Any, Any]) -> None:
        *between, (time, image) = frames
        before = self.readings[-1] if self.readings else None
        current = Reading(time, self._read(time, image, before.texts if before else []))
        if before is not None and self._image is not None:
            # The list is shared by the unchanged frames before: what was overlooked in one was in all.
            before.texts.extend(self._look_again(self._image, before.texts, current.texts))
            self._resolve(before, between, current)
        self.readings.append(current)
        self._thumb, self._image, self._last_read, self._pending = thumb, image, time, []

    def _resolve(self, before: Reading, between: list[tuple[float, Picture]], after: Reading) -> None:
        """Read inside a stretch only where its two ends differ, by halving it."""
        if not between:
            return
        if _same(before.texts, after.texts):
            self.readings.extend(Reading(time, before.texts) for time, _ in between)
            return
        middle = len(between) // 2
        time, image = between[middle]
        current = Reading(time, self._read(time, image, [*before.texts, *after.texts]))
        self._resolve(before, between[:middle], current)
        self.readings.append(current)
        self._resolve(current, between[middle + 1 :], after)

    def _read(self, time: float, image: Picture, expected: Sequence[ReadText]) -> list[ReadText]:
        """Read a frame, and once more the places in which a neighbouring frame shows text that was not found."""
        self.reads += 1
        texts = [text for text in self.reader.read(image) if is_text(text, image.shape[0])]
        texts += self._look_again(image, texts, expected)
        for text in texts:
            group = next((group for group in self._crops if _alike(group.text, text)), None)
            if group is None:
                group = _Crops(text, [])
                self._crops.append(group)
            if len(group.crops) < _CROPS:
                group.crops.append((time, cv2.cvtColor(_around(image, group.text.box), cv2.COLOR_RGB2GRAY)))
        return texts

    def _look_again(self, image: Picture, found: Sequence[ReadText], expected: Sequence[ReadText]) -> list[ReadText]:
        again: list[ReadText] = []
        for text in expected:
            if not _is_long(text) or any(_alike(text, other) for other in [*found, *again]):
                continue
            left, top = max(0, text.box[0] - _reach(text.box)), max(0, text.box[1] - _reach(text.box))
            for seen in self.reader.read(np.ascontiguousarray(_around(image, text.box))):
                x0, y0, x1, y1 = seen.box
                moved = seen.model_copy(update={"box": (x0 + left, y0 + top, x1 + left, y1 + top)})
                if is_text(moved, image.shape[0]) and _alike(text, moved):
                    again.append(moved)
        return again

    def _finished(self, track: RemovedText) -> RemovedText:
        for group in self._crops:
            crops = [crop for time, crop in group.crops if track.start <= time < track.end]
            if crops and overlap(group.text.box, track.box) > 0.5:
                return track.model_copy(update={"box": _with_plate(track.box, group.text.box, crops)})
        return track


def is_text(text: ReadText, frame_height: int) -> bool:
    """Whether a reading can be a line of text: single letters and giant ones are what texture is taken for."""
    height = text.box[3] - text.box[1]
    letters = len(re.findall(r"\w", text.text))
    return text.score >= _WEAKEST and letters >= 2 and height <= _TALLEST * frame_height


def follow(readings: Sequence[Reading], min_score: float, end: float) -> list[RemovedText]:
    """Follow texts through a segment's readings, one for every frame.

    Returns:
        `list[RemovedText]`: from a text's first frame to the first one without it; the best reading's words, and the
        box that holds all its boxes.
    """
    tracks: list[list[tuple[int, ReadText]]] = []
    for number, reading in enumerate(readings):
        free = [track for track in tracks if reading.time - readings[track[-1][0]].time <= _GAP + 1e-6]
        for text in reading.texts:
            known = next((track for track in free if _alike(track[-1][1], text)), None)
            if known is None:
                tracks.append([(number, text)])
            else:
                known.append((number, text))
                free = [track for track in free if track is not known]
    done = []
    for track in tracks:
        best = max((text for _, text in track), key=lambda text: text.score)
        if best.score < (min_score if _is_long(best) else max(_SURE, min_score)):
            continue
        if len(track) == 1 and not _is_long(best):
            continue
        after = track[-1][0] + 1
        boxes = [text.box for _, text in track]
        done.append(
            RemovedText(
                text=best.text,
                box=_union(boxes),
                start=round(readings[track[0][0]].time, 3),
                end=round(readings[after].time if after < len(readings) else end, 3),
            )
        )
    return sorted(done, key=lambda text: (text.start, text.box))


def _is_long(text: ReadText) -> bool:
    return len(re.findall(r"\w", text.text)) >= _LETTERS


def _alike(a: ReadText, b: ReadText) -> bool:
    return overlap(a.box, b.box) >= 0.5 and SequenceMatcher(None, a.text.lower(), b.text.lower()).ratio() >= 0.6


def _same(a: Sequence[ReadText], b: Sequence[ReadText]) -> bool:
    return len(a) == len(b) and all(any(_alike(one, other) for other in b) for one in a)


def _union(boxes: Sequence[Box]) -> Box:
    """The box around all boxes of one text, of median height, so that one loose reading costs no tissue."""
    return (
        min(box[0] for box in boxes),
        round(median(box[1] for box in boxes)),
        max(box[2] for box in boxes),
        round(median(box[3] for box in boxes)),
    )


def _thumb(image: Picture) -> np.ndarray[Any, Any]:
    height, width = image.shape[0] // 4, image.shape[1] // 4
    return cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (width, height), interpolation=cv2.INTER_AREA)


def _changed(before: np.ndarray[Any, Any], now: np.ndarray[Any, Any]) -> bool:
    difference = cv2.absdiff(before, now)
    height, width = max(1, now.shape[0] // _BLOCK), max(1, now.shape[1] // _BLOCK)
    blocks = cv2.resize(difference, (width, height), interpolation=cv2.INTER_AREA)
    return int((blocks > _CHANGED).sum()) >= _BLOCKS


def _reach(box: Box) -> int:
    return box[3] - box[1]


def _around(image: Picture, box: Box) -> Picture:
    reach = _reach(box)
    return image[max(0, box[1] - reach) : box[3] + reach, max(0, box[0] - reach) : box[2] + reach]


def _with_plate(box: Box, first: Box, crops: Sequence[Picture]) -> Box:
    """Widen a text's box to the plate or frame drawn around it, where there is one; the crops lie around `first`."""
    left, top = max(0, first[0] - _reach(first)), max(0, first[1] - _reach(first))
    inset = _reach(first) // 4
    inner = (first[0] + inset - left, first[1] + inset - top, first[2] - inset - left, first[3] - inset - top)
    plate = find_rectangle(persistent_edges(crops), inner, (False, False, False, False))
    if plate is None or plate.strength < _PLATE_EDGE:
        return box
    x0, y0, x1, y1 = plate.box
    return min(box[0], x0 + left), min(box[1], y0 + top), max(box[2], x1 + left), max(box[3], y1 + top)
