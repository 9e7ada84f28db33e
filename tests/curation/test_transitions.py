"""What adds up is a dissolve, what changes all at once is a cut, what moves is neither."""

from collections.abc import Iterable

import cv2
import numpy as np
import pytest

from tests.curation.conftest import Picture, labelled, stained, with_inset
from videopath_hf.curation.transitions import Transition, TransitionFinder, join_cuts

FPS = 25.0
SLIDE = stained(720, 1600, seed=5)
OTHER = stained(720, 1600, seed=6)


def view(canvas: Picture, x: float, y: float = 100, scale: float = 1.0) -> Picture:
    """A view 640 x 360 whose left upper corner is at (x, y)."""
    matrix = np.array([[scale, 0, -x * scale], [0, scale, -y * scale]])
    return cv2.warpAffine(canvas, matrix, (640, 360), flags=cv2.INTER_LINEAR, borderValue=(243, 243, 243)).astype(
        np.uint8
    )


def blend(a: Picture, b: Picture, share: float) -> Picture:
    return cv2.addWeighted(a, 1 - share, b, share, 0).astype(np.uint8)


def transitions(frames: Iterable[Picture]) -> list[Transition]:
    finder = TransitionFinder(FPS)
    for frame in frames:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        finder.add(cv2.resize(grey, (160, 90), interpolation=cv2.INTER_AREA).astype(np.uint8))
    return finder.finish()


@pytest.mark.parametrize("seconds", [0.4, 0.6, 1.0, 2.0])
def test_a_dissolve_between_two_fields_is_found_from_its_first_frame_to_its_last(seconds: float) -> None:
    a, b = view(SLIDE, 50), view(OTHER, 300)
    count = round(seconds * FPS)
    frames = [a] * 40 + [blend(a, b, (n + 1) / (count + 1)) for n in range(count)] + [b] * 40
    [found] = transitions(frames)
    assert found.kind == "dissolve"
    assert abs(found.first - 40) <= 1
    assert abs(found.last - (40 + count)) <= 1


def test_a_dissolve_that_a_codec_shows_in_every_second_frame_is_followed_to_its_start() -> None:
    a, b = view(SLIDE, 50), view(OTHER, 300)
    frames = [a] * 40 + [blend(a, b, (n // 2 * 2 + 1) / 31) for n in range(30)] + [b] * 40
    [found] = transitions(frames)
    assert abs(found.first - 40) <= 2 and abs(found.last - 70) <= 2


def test_a_dissolve_between_slowly_moving_views_is_found() -> None:
    views = [(view(SLIDE, 50 + n / 4), view(OTHER, 300 + n / 4)) for n in range(100)]
    frames = [blend(a, b, float(np.clip((n - 39) / 16, 0, 1))) for n, (a, b) in enumerate(views)]
    [found] = transitions(frames)
    assert abs(found.first - 40) <= 6


def test_a_dissolve_begins_after_the_movement_before_it_not_with_it() -> None:
    page = np.full((360, 640, 3), 250, dtype=np.uint8)
    cv2.putText(page, "Case 2", (200, 180), cv2.FONT_HERSHEY_SIMPLEX, 2, (20, 20, 40), 3)
    moving = [view(SLIDE, 50 + 9 * n) for n in range(60)]
    still = moving[-1]
    frames = moving + [blend(still, page, (n + 1) / 25) for n in range(24)] + [page] * 40
    [found] = transitions(frames)
    assert abs(found.first - 60) <= 6


def test_a_short_dissolve_begins_after_a_movement_that_changes_as_much() -> None:
    frames = [view(SLIDE, place) for place in np.append(np.full(70, 50), np.arange(50, 90))]
    frames += [blend(frames[-1], view(OTHER, 300), (n + 1) / 9) for n in range(8)] + [view(OTHER, 300)] * 40
    [found] = transitions(frames)
    assert found.kind == "dissolve"
    assert abs(found.first - 110) <= 6


def in_window(image: Picture) -> Picture:
    """A slide in a window on a page that stays."""
    page = np.full((360, 640, 3), 255, dtype=np.uint8)
    page[70:310, 20:380] = image[:240, :360]
    return page


def test_a_dissolve_in_a_window_on_a_page_that_stays_is_found() -> None:
    a, b = in_window(view(SLIDE, 50)), in_window(view(OTHER, 300))
    [found] = transitions([a] * 40 + [blend(a, b, (n + 1) / 21) for n in range(20)] + [b] * 40)
    assert found.kind == "dissolve"
    assert abs(found.first - 40) <= 1 and abs(found.last - 60) <= 1


def test_a_slow_dissolve_between_like_views_is_found_and_begins_after_the_movement_before_it() -> None:
    pale = [cv2.addWeighted(canvas, 0.4, np.full_like(canvas, 243), 0.6, 0) for canvas in (SLIDE, OTHER)]
    moving = [in_window(view(pale[0], 50 + 9 * n)) for n in range(60)]
    a, b = moving[-1], in_window(view(pale[1], 300))
    frames = moving + [blend(a, b, (n + 1) / 51) for n in range(50)] + [b] * 60
    [found] = transitions(frames)
    assert found.kind == "dissolve"
    assert abs(found.first - 60) <= 2 and abs(found.last - 110) <= 2


def test_an_inset_that_fades_in_and_a_page_that_darkens_are_no_dissolve() -> None:
    page = in_window(view(SLIDE, 50))
    inset, _ = with_inset(page, (460, 100), 150)
    assert transitions([page] * 30 + [blend(page, inset, n / 12) for n in range(1, 13)] + [inset] * 30) == []
    dark = np.zeros_like(page)
    assert (
        transitions([page] * 30 + [blend(page, dark, 0.4 * n / 15) for n in range(16)] + [blend(page, dark, 0.4)] * 30)
        == []
    )


@pytest.mark.parametrize("level", [0, 255])
def test_a_fade_through_one_colour_is_one_transition(level: int) -> None:
    a, b, flat = view(SLIDE, 50), view(OTHER, 300), np.full((360, 640, 3), level, dtype=np.uint8)
    out = [blend(a, flat, n / 12) for n in range(1, 13)]
    back = [blend(flat, b, n / 12) for n in range(1, 13)]
    [found] = transitions([a] * 40 + out + back + [b] * 40)
    assert found.kind == "fade"
    assert abs(found.first - 40) <= 2
    assert abs(found.last - 63) <= 2


def test_a_cut_between_two_fields_of_one_slide_is_found_to_the_frame() -> None:
    frames = [view(SLIDE, 50)] * 30 + [view(SLIDE, 700, 200)] * 30
    assert transitions(frames) == [Transition(30, 30, "jump")]


def test_pans_zooms_and_shakes_of_any_speed_are_no_transition() -> None:
    for step in (1, 3, 8, 20, 45):
        pan = [view(SLIDE, 20 + step * min(n, 900 // step)) for n in range(50)]
        assert transitions([pan[0]] * 20 + pan + [pan[-1]] * 20) == [], f"a pan by {step} pixels a frame"
    for slow in (0.1, 0.2, 0.3, 0.5):
        pan = [view(SLIDE, 20 + slow * n) for n in range(60)]
        assert transitions([pan[0]] * 20 + pan + [pan[-1]] * 20) == [], f"a pan by {slow} pixels a frame"
    for rate in (1.01, 1.05, 1.12):
        zoom = [view(SLIDE, 300, 100, rate ** min(n, 30)) for n in range(45)]
        assert transitions([zoom[0]] * 20 + zoom) == [], f"a zoom by {rate} a frame"
    shake = np.random.default_rng(0).normal(0, 3, (80, 2))
    assert transitions(view(SLIDE, 300 + x, 100 + y) for x, y in shake) == []


def test_a_pan_in_a_screen_recording_that_stutters_is_no_row_of_cuts() -> None:
    assert transitions(view(SLIDE, 20 + 90 * (n // 6)) for n in range(70)) == []


def test_insets_labels_and_light_are_no_transition() -> None:
    still = view(SLIDE, 50)
    inset, _ = with_inset(still, (440, 200), 140)
    assert transitions([still] * 30 + [inset] * 40 + [still] * 30) == []
    assert transitions([still] * 30 + [labelled(still, "Crypts")] * 40) == []
    darker = [blend(still, np.zeros_like(still), 0.5 * min(n, 15) / 15) for n in range(50)]
    assert transitions([still] * 20 + darker) == []


def test_a_line_added_to_a_page_is_no_cut_but_another_page_is() -> None:
    def page(*lines: str) -> Picture:
        image = np.full((360, 640, 3), 252, dtype=np.uint8)
        for number, line in enumerate(lines):
            cv2.putText(image, line, (40, 70 + 60 * number), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (20, 20, 20), 2)
        return image

    first, grown = (
        page("Findings", "villous atrophy"),
        page("Findings", "villous atrophy", "lymphocytes in epithelium"),
    )
    other = page("Differential diagnosis of flat villi", "tropical sprue, giardiasis", "autoimmune disease")
    assert transitions([first] * 30 + [grown] * 40 + [other] * 30) == [Transition(70, 70, "jump")]


def test_a_pointer_and_what_a_codec_leaves_on_a_page_of_one_word_are_no_cut() -> None:
    page = np.full((360, 640, 3), 250, dtype=np.uint8)
    cv2.putText(page, "Thanks", (230, 190), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (20, 20, 60), 3)
    before = page.copy()
    cv2.putText(before, "ghost", (230, 260), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (200, 200, 205), 2)
    cv2.circle(page, (420, 150), 8, (20, 20, 20), -1)
    assert transitions([before] * 30 + [page] * 40) == []


def test_a_dissolve_takes_the_place_of_the_cuts_a_detector_saw_in_it_and_a_jump_counts_once() -> None:
    dissolve, jump, lone = Transition(100, 120, "dissolve"), Transition(301, 301, "jump"), Transition(400, 400, "jump")
    assert join_cuts([50, 110, 118, 300], [dissolve, jump, lone], 15) == [50, 100, 300, 400]
    assert join_cuts([50], [], 15) == [50]
    assert join_cuts([], [Transition(14, 14, "jump")], 15) == []
