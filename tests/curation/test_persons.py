import cv2
import numpy as np
import pytest

from tests.curation.conftest import HEIGHT, WIDTH, Picture, pan, portrait, stained, with_inset
from videopath_hf.curation.boxes import overlap
from videopath_hf.curation.faces import FaceDetector
from videopath_hf.curation.persons import PersonWatcher, Seen, find_patches, presenter_share
from videopath_hf.curation.settings import PersonSettings
from videopath_hf.records import Box, PersonBox


def watched(frames: list[Picture], patches: list[Seen] | None = None) -> list[PersonBox]:
    """The persons found in frames half a second apart."""
    watcher = PersonWatcher(find_patches(patches or [], 1.25), (WIDTH, HEIGHT), PersonSettings())
    for number, image in enumerate(frames):
        watcher.add(number / 2, image)
    return watcher.finish(0.5, len(frames) / 2)


def in_a_circle(image: Picture, centre: tuple[int, int], radius: int) -> tuple[Picture, Box]:
    """The picture with the portrait in a round inset without any frame, and the circle's box."""
    face = portrait(2 * radius)
    (x, y), image = centre, image.copy()
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.circle(mask, centre, radius, 1, -1)
    layer = image.copy()
    left = (face.shape[1] - 2 * radius) // 2
    part = face[:, max(0, left) : max(0, left) + 2 * radius]
    layer[y - radius : y + radius, x - part.shape[1] // 2 : x - part.shape[1] // 2 + part.shape[1]] = part
    image[mask > 0] = layer[mask > 0]
    return image, (x - radius, y - radius, x + radius, y + radius)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 20, 10)) == 0


def test_a_face_is_found_in_the_pictures_own_pixels_and_none_in_stained_texture() -> None:
    image, (x0, y0, x1, y1) = with_inset(stained(HEIGHT, WIDTH, dab=True), (300, 100), 200)
    (face, *others) = FaceDetector().find(image, 480)
    assert face.score > 0.55 and all(other.score < 0.55 for other in others)
    assert x0 < face.box[0] < face.box[2] < x1 and y0 < face.box[1] < face.box[3] < y1
    for seed in range(3):
        assert all(hit.score < 0.55 for hit in FaceDetector().find(stained(HEIGHT, WIDTH, seed), 480))


def test_an_inset_is_found_where_and_when_it_is_shown() -> None:
    canvas = stained(700, 1400, dab=True)
    shown = []
    for number in range(24):
        image, box = with_inset(pan(canvas, number, 8), (430, 150), 190)
        shown.append(image if 4 <= number < 16 else pan(canvas, number, 8))
    (person,) = watched(shown)
    assert person.box == pytest.approx(box, abs=4)
    assert (person.start, person.end) == (2.0, 8.0)


def test_a_picture_at_rest_is_looked_at_once_and_again_when_it_changes() -> None:
    still = stained(HEIGHT, WIDTH, dab=True)
    shown, _ = with_inset(still, (430, 150), 190)
    watcher = PersonWatcher([], (WIDTH, HEIGHT), PersonSettings())
    for number, image in enumerate([still] * 9 + [shown] * 12):
        watcher.add(number / 2, image)
    (person,) = watcher.finish(0.5, 10.5)
    assert watcher.looks == 2
    assert (person.start, person.end) == (4.5, 10.5)


def test_an_inset_that_appears_between_two_looks_is_found_from_its_first_frame() -> None:
    canvas = stained(700, 1400)
    shown = [pan(canvas, number, 8) for number in range(5)]
    shown += [with_inset(pan(canvas, number, 8), (60, 60), 170)[0] for number in range(5, 14)]
    (person,) = watched(shown)
    assert (person.start, person.end) == (2.5, 7.0)


def test_a_presenter_who_looks_away_stays_hidden() -> None:
    canvas = stained(700, 1400)
    shown = []
    for number in range(16):
        image, (x0, y0, _, _) = with_inset(pan(canvas, number, 8), (430, 150), 190)
        if 6 <= number < 9:  # the face goes, the inset stays
            image[y0 + 30 : y0 + 110, x0 + 50 : x0 + 110] = image[y0 + 120, x0 + 70]
        shown.append(image)
    (person,) = watched(shown)
    assert (person.start, person.end) == (0.0, 8.0)


def test_a_round_inset_without_a_frame_is_covered() -> None:
    canvas = stained(700, 1400, dab=True)
    made = [in_a_circle(pan(canvas, number, 8), (420, 180), 90) for number in range(10)]
    (person,) = watched([image for image, _ in made])
    x0, y0, x1, y1 = made[0][1]
    assert person.box[0] <= x0 + 6 and person.box[1] <= y0 + 6
    assert person.box[2] >= x1 - 6 and person.box[3] >= y1 - 6
    assert (person.start, person.end) == (0.0, 5.0)


def test_a_round_inset_on_a_view_at_rest_is_covered_and_no_tissue_beside_it() -> None:
    still = stained(HEIGHT, WIDTH, dab=True)
    nuclei = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 60, (HEIGHT, WIDTH)), (0, 0), 1.5)[:, :, None]
    still = np.clip(still + nuclei, 0, 255).astype(np.uint8)  # edges everywhere
    made = [in_a_circle(still, (420, 180), 90)] * 6
    watcher = PersonWatcher([], (WIDTH, HEIGHT), PersonSettings())
    for number, (image, _) in enumerate(made):
        watcher.add(2.0 * number, cv2.circle(image.copy(), (420, 180), 90, (255, 255, 255), 3))
    (person,) = watcher.finish(2.0, 12.0)
    assert person.box == pytest.approx((330, 90, 510, 270), abs=14)


def test_an_outline_that_tissue_hides_is_where_it_was_drawn_in_another_segment() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    still = cv2.GaussianBlur(noise, (0, 0), 2)
    still = cv2.normalize(still, np.empty_like(still), 0, 255, cv2.NORM_MINMAX)
    shown, drawn = in_a_circle(still, (420, 180), 90)
    found = []
    for known in ([], [drawn, (0, 0, 60, 60)]):
        watcher = PersonWatcher([], (WIDTH, HEIGHT), PersonSettings(), known=known)
        for number in range(6):
            watcher.add(2.0 * number, shown)
        (person,) = watcher.finish(2.0, 12.0)
        assert watcher.drawn == []
        found.append(person.box)
    assert found[0] != drawn and found[1] == drawn


def test_a_drawn_inset_is_told_to_the_segments_that_follow() -> None:
    shown, box = with_inset(stained(HEIGHT, WIDTH, dab=True), (430, 150), 190)
    watcher = PersonWatcher([], (WIDTH, HEIGHT), PersonSettings())
    for number in range(4):
        watcher.add(2.0 * number, shown)
    (person,) = watcher.finish(2.0, 8.0)
    assert watcher.drawn == [person.box] and person.box == pytest.approx(box, abs=4)


def test_a_slide_without_a_presenter_has_none_even_where_its_colours_look_foreign() -> None:
    canvas = stained(700, 1400)
    boxes = [Seen(number / 2, (100, 100, 300, 260)) for number in range(12)]
    assert watched([pan(canvas, number, 8) for number in range(12)], boxes) == []


def test_boxes_that_flash_up_or_wander_are_not_watched() -> None:
    flash = [Seen(1.0, (0, 0, 100, 100)), Seen(1.5, (0, 0, 100, 100))]
    wander = [Seen(float(number), (200 * number, 0, 200 * number + 100, 100)) for number in range(4)]
    assert find_patches([*flash, *wander], 1.25) == []


def test_a_full_screen_presenter_is_told_from_tissue_and_from_an_inset() -> None:
    face = portrait(HEIGHT)
    tissue = [pan(stained(600, 1000, dab=True), number, 40) for number in range(3)]
    inset = [with_inset(image, (430, 150), 150)[0] for image in tissue]
    assert presenter_share([face, face, face], PersonSettings(), on_slide=True) == 1
    assert presenter_share(tissue, PersonSettings()) == 0
    assert presenter_share(inset, PersonSettings(), on_slide=True) == 0
    assert presenter_share([], PersonSettings()) == 0
