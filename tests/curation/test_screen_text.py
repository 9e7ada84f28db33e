from collections.abc import Sequence

import numpy as np
import pytest

from tests.curation.conftest import FakeReader, Picture, labelled, pan, plate_of, stained
from videopath_hf.curation.ocr import ReadText, make_reader, rapidocr_installed
from videopath_hf.curation.screen_text import TextScanner
from videopath_hf.curation.settings import ScreenTextSettings
from videopath_hf.curation.text_tracks import Reading, follow, is_text
from videopath_hf.errors import MissingExtraError
from videopath_hf.records import Box

WORDS = "Case 1: colon"
PLATE = plate_of(WORDS)
SETTINGS = ScreenTextSettings()


def scan(frames: list[Picture], fps: float = 2.0) -> tuple[TextScanner, FakeReader]:
    reader = FakeReader(WORDS, PLATE)
    scanner = TextScanner(reader, SETTINGS)
    for number, frame in enumerate(frames):
        scanner.add(number / fps, frame)
    return scanner, reader


def read(text: str, box: Box = (10, 10, 110, 30), score: float = 0.99) -> ReadText:
    return ReadText(text=text, score=score, box=box)


def grown(box: Box) -> Box:
    """What is painted out for a box: the margin is part of the record."""
    return box[0] - SETTINGS.margin, box[1] - SETTINGS.margin, box[2] + SETTINGS.margin, box[3] + SETTINGS.margin


def test_a_still_picture_is_read_once() -> None:
    scanner, reader = scan([labelled(stained(360, 640), WORDS)] * 12)
    (text,) = scanner.finish(6.0)
    assert (text.start, text.end, text.text) == (0.0, 6.0, WORDS)
    assert reader.calls == 1


def test_a_label_on_a_still_picture_is_timed_to_the_frame() -> None:
    still = stained(360, 640)
    frames = [still] * 4 + [labelled(still, WORDS)] * 5 + [still] * 4
    scanner, _ = scan(frames)
    (text,) = scanner.finish(6.5)
    assert (text.start, text.end) == (2.0, 4.5)


def test_a_label_on_a_moving_picture_is_timed_to_the_frame_though_not_every_frame_is_read() -> None:
    canvas = stained(700, 1200)
    frames = [pan(canvas, number, 10) for number in range(32)]
    frames[9:20] = [labelled(frame, WORDS) for frame in frames[9:20]]
    scanner, _ = scan(frames, fps=4.0)
    (text,) = scanner.finish(8.0)
    assert (text.start, text.end) == (2.25, 5.0)
    assert scanner.reads < len(frames)


def test_a_texts_box_grows_to_the_plate_it_stands_on() -> None:
    x0, y0, x1, y1 = PLATE
    canvas = stained(700, 1200)
    reader = FakeReader(WORDS, (x0 + 8, y0 + 8, x1 - 8, y1 - 8))
    scanner = TextScanner(reader, SETTINGS)
    for number in range(6):
        scanner.add(float(number), labelled(pan(canvas, number, 10), WORDS))
    (text,) = scanner.finish(6.0)
    assert text.box == pytest.approx(grown(PLATE), abs=1)


def test_bare_letters_keep_their_own_box() -> None:
    canvas = stained(700, 1200)

    class Everywhere(FakeReader):
        def read(self, image: Picture, known: Sequence[ReadText] = (), side: int | None = None) -> list[ReadText]:
            return [read("Crypts", (200, 100, 300, 130))] if image.shape[0] == 360 else []

    scanner = TextScanner(Everywhere("", (0, 0, 1, 1)), SETTINGS)
    for number in range(6):
        scanner.add(float(number), pan(canvas, number, 10))
    (text,) = scanner.finish(6.0)
    assert text.box == grown((200, 100, 300, 130))


def test_a_label_that_is_overlooked_once_is_looked_for_again_in_its_place() -> None:
    canvas = stained(700, 1200)
    frames = [labelled(pan(canvas, number, 10), WORDS) for number in range(8)]

    class Forgetful(FakeReader):
        full = 0

        def read(self, image: Picture, known: Sequence[ReadText] = (), side: int | None = None) -> list[ReadText]:
            if image.shape[0] != 360:  # the surroundings of the label alone
                return [read(WORDS, (23, 23, 23 + PLATE[2] - PLATE[0], 23 + PLATE[3] - PLATE[1]))]
            self.full += 1
            return [] if self.full in (1, 3) else super().read(image, known, side)

    scanner = TextScanner(Forgetful(WORDS, PLATE), SETTINGS)
    for number, frame in enumerate(frames):
        scanner.add(float(number), frame)
    (text,) = scanner.finish(8.0)
    assert (text.start, text.end) == (0.0, 8.0)


def test_the_best_reading_gives_the_words() -> None:
    readings = [Reading(0.0, [read("Celiac dlsease", score=0.8)]), Reading(0.5, [read("Celiac disease", score=0.97)])]
    assert [text.text for text in follow(readings, 0.75, 1.0)] == ["Celiac disease"]


def test_other_words_in_the_same_place_are_another_text() -> None:
    readings = [Reading(0.0, [read("Crypt abscess")]), Reading(0.5, [read("Diagnosis: colitis")])]
    assert [(text.text, text.start, text.end) for text in follow(readings, 0.75, 1.0)] == [
        ("Crypt abscess", 0.0, 0.5),
        ("Diagnosis: colitis", 0.5, 1.0),
    ]


def test_texture_taken_for_letters_is_no_text() -> None:
    assert not is_text(read("8"), 720)
    assert not is_text(read("60", (0, 0, 1000, 700)), 720)
    assert not is_text(read("Crypts", score=0.3), 720)
    assert is_text(read("HE"), 720)
    assert follow([Reading(0.0, [read("Ba")]), Reading(0.5, [])], 0.75, 1.0) == []
    assert follow([Reading(0.0, [read("Crypts", score=0.6)])] * 2, 0.75, 1.0) == []


def test_without_ocr_the_run_is_told_that_labels_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videopath_hf.curation.ocr.find_spec", lambda name: None)
    reader, why = make_reader(ScreenTextSettings())
    assert reader is None and why is not None and "labels stay" in why and "pip install" in why
    with pytest.raises(MissingExtraError, match="rapidocr"):
        make_reader(ScreenTextSettings(backend="rapidocr"))


@pytest.mark.skipif(not rapidocr_installed(), reason="rapidocr is not installed")
def test_rapidocr_reads_a_label_and_nothing_in_bare_tissue() -> None:
    reader, why = make_reader(ScreenTextSettings(backend="rapidocr"))
    assert reader is not None and why is None and reader.name.startswith("rapidocr ")
    image = labelled(stained(360, 640), WORDS)
    found = [text for text in reader.read(image) if is_text(text, 360)]
    assert [text.text for text in found] == [WORDS]
    x0, y0, x1, y1 = found[0].box
    assert PLATE[0] - 8 <= x0 < x1 <= PLATE[2] + 8 and PLATE[1] - 8 <= y0 < y1 <= PLATE[3] + 8
    assert reader.read(np.full((360, 640, 3), 243, dtype=np.uint8)) == []
