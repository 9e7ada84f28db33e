import cv2
import numpy as np
import pytest
from skimage import data

from tests.curation.conftest import stained, title, with_inset
from videopath_hf.curation.tissue import colours, foreign_boxes, glass_colour, slide_masks


def share_of(colour: tuple[int, int, int], mask: str) -> float:
    image = np.full((8, 8, 3), colour, dtype=np.uint8)
    return float(getattr(slide_masks(image), mask).mean())


@pytest.mark.parametrize(
    "colour",
    [(226, 160, 204), (112, 62, 150), (200, 90, 150), (176, 120, 70), (120, 80, 50), (120, 130, 180), (150, 165, 200)],
)
def test_colours_of_haematoxylin_eosin_and_dab_are_stain(colour: tuple[int, int, int]) -> None:
    assert share_of(colour, "stain") == 1


@pytest.mark.parametrize("colour", [(255, 255, 255), (243, 242, 244), (230, 230, 228)])
def test_bright_background_is_glass(colour: tuple[int, int, int]) -> None:
    assert share_of(colour, "glass") == 1


@pytest.mark.parametrize(
    "colour", [(222, 90, 38), (0, 0, 0), (90, 90, 92), (40, 160, 60), (240, 220, 20), (20, 190, 190)]
)
def test_an_orange_suit_black_grey_green_and_yellow_are_no_slide(colour: tuple[int, int, int]) -> None:
    assert share_of(colour, "foreign") == 1


def test_the_immunohistochemistry_image_is_slide_and_the_portrait_is_not() -> None:
    tissue, person = data.immunohistochemistry()[::2, ::2], data.astronaut()[::2, ::2]
    assert colours(tissue, slide_masks(tissue)).slide > 0.9
    assert colours(person, slide_masks(person)).slide < 0.6


def test_thin_purple_letters_on_a_white_page_are_not_tissue() -> None:
    page = np.full((180, 320, 3), 255, dtype=np.uint8)
    for row in range(30, 170, 30):
        cv2.putText(page, "Findings and diagnosis", (10, row), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (112, 62, 150), 1)
    assert slide_masks(page).stain.mean() > 0.02
    assert colours(page, slide_masks(page)).tissue < 0.02


def test_a_painted_background_is_plain_and_stained_texture_is_not() -> None:
    page, tissue = title("Case 1", 180, 320), stained(180, 320)
    assert colours(page, slide_masks(page)).plain > 0.8
    assert colours(tissue, slide_masks(tissue)).plain < 0.2


def test_an_inset_on_tissue_is_found_as_a_foreign_box_in_full_size_pixels() -> None:
    image, box = with_inset(stained(180, 320), (200, 60), 90)
    found = foreign_boxes(slide_masks(image), 4.0)
    assert len(found) == 1
    x0, y0, x1, y1 = found[0]
    assert 4 * box[0] <= (x0 + x1) / 2 <= 4 * box[2] and 4 * box[1] <= (y0 + y1) / 2 <= 4 * box[3]
    assert foreign_boxes(slide_masks(stained(180, 320)), 4.0) == []


def test_the_colour_of_glass_is_measured_and_unknown_where_there_is_none() -> None:
    assert glass_colour(stained(180, 320)) == pytest.approx((245, 245, 245), abs=6)
    assert glass_colour(np.full((20, 20, 3), (112, 62, 150), dtype=np.uint8)) is None
