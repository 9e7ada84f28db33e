from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.curation.conftest import stained
from videopath_hf.curation.sheets import contact_sheet, spread, write_jpeg


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8])
def test_a_sheet_is_at_most_900_pixels_wide_and_has_at_most_two_rows(count: int) -> None:
    sheet = contact_sheet([stained(360, 640)] * count)
    assert sheet.shape[1] <= 900
    cell = sheet.shape[1] / (count if count <= 4 else -(-count // 2)) * 360 / 640
    assert sheet.shape[0] < (1 if count <= 4 else 2) * cell + 8


def test_frames_stand_in_reading_order() -> None:
    shades = [np.full((90, 160, 3), 30 * number, dtype=np.uint8) for number in range(1, 7)]
    sheet = contact_sheet(shades)
    rows = [sheet[sheet.shape[0] // 4], sheet[3 * sheet.shape[0] // 4]]
    assert [int(row[sheet.shape[1] * k // 6, 0]) for row in rows for k in (1, 3, 5)] == [30, 60, 90, 120, 150, 180]


def test_numbers_are_spread_from_first_to_last() -> None:
    assert spread(29, 8) == [0, 4, 8, 12, 16, 20, 24, 28]
    assert spread(3, 8) == [0, 1, 2]
    assert spread(0, 8) == []


def test_a_jpeg_keeps_its_colours_in_order(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "a.jpg", np.full((40, 40, 3), (200, 30, 90), dtype=np.uint8))
    image = cv2.imread(str(tmp_path / "a.jpg"))
    assert image is not None
    blue, green, red = image[20, 20].tolist()
    assert (red, green, blue) == pytest.approx((200, 30, 90), abs=4)
