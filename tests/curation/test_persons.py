import pytest

from tests.curation.conftest import HEIGHT, WIDTH, pan, portrait, stained, with_inset
from videopath_hf.curation.persons import Seen, find_patches, overlap, presenter_share
from videopath_hf.curation.settings import PersonSettings
from videopath_hf.curation.tissue import foreign_boxes, slide_masks


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 20, 10)) == 0


def test_an_inset_is_found_where_and_when_it_is_shown() -> None:
    canvas = stained(700, 1400, dab=True)
    shown, seen = [], []
    for number in range(24):
        image, box = with_inset(pan(canvas, number, 8), (430, 150), 190)
        inside = 4 <= number < 16
        shown.append(image if inside else pan(canvas, number, 8))
        small = shown[-1][::2, ::2]
        seen += [Seen(number / 2, found) for found in foreign_boxes(slide_masks(small), 2.0)]
    persons = []
    for patch in find_patches(seen, (WIDTH, HEIGHT), 1.25):
        for number, image in enumerate(shown):
            patch.add(number / 2, image)
        persons += patch.insets(0.5, 12.0, PersonSettings())
    assert len(persons) == 1
    assert persons[0].box == pytest.approx(box, abs=4)
    assert (persons[0].start, persons[0].end) == (2.0, 8.0)


def test_stained_patches_are_no_insets() -> None:
    canvas = stained(700, 1400)
    boxes = [Seen(number / 2, (100, 100, 300, 260)) for number in range(12)]
    (patch,) = find_patches(boxes, (WIDTH, HEIGHT), 1.25)
    for number in range(12):
        patch.add(number / 2, pan(canvas, number, 8))
    assert patch.insets(0.5, 6.0, PersonSettings()) == []


def test_boxes_that_flash_up_or_wander_are_not_watched() -> None:
    flash = [Seen(1.0, (0, 0, 100, 100)), Seen(1.5, (0, 0, 100, 100))]
    wander = [Seen(float(number), (200 * number, 0, 200 * number + 100, 100)) for number in range(4)]
    assert find_patches([*flash, *wander], (1280, 720), 1.25) == []


def test_a_full_screen_presenter_is_told_from_tissue() -> None:
    face = portrait(HEIGHT)
    tissue = [pan(stained(600, 1000, dab=True), number, 40) for number in range(3)]
    assert presenter_share([face, face, face], PersonSettings()) == 1
    assert presenter_share(tissue, PersonSettings()) < 1
    assert presenter_share([], PersonSettings()) == 0
