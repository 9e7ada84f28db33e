import numpy as np
import pytest

from tests.curation.conftest import labelled, plate_of, stained, with_inset
from videopath_hf.curation.refine import Refiner, covered_share
from videopath_hf.curation.settings import ScreenTextSettings
from videopath_hf.records import PersonBox, RemovedText

GLASS = (243, 242, 244)


def text(box: tuple[int, int, int, int], start: float = 0.0, end: float = 4.0) -> RemovedText:
    return RemovedText(text="Case 1", box=box, start=start, end=end)


@pytest.mark.parametrize("method", ["telea", "ns"])
def test_a_label_is_gone_and_no_pixel_outside_its_box_has_changed(method: str) -> None:
    tissue = stained(360, 640)
    image = labelled(tissue, "Case 1: colon")
    kept = image.copy()
    x0, y0, x1, y1 = plate_of("Case 1: colon")
    refiner = Refiner([text((x0, y0, x1, y1))], [], GLASS, ScreenTextSettings(method=method))  # type: ignore[arg-type]
    refined = refiner.refine(1.0, image)
    inside = np.zeros(image.shape[:2], dtype=bool)
    inside[y0:y1, x0:x1] = True
    assert np.array_equal(refined[~inside], kept[~inside])
    assert np.array_equal(image, kept)
    assert refined[y0:y1, x0:x1].min() > 60  # the letters and the frame were darker than any of its surroundings


def test_an_inset_and_its_frame_are_filled_with_the_slides_background() -> None:
    image, box = with_inset(stained(360, 640), (400, 100), 160)
    refiner = Refiner([], [PersonBox(box=box, start=0, end=4)], GLASS, ScreenTextSettings())
    refined = refiner.refine(0.0, image)
    x0, y0, x1, y1 = box
    assert (refined[y0 - 6 : y1 + 6, x0 - 6 : x1 + 6] == GLASS).all()
    assert np.array_equal(refined[: y0 - 6], image[: y0 - 6])


def test_boxes_are_bound_to_the_frames_that_show_them() -> None:
    refiner = Refiner(
        [text((10, 10, 60, 30), 1.0, 2.0)], [PersonBox(box=(0, 0, 9, 9), start=1, end=2)], GLASS, ScreenTextSettings()
    )
    active = [time for time in (0.5, 0.75, 1.0, 1.9, 2.25, 2.5) if refiner.active_texts(time)]
    assert active == [0.75, 1.0, 1.9, 2.25]
    assert [time for time in (0.9, 1.0, 1.9, 2.0) if refiner.active_persons(time)] == [1.0, 1.9]
    image = stained(100, 100)
    assert refiner.refine(4.0, image) is image


def test_times_of_records_are_rounded_and_frames_are_not() -> None:
    label = text((0, 0, 9, 9), start=round(5 / 3, 3), end=round(8 / 3, 3))
    inset = PersonBox(box=(0, 0, 9, 9), start=round(5 / 3, 3), end=round(8 / 3, 3))
    refiner = Refiner([label], [inset], GLASS, ScreenTextSettings(pad_seconds=0))
    assert [number for number in range(12) if refiner.active_texts(number / 3)] == [5, 6, 7]
    assert [number for number in range(12) if refiner.active_persons(number / 3)] == [5, 6, 7]


def test_boxes_at_the_frames_corner_are_clipped() -> None:
    image = stained(100, 160)
    refined = Refiner([text((-5, -5, 30, 20)), text((140, 80, 170, 120))], [], GLASS, ScreenTextSettings()).refine(
        0.0, image
    )
    assert refined.shape == image.shape


def test_covered_share_counts_overlapping_boxes_once() -> None:
    assert covered_share([(0, 0, 50, 100), (25, 0, 75, 100)], (100, 100)) == 0.75
    assert covered_share([], (100, 100)) == 0
