from collections.abc import Sequence

import cv2
import pytest

from tests.curation.conftest import FakeReader, Picture, labelled, pan, plate_of, stained
from videopath_hf.curation.ocr import FoundLine, LineReader, ReadText
from videopath_hf.curation.screen_text import TextScanner
from videopath_hf.curation.settings import ScreenTextSettings
from videopath_hf.curation.text_tracks import Reading, follow, is_text
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


def test_a_loose_box_around_the_same_words_is_no_second_text() -> None:
    tight, loose = (142, 772, 853, 840), (142, 742, 894, 889)
    words = [read("Diagnosis: polyp", tight, score=0.97), read("Diagnosis: pllyp", loose, score=0.95)]
    (text,) = follow([Reading(n / 2, [words[n == 3]]) for n in range(4)], 0.75, 2.0)
    assert (text.text, text.start, text.end) == ("Diagnosis: polyp", 0.0, 2.0)
    assert text.box == (142, 772, 894, 840)


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


def test_only_the_part_of_a_picture_that_moves_is_read_again() -> None:
    sizes: list[tuple[int, ...]] = []

    class Noting(FakeReader):
        def read(self, image: Picture, known: Sequence[ReadText] = (), side: int | None = None) -> list[ReadText]:
            sizes.append(image.shape[:2])
            return super().read(image, known, side)

    still, film = stained(360, 640), stained(700, 1200, seed=5)
    scanner = TextScanner(Noting(WORDS, PLATE), SETTINGS)
    for number in range(8):
        frame = labelled(still, WORDS)
        frame[200:300, 450:600] = pan(film, number, 10)[:100, :150]
        scanner.add(float(number), frame)
    (text,) = scanner.finish(8.0)
    assert (text.start, text.end) == (0.0, 8.0)
    *parts, _ = sizes[1:]  # the last is the mean picture
    assert sizes[0] == (360, 640) and len(parts) == 7
    assert all(height <= 200 and width <= 280 for height, width in parts)


def test_what_is_too_tall_for_a_line_is_not_read_in_a_part_either() -> None:
    class Texture(LineReader):
        def __init__(self) -> None:
            super().__init__("texture", 640)
            self.recognised = 0

        def find(self, image: Picture) -> list[FoundLine]:
            return [FoundLine((0, 0, image.shape[1], image.shape[0]), 0.9)]

        def recognise(self, crop: Picture, found: float) -> tuple[str, float]:
            self.recognised += 1
            return "B", 0.3

    still, film, reader = stained(360, 640), stained(700, 1200, seed=5), Texture()
    scanner = TextScanner(reader, SETTINGS)
    for number in range(5):
        frame = still.copy()
        frame[200:300, 450:600] = pan(film, number, 10)[:100, :150]
        scanner.add(float(number), frame)
    assert scanner.finish(5.0) == []
    assert scanner.reads >= 5 and reader.recognised == 0


def test_a_label_that_is_first_found_late_is_removed_from_its_first_frame_on() -> None:
    canvas = stained(700, 1200)
    frames = [labelled(pan(canvas, number, 10), WORDS) for number in range(10)]
    frames[0] = pan(canvas, 0, 10)

    class Late(FakeReader):
        def read(self, image: Picture, known: Sequence[ReadText] = (), side: int | None = None) -> list[ReadText]:
            found = super().read(image, known, side)
            return found if self.calls > 4 else []

    scanner = TextScanner(Late(WORDS, PLATE), SETTINGS)
    for number, frame in enumerate(frames):
        scanner.add(float(number), frame)
    (text,) = scanner.finish(10.0)
    assert (text.start, text.end) == (1.0, 10.0)


def test_known_lines_whose_pixels_have_not_changed_are_handed_to_the_reader() -> None:
    known_before: list[int] = []

    class Noting(FakeReader):
        def read(self, image: Picture, known: Sequence[ReadText] = (), side: int | None = None) -> list[ReadText]:
            known_before.append(len(known))
            return super().read(image, known, side)

    canvas = stained(700, 1200)
    scanner = TextScanner(Noting(WORDS, PLATE), SETTINGS)
    for number in range(4):
        scanner.add(float(number), labelled(pan(canvas, number, 10), WORDS))
    assert known_before == [0, 1, 1, 1]


def test_rolling_words_are_read_in_every_frame() -> None:
    class Rolling(FakeReader):
        """Finds a black bar and takes it for the words."""

        def read(self, image: Picture, known: Sequence[ReadText] = (), side: int | None = None) -> list[ReadText]:
            rows = (image[:, 100:300].max(axis=(1, 2)) == 0).nonzero()[0]
            return [read(WORDS, (100, int(rows[0]), 300, int(rows[-1]) + 1))] if len(rows) else []

    canvas = stained(700, 1200)
    scanner = TextScanner(Rolling(WORDS, PLATE), SETTINGS)
    bars = []
    for number in range(9):
        frame = pan(canvas, number, 4).copy()
        top = 300 - 24 * number
        cv2.rectangle(frame, (100, top), (299, top + 19), (0, 0, 0), -1)
        bars.append((number / 4, top))
        scanner.add(number / 4, frame)
    texts = scanner.finish(9 / 4)
    for time, top in bars:
        shown = [text.box for text in texts if text.start <= time < text.end]
        assert any(box[1] <= top and box[3] >= top + 20 for box in shown), (time, top, texts)


def test_a_watermark_too_faint_for_single_frames_is_found_in_their_mean() -> None:
    class OnMean(FakeReader):
        """Reads only where the tissue has blurred."""

        def read(self, image: Picture, known: Sequence[ReadText] = (), side: int | None = None) -> list[ReadText]:
            blurred = abs(int(image.mean()) - 128) < 3
            return [read("PathChannel", (500, 320, 620, 345))] if blurred else []

    canvas = stained(700, 1200)
    scanner = TextScanner(OnMean(WORDS, PLATE), SETTINGS)
    for number in range(8):
        scanner.add(float(number), pan(canvas, number, 10))
    (text,) = scanner.finish(8.0)
    assert (text.text, text.start, text.end) == ("PathChannel", 0.0, 8.0)
    assert text.box == grown((500, 320, 620, 345))


def test_a_line_nobody_can_read_must_stay_in_its_place_to_be_painted_out() -> None:
    line, texture = read("", (10, 10, 110, 30), 0.4), read("", (300, 200, 380, 220), 0.4)
    assert is_text(line, 720) and not is_text(read("", (0, 0, 700, 300), 0.9), 720)
    readings = [Reading(0.0, [line, texture]), Reading(1.0, [line]), Reading(2.0, [])]
    (text,) = follow(readings, 0.75, 3.0)
    assert (text.text, text.box, text.start, text.end) == ("", line.box, 0.0, 2.0)


def test_a_line_that_runs_up_is_no_giant_letter() -> None:
    assert is_text(read("Magnification", (600, 100, 630, 500)), 720)
    assert not is_text(read("Magnification", (100, 100, 500, 500)), 720)


def test_a_watermark_that_is_overlooked_for_four_seconds_is_one_text_and_after_ten_it_is_another() -> None:
    mark = ReadText(text="PathChannel", score=0.95, box=(460, 10, 637, 41))

    def shown(*times: float) -> list[tuple[float, float]]:
        readings = [Reading(time / 2, [mark] if time / 2 in times else []) for time in range(40)]
        return [(text.start, text.end) for text in follow(readings, 0.75, 20.0)]

    assert shown(1.0, 1.5, 6.0, 6.5) == [(1.0, 7.0)]
    assert shown(1.0, 1.5, 12.0, 12.5) == [(1.0, 2.0), (12.0, 13.0)]
