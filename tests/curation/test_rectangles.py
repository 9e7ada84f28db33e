import cv2
import numpy as np
import pytest

from tests.curation.conftest import labelled, pan, plate_of, stained, with_inset
from videopath_hf.curation.rectangles import find_rectangle, persistent_edges, quantile, ranked

NOWHERE = (False, False, False, False)


@pytest.mark.parametrize("count", [1, 2, 5, 8, 24])
def test_pixels_are_ranked_and_their_quantiles_interpolated_as_numpy_does(count: int) -> None:
    frames = np.random.default_rng(count).integers(0, 256, (count, 9, 13), dtype=np.uint8)
    ranks = ranked(list(frames))
    assert np.array_equal(ranks, np.sort(frames, axis=0))
    for share in (0.0, 0.1, 0.5, 0.9, 1.0):
        assert quantile(ranks, share) == pytest.approx(np.quantile(frames, share, axis=0), abs=1e-4)


def test_an_inset_is_found_while_the_slide_moves() -> None:
    canvas = stained(600, 1000)
    shown = [with_inset(pan(canvas, number, 8), (300, 120), 150) for number in range(8)]
    box = shown[0][1]
    edges = persistent_edges([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image, _ in shown])
    found = find_rectangle(edges, (350, 170, 380, 200), NOWHERE)
    assert found is not None and found.strength > 20
    assert found.box == pytest.approx(box, abs=3)  # the frame is 3 pixels wide


def test_a_label_plate_is_found_around_its_words() -> None:
    image = labelled(stained(200, 500), "Case 1: colon", (60, 50))
    x0, y0, x1, y1 = plate_of("Case 1: colon", (60, 50))
    edges = persistent_edges([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)])
    found = find_rectangle(edges, (x0 + 10, y0 + 12, x1 - 10, y1 - 12), NOWHERE)
    assert found is not None and found.strength > 25
    assert found.box == pytest.approx((x0, y0, x1, y1), abs=1)


def test_moving_tissue_has_no_strong_rectangle() -> None:
    canvas = stained(600, 1000)
    crops = [cv2.cvtColor(pan(canvas, number, 8), cv2.COLOR_RGB2GRAY) for number in range(8)]
    found = find_rectangle(persistent_edges(crops), (350, 170, 380, 200), NOWHERE)
    assert found is None or found.strength < 10


def test_a_rectangle_may_lie_on_the_frames_border() -> None:
    canvas = stained(600, 1000)
    shown = [with_inset(pan(canvas, number, 8), (0, 120), 150) for number in range(8)]
    edges = persistent_edges([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, 3:] for image, _ in shown])
    found = find_rectangle(edges, (40, 170, 70, 200), (True, True, False, False))
    assert found is not None and found.box[0] == 0 and found.strength > 10


def test_texture_at_rest_is_not_the_side_of_a_panel() -> None:
    image = np.random.default_rng(0).integers(60, 200, (240, 400), dtype=np.uint8)
    image[:, 280:] = np.linspace(20, 60, 120).astype(np.uint8)
    found = find_rectangle(persistent_edges([image] * 5), (320, 60, 360, 110), (False, True, True, True))
    assert found is not None and found.box == (280, 0, 400, 240)


def test_an_inner_box_outside_of_the_crop_finds_nothing() -> None:
    grey = cv2.cvtColor(stained(50, 50), cv2.COLOR_RGB2GRAY)
    assert find_rectangle(persistent_edges([grey]), (80, 80, 90, 90), NOWHERE) is None
