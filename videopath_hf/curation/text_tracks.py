"""Readings of single frames, followed over a segment: which is text, which is the same text, from when to when."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from statistics import median
from typing import NamedTuple

from videopath_hf.curation.boxes import covered, overlap
from videopath_hf.curation.ocr import FoundLine, LineReader, ReadText, TextReader
from videopath_hf.curation.tissue import Picture
from videopath_hf.records import Box, RemovedText

_WEAKEST = 0.5  # score below which a reading is not even followed
_TALLEST = 0.15  # thickness of a line of text as a share of the frame's height
_LETTERS = 4  # shorter texts must be read surely, and in more than one frame
_SURE = 0.9
_GAP = 6.0  # seconds after which the same words in the same place are another label; a watermark is overlooked for 4
_INSIDE = 0.8  # share of a box that lies in another, loose one of the same words
_SAME_WORDS = 0.6  # likeness of two readings of one text


class Reading(NamedTuple):
    """What one frame of a segment says."""

    time: float
    texts: list[ReadText]


def is_line(box: Box, frame_height: int) -> bool:
    """Whether a box can be that of a line of text; giant ones are what texture is taken for."""
    return thickness(box) <= _TALLEST * frame_height


def read_words(
    reader: LineReader, image: Picture, found: Sequence[FoundLine], known: Sequence[ReadText], frame_height: int
) -> list[ReadText]:
    """Read the lines found in a frame of this height, or in a part of it, but none that is too tall for one."""
    return reader.words(image, [line for line in found if is_line(line.box, frame_height)], known)


def read_lines(
    reader: TextReader, image: Picture, known: Sequence[ReadText], side: int, frame_height: int
) -> list[ReadText]:
    """Find and read lines as `reader` does, but where it can, none that is too tall for a frame of this height."""
    if not isinstance(reader, LineReader):
        return reader.read(image, known, side)
    return read_words(reader, image, reader.lines(image, side), known, frame_height)


def is_text(text: ReadText, frame_height: int) -> bool:
    """Whether a reading can be a line of text: single letters and giant ones are what texture is taken for."""
    if not is_line(text.box, frame_height):
        return False
    return is_unread(text) or (text.score >= _WEAKEST and len(re.findall(r"\w", text.text)) >= 2)


def is_unread(text: ReadText) -> bool:
    """Whether a line was found by a reader that knows no words."""
    return not text.text


def is_long(text: ReadText) -> bool:
    """Whether a reading has so many letters that texture is hardly ever taken for it."""
    return is_unread(text) or len(re.findall(r"\w", text.text)) >= _LETTERS


def thickness(box: Box) -> int:
    """Height of a level line of text, width of one that runs up or down."""
    return min(box[2] - box[0], box[3] - box[1])


def same_words(a: ReadText | RemovedText, b: ReadText | RemovedText) -> bool:
    """Whether two texts say the same, wherever they stand."""
    return SequenceMatcher(None, a.text.lower(), b.text.lower()).ratio() >= _SAME_WORDS


def alike(a: ReadText, b: ReadText) -> bool:
    """Whether two readings are of the same words in the same place; one of the boxes may be a loose one."""
    inside = max(covered(a.box, b.box), covered(b.box, a.box)) >= _INSIDE
    return (inside or overlap(a.box, b.box) >= 0.5) and same_words(a, b)


def held(text: ReadText, texts: Sequence[ReadText]) -> bool:
    """Whether a text is among others."""
    return any(alike(text, other) for other in texts)


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
            known = next((track for track in free if alike(track[-1][1], text)), None)
            if known is None:
                tracks.append([(number, text)])
            else:
                known.append((number, text))
                free = [track for track in free if track is not known]
    done = []
    for track in tracks:
        best = max((text for _, text in track), key=lambda text: text.score)
        if not _is_sure(best, len(track), min_score):
            continue
        after = track[-1][0] + 1
        done.append(
            RemovedText(
                text=best.text,
                box=_union([text.box for _, text in track]),
                start=round(readings[track[0][0]].time, 3),
                end=round(readings[after].time if after < len(readings) else end, 3),
            )
        )
    return sorted(done, key=lambda text: (text.start, text.box))


def _is_sure(best: ReadText, frames: int, min_score: float) -> bool:
    """Whether a text read in so many frames is one. Without words only its staying in its place speaks for it."""
    if is_unread(best):
        return frames > 1
    if is_long(best):
        return best.score >= min_score
    return frames > 1 and best.score >= max(_SURE, min_score)


def _union(boxes: Sequence[Box]) -> Box:
    """The box around all boxes of one text, of median thickness, so that one loose reading costs no tissue."""
    level = [box for box in boxes if box[2] - box[0] >= box[3] - box[1]]
    if 2 * len(level) >= len(boxes):
        return (
            min(box[0] for box in level),
            round(median(box[1] for box in level)),
            max(box[2] for box in level),
            round(median(box[3] for box in level)),
        )
    upright = [box for box in boxes if box not in level]
    return (
        round(median(box[0] for box in upright)),
        min(box[1] for box in upright),
        round(median(box[2] for box in upright)),
        max(box[3] for box in upright),
    )
