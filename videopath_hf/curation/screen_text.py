"""On-screen text over time: read where it can have changed, followed from frame to frame by its pixels."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from videopath_hf.curation.boxes import around, covered, overlap, shifted, widened
from videopath_hf.curation.ocr import FoundLine, LineReader, ReadText, TextReader
from videopath_hf.curation.rectangles import find_rectangle, persistent_edges
from videopath_hf.curation.settings import ScreenTextSettings
from videopath_hf.curation.text_pixels import cut, grey, showing, unmoved
from videopath_hf.curation.text_schedule import Due, ReadingSchedule
from videopath_hf.curation.text_tracks import (
    Reading,
    alike,
    follow,
    held,
    is_long,
    is_text,
    read_lines,
    read_words,
    same_words,
    thickness,
)
from videopath_hf.curation.tissue import Picture
from videopath_hf.curation.watermarks import Blend
from videopath_hf.records import Box, RemovedText

_CROPS = 6  # crops of a text kept for finding its plate
_PLATE_EDGE = 25.0  # grey levels: drawn plates stand out by 34 and more, tissue around bare letters by 21 at most
_PART = 0.6  # share of the frame from which a changed part is not worth cutting out
_AHEAD = 2  # frames whose lines are found while another one is read
_PART_COST = 0.5  # what reading a part may cost, in readings of a whole frame
_SAME = 0.8  # share of a text's box in a watermark's
_PAST = 6  # frames read before that a new text is looked for in


class _Crops(NamedTuple):
    """The surroundings of one text, in grey, as they were at several times, all cut around its first box."""

    text: ReadText
    crops: list[tuple[float, Picture]]


class _Page(NamedTuple):
    """A frame that was read; `number` is that of its reading."""

    number: int
    image: Picture
    grey: Picture


class TextScanner:
    """Reads the frames of one segment in order, and only those whose text can have changed.

    Args:
        reader (`TextReader`): finds and reads lines of text.
        settings (`ScreenTextSettings`): the interval between two readings, and what counts as text.

    A picture at rest is read once, thoroughly; a moving one every `interval` seconds. Frames between two readings are
    compared with both where they differ. What is found for the first time is looked for in the frames read before.
    At the end the mean of the moving frames is read, in which tissue blurs and a watermark stands out.
    """

    def __init__(self, reader: TextReader, settings: ScreenTextSettings) -> None:
        self.reader = reader
        self.settings = settings
        self.readings: list[Reading] = []
        self.reads = 0
        self._crops: list[_Crops] = []
        self._pages: deque[_Page] = deque(maxlen=_PAST)
        self._rolling = False  # words that go along with the picture
        self._schedule = ReadingSchedule(settings.interval)
        self._waiting: deque[tuple[Due | float, Future[list[FoundLine]] | None]] = deque()
        self._lines = reader if isinstance(reader, LineReader) else None  # what finds lines apart from reading them
        self._finder = ThreadPoolExecutor(1)
        self._blend = Blend()
        self._size = (0, 0)

    def add(self, time: float, image: Picture) -> None:
        """See the next frame, uint8 [H, W, 3] RGB."""
        self._size = (image.shape[1], image.shape[0])
        self._follow(self._schedule.add(time, image))

    def finish(self, end: float) -> list[RemovedText]:
        """Return the texts of the segment, each with the plate it stands on; `end` is the segment's end in seconds.

        The boxes are what is painted out: `margin` is part of them.
        """
        self._follow(self._schedule.finish(), last=True)
        self._finder.shutdown()
        tracks = [self._finished(track) for track in follow(self.readings, self.settings.min_score, end)]
        marks = self._watermarks(tracks, end)
        tracks = [track for track in tracks if not any(_is_part(track, mark) for mark in marks)] + marks
        margin = self.settings.margin
        return [track.model_copy(update={"box": widened(track.box, margin, margin, self._size)}) for track in tracks]

    def _follow(self, turns: list[Due | float], last: bool = False) -> None:
        """Do what is due, a few frames late: lines are found in the next frames while those before are read."""
        for turn in turns:
            self._waiting.append((turn, self._found_ahead(turn) if isinstance(turn, Due) else None))
        while self._waiting:
            turn, found = self._waiting[0]
            if not last and found is not None and sum(later is not None for _, later in self._waiting) <= _AHEAD:
                return
            self._waiting.popleft()
            if isinstance(turn, float):
                self.readings.append(Reading(turn, self.readings[-1].texts))
            elif turn.resting:
                self._read_at_rest(turn, found)
            else:
                self._read_up_to(turn, found)

    def _found_ahead(self, due: Due) -> "Future[list[FoundLine]] | None":
        """Where the lines of a whole frame are, being worked out by another thread."""
        if self._lines is None or not self._is_whole(due.part):
            return None
        return self._finder.submit(self._lines.lines, due.image, self._side(due.detail))

    def _is_whole(self, part: Box | None) -> bool:
        return part is None or covered((0, 0, *self._size), part) >= _PART

    def _side(self, detail: bool) -> int:
        return self.settings.detail_side if detail else self.settings.side

    def _read_up_to(self, due: Due, found: "Future[list[FoundLine]] | None") -> None:
        page = _Page(len(self.readings) + len(due.between), due.image, grey(due.image))
        before = self._pages[-1] if self._pages else None
        expected = self.readings[-1].texts if before else []
        current = Reading(due.time, self._read(due.time, page, before, expected, due.detail, due.part, found))
        if before is not None:
            self._look_back(current.texts, page)
            self._resolve(before, self.readings[-1], due.between, page, current)
        self.readings.append(current)
        self._pages.append(page)
        self._blend.add(due.time, due.image)

    def _read_at_rest(self, due: Due, found: "Future[list[FoundLine]] | None") -> None:
        """Read a picture that has come to rest once more, for its small letters; frames at rest share its texts."""
        page = _Page(len(self.readings) - 1, due.image, grey(due.image))
        texts = self.readings[-1].texts
        read = self._read(due.time, page, self._pages[-1], texts, detail=True, found=found)
        new = [text for text in read if not held(text, texts)]
        before = self._pages.pop()  # is the same picture
        texts.extend(new)
        self._look_back(new, before)
        self._pages.append(page)

    def _read(
        self,
        time: float,
        page: _Page,
        before: _Page | None = None,
        expected: Sequence[ReadText] = (),
        detail: bool = False,
        part: Box | None = None,
        found: "Future[list[FoundLine]] | None" = None,
    ) -> list[ReadText]:
        """Read a frame, and once more the places in which the frame before shows text that was not found.

        Args:
            before, expected: the frame before and its texts; those whose pixels have not changed are not read again.
            detail: look for small letters too.
            part: the only part that has changed since.
            found: where the whole frame's lines are, if that is being worked out.
        """
        self.reads += 1
        height, width = page.image.shape[:2]
        still = [text for text in expected if before is not None and unmoved(before.grey, page.grey, text.box)]
        box = (0, 0, width, height)
        if part is not None and not self._is_whole(part):
            for text in expected:
                if covered(text.box, part) > 0:  # half a line reads as another one
                    part = around([part, text.box])
            box = part
        if found is not None and self._lines is not None:
            seen = read_words(self._lines, page.image, found.result(), still, height)
        else:
            seen = self._read_part(page.image, box, still, self._side(detail))
        texts = [text for text in seen if is_text(text, height)]
        texts += [text for text in still if not held(text, texts)]
        texts += self._look_again(page.image, texts, expected)
        for text in texts:
            group = next((group for group in self._crops if alike(group.text, text)), None)
            if group is None:
                group = _Crops(text, [])
                self._crops.append(group)
            if len(group.crops) < _CROPS:
                group.crops.append((time, _surroundings(page.grey, group.text.box)))
        return texts

    def _read_part(self, image: Picture, part: Box, known: Sequence[ReadText], side: int) -> list[ReadText]:
        """Read a part of a frame, scaled down as a whole frame would be, or less where it is small."""
        left, top = part[:2]
        inside = [text.model_copy(update={"box": shifted(text.box, -left, -top)}) for text in known]
        crop = np.ascontiguousarray(cut(image, part))
        scale = side / max(image.shape[:2])
        share = crop.shape[0] * crop.shape[1] / (image.shape[0] * image.shape[1])
        if share < 1:
            scale = max(scale, min(1.0, scale * (_PART_COST / share) ** 0.5))
        side = max(32, round(scale * max(crop.shape[:2])))
        found = read_lines(self.reader, crop, inside, side, image.shape[0])
        return [text.model_copy(update={"box": shifted(text.box, left, top)}) for text in found]

    def _look_again(self, image: Picture, found: Sequence[ReadText], expected: Sequence[ReadText]) -> list[ReadText]:
        again: list[ReadText] = []
        for text in expected:
            if not is_long(text) or held(text, [*found, *again]):
                continue
            left, top = max(0, text.box[0] - thickness(text.box)), max(0, text.box[1] - thickness(text.box))
            for seen in self.reader.read(np.ascontiguousarray(_surroundings(image, text.box))):
                moved = seen.model_copy(update={"box": shifted(seen.box, left, top)})
                if is_text(moved, image.shape[0]) and alike(text, moved):
                    again.append(moved)
        return again

    def _look_back(self, texts: Sequence[ReadText], page: _Page) -> None:
        """Look for what is new in the frames read before, back to the first that does not show it."""
        last = page.number
        for past in reversed(self._pages):
            known = self.readings[past.number].texts
            new = [text for text in texts if is_long(text) and not held(text, known)]
            still = [text for text in new if unmoved(past.grey, page.grey, text.box)]
            texts = still + self._look_again(past.image, [*known, *still], new)
            if not texts:
                return
            for reading in self.readings[past.number : last]:
                reading.texts.extend(text for text in texts if not held(text, reading.texts))
            last, page = past.number, past

    def _resolve(
        self, before: _Page, first: Reading, between: list[tuple[float, Picture]], after: _Page, last: Reading
    ) -> None:
        """Note what the frames between two readings show."""
        if not between:
            return
        rolled, self._rolling = self._rolling, _moves(first.texts, last.texts)
        if self._rolling or (rolled and first.texts):
            for time, image in between:
                page = _Page(len(self.readings), image, grey(image))
                self.readings.append(Reading(time, self._read(time, page)))
            return
        greys = [grey(image) for _, image in between]
        shown: list[list[ReadText]] = [[text for text in first.texts if held(text, last.texts)] for _ in between]
        for text in first.texts:
            if not held(text, last.texts):
                for number in range(showing(text.box, before.grey, after.grey, greys)):
                    shown[number].append(text)
        for text in last.texts:
            if not held(text, first.texts):
                for number in range(showing(text.box, after.grey, before.grey, greys[::-1])):
                    shown[-1 - number].append(text)
        self.readings.extend(Reading(time, texts) for (time, _), texts in zip(between, shown, strict=True))

    def _watermarks(self, tracks: Sequence[RemovedText], end: float) -> list[RemovedText]:
        """Texts too faint for single frames that are there all the time."""
        mean = self._blend.mean()
        if mean is None:
            return []
        self.reads += 1
        found = self._blend.watermarks(mean, self.reader, self.settings, tracks)
        start = round(self.readings[0].time, 3)
        return [RemovedText(text=text.text, box=text.box, start=start, end=end) for text in found]

    def _finished(self, track: RemovedText) -> RemovedText:
        for group in self._crops:
            crops = [crop for time, crop in group.crops if track.start <= time < track.end]
            if crops and overlap(group.text.box, track.box) > 0.5:
                return track.model_copy(update={"box": _with_plate(track.box, group.text.box, crops)})
        return track


def _is_part(text: RemovedText, of: RemovedText) -> bool:
    """Whether a text is another one, or some of its letters, in the same place."""
    return covered(text.box, of.box) >= _SAME and same_words(text, of)


def _moves(first: Sequence[ReadText], last: Sequence[ReadText]) -> bool:
    """Whether words are in both frames, but not in the same place: they roll or go along with the picture."""
    return any(
        is_long(a) and same_words(a, b) and not held(a, last) and not held(b, first) for a in first for b in last
    )


def _surroundings(image: Picture, box: Box) -> Picture:
    reach = thickness(box)
    return image[max(0, box[1] - reach) : box[3] + reach, max(0, box[0] - reach) : box[2] + reach]


def _with_plate(box: Box, first: Box, crops: Sequence[Picture]) -> Box:
    """Widen a text's box to the plate or frame drawn around it, where there is one; the crops lie around `first`."""
    reach = thickness(first)
    left, top = max(0, first[0] - reach), max(0, first[1] - reach)
    inset = reach // 4
    inner = (first[0] + inset - left, first[1] + inset - top, first[2] - inset - left, first[3] - inset - top)
    plate = find_rectangle(persistent_edges(crops), inner, (False, False, False, False))
    if plate is None or plate.strength < _PLATE_EDGE:
        return box
    return around([box, shifted(plate.box, left, top)])
