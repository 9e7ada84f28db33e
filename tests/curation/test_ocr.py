from typing import Any

import numpy as np
import pytest

from tests.curation.conftest import Picture, labelled, plate_of, stained
from videopath_hf.curation.ocr import FoundLine, LineReader, RapidOcrReader, ReadText, make_reader, rapidocr_installed
from videopath_hf.curation.settings import ScreenTextSettings
from videopath_hf.errors import MissingExtraError

needs_rapidocr = pytest.mark.skipif(not rapidocr_installed(), reason="rapidocr is not installed")


class TwoLines(LineReader):
    """Finds a level and an upright line at fixed places of a picture of any size, and notes what it is asked."""

    def __init__(self, side: int = 320) -> None:
        super().__init__("two lines", side)
        self.looked_at: list[tuple[int, ...]] = []
        self.crops: list[tuple[int, ...]] = []

    def find(self, image: Picture) -> list[FoundLine]:
        self.looked_at.append(image.shape[:2])
        height, width = image.shape[:2]
        level = (width // 10, height // 10, width // 2, height // 5)
        upright = (width * 8 // 10, height // 10, width * 9 // 10, height * 9 // 10)
        return [FoundLine(level, 0.8), FoundLine(upright, 0.7)]

    def recognise(self, crop: Picture, found: float) -> tuple[str, float]:
        self.crops.append(crop.shape[:2])
        return "words", 0.9


def test_lines_are_looked_for_in_the_scaled_picture_and_read_in_the_picture_itself() -> None:
    reader = TwoLines()
    level, upright = reader.read(np.zeros((600, 1000, 3), dtype=np.uint8))
    assert reader.looked_at == [(192, 320)]
    assert level.box == pytest.approx((100, 60, 500, 120), abs=4)
    assert upright.box == pytest.approx((800, 60, 900, 540), abs=8)
    reader.read(np.zeros((600, 1000, 3), dtype=np.uint8), side=500)
    assert reader.looked_at[-1] == (300, 500)
    reader.read(np.zeros((60, 100, 3), dtype=np.uint8), side=500)
    assert reader.looked_at[-1] == (120, 200), "a small picture is scaled up, but to twice its size at most"


def test_a_line_that_runs_up_is_turned_both_ways_before_it_is_read() -> None:
    reader = TwoLines()
    reader.read(np.zeros((600, 1000, 3), dtype=np.uint8))
    assert len(reader.crops) == 3
    assert all(width > height for height, width in reader.crops)


def test_a_known_line_is_not_read_again() -> None:
    reader = TwoLines()
    image = np.zeros((600, 1000, 3), dtype=np.uint8)
    level, _ = reader.read(image)
    known = ReadText(text="Case 1", score=0.97, box=level.box)
    reader.crops.clear()
    assert [text.text for text in reader.read(image, [known])] == ["Case 1", "words"]
    assert len(reader.crops) == 2


def test_without_ocr_the_run_is_told_that_labels_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videopath_hf.curation.ocr.find_spec", lambda name: None)
    reader, why = make_reader(ScreenTextSettings())
    assert reader is None and why is not None and "labels stay" in why and "pip install" in why
    with pytest.raises(MissingExtraError, match="rapidocr"):
        make_reader(ScreenTextSettings(backend="rapidocr"))


@needs_rapidocr
def test_rapidocr_reads_a_label_and_nothing_in_bare_tissue() -> None:
    reader, why = make_reader(ScreenTextSettings(backend="rapidocr"))
    assert reader is not None and why is None and reader.name.startswith("rapidocr ")
    words = "Case 1: colon"
    found = [text for text in reader.read(labelled(stained(360, 640), words)) if text.score > 0.75]
    assert [text.text for text in found] == [words]
    plate, (x0, y0, x1, y1) = plate_of(words), found[0].box
    assert plate[0] - 8 <= x0 < x1 <= plate[2] + 8 and plate[1] - 8 <= y0 < y1 <= plate[3] + 8
    assert reader.read(np.full((360, 640, 3), 243, dtype=np.uint8)) == []


@needs_rapidocr
def test_rapidocr_reads_a_line_that_runs_up_the_side() -> None:
    image = np.rot90(labelled(stained(640, 360), "Magnification", at=(200, 20))).copy()
    found = [text for text in RapidOcrReader(640).read(image) if text.score > 0.75]
    assert [text.text for text in found] == ["Magnification"]


@needs_rapidocr
def test_rapidocr_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", refused)
    assert RapidOcrReader(640).read(labelled(stained(200, 400), "Colon"))
