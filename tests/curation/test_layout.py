import cv2
import numpy as np
import pytest

from tests.curation.conftest import HEIGHT, WIDTH, Picture, pan, stained
from videopath_hf.curation.boxes import overlap
from videopath_hf.curation.layout import Layout, LayoutWatcher, crop_box, kept_part
from videopath_hf.curation.settings import TissueSettings
from videopath_hf.records import Box

MINIMAP = (16, 230, 126, 320)


def watched(frames: list[Picture]) -> LayoutWatcher:
    watcher = LayoutWatcher((WIDTH, HEIGHT))
    for image in frames:
        watcher.add(image)
    return watcher


def moving(count: int = 16) -> list[Picture]:
    canvas = stained(700, 1600)
    return [pan(canvas, number, 12).copy() for number in range(count)]


def panelled(frames: list[Picture], colour: tuple[int, int, int]) -> list[Picture]:
    """The frames with a panel of 160 pixels at their right, words in it, and a bar of 40 pixels above."""
    for image in frames:
        image[:, WIDTH - 160 :] = colour
        cv2.putText(image, "Notes", (WIDTH - 140, 200), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (90, 90, 90), 2)
        image[:40] = (210, 212, 216)
    return frames


def with_minimap(frames: list[Picture], box: Box = MINIMAP) -> list[Picture]:
    x0, y0, x1, y1 = box
    small = cv2.resize(stained(600, 800, seed=5), (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    for image in frames:
        image[y0:y1, x0:x1] = small
        cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), (30, 30, 30), 2)
    return frames


def test_a_slide_that_fills_the_frame_is_the_whole_frame() -> None:
    layout = watched(moving()).finish()
    assert layout == Layout(slide=(0, 0, WIDTH, HEIGHT), moving=True, thumbnails=[])


@pytest.mark.parametrize("colour", [(255, 255, 255), (240, 240, 240), (28, 30, 34), (24, 40, 76)])
@pytest.mark.parametrize("still", [False, True], ids=["moving", "still"])
def test_panels_and_bars_are_no_slide_whatever_their_colour(colour: tuple[int, int, int], still: bool) -> None:
    frames = panelled([moving(1)[0].copy() for _ in range(8)] if still else moving(), colour)
    layout = watched(frames).finish()
    assert layout.moving is not still
    assert overlap(layout.slide, (0, 40, WIDTH - 160, HEIGHT)) >= 0.97


def test_a_minimap_on_a_moving_slide_is_found_and_does_not_shrink_the_slide() -> None:
    layout = watched(with_minimap(moving())).finish()
    (found,) = layout.thumbnails
    assert overlap(found, MINIMAP) >= 0.8
    assert layout.slide == (0, 0, WIDTH, HEIGHT)


def test_a_minimap_of_a_row_of_sections_is_found_though_it_is_as_long_as_a_label() -> None:
    strip = (360, 16, 624, 68)
    (found,) = watched(with_minimap(moving(), strip)).finish().thumbnails
    assert overlap(found, strip) >= 0.8


def test_a_label_is_no_minimap() -> None:
    layout = watched(with_minimap(moving())).finish(written=[MINIMAP])
    assert layout.thumbnails == []


def test_a_still_segment_takes_over_the_minimap_of_an_earlier_one_only_where_it_shows_one() -> None:
    known = [watched(with_minimap(moving())).finish()]
    still = [moving(1)[0].copy() for _ in range(8)]
    assert watched(still).finish(known=known).thumbnails == []
    assert watched(with_minimap(still)).finish().thumbnails == []
    (found,) = watched(with_minimap(still)).finish(known=known).thumbnails
    assert overlap(found, MINIMAP) >= 0.8


def test_a_long_segment_is_remembered_by_frames_spread_over_all_of_it() -> None:
    watcher = LayoutWatcher((WIDTH, HEIGHT))
    for number in range(1000):
        watcher.add(np.full((HEIGHT, WIDTH, 3), number // 4, np.uint8))
    shown = [int(frame[0, 0, 0]) for frame in watcher.frames]
    assert len(shown) <= 48 and shown == sorted(shown)
    assert shown[0] == 0 and shown[-1] >= 230


def test_a_crop_has_even_sizes_and_stays_in_the_frame() -> None:
    assert crop_box((0, 40, 481, 360), 0, (640, 360)) == (0, 40, 480, 360)
    assert crop_box((10, 10, 631, 351), 20, (640, 360)) == (0, 0, 640, 360)


def test_settings_say_what_of_the_layout_is_used() -> None:
    layout = Layout(slide=(0, 40, 480, 360), moving=True, thumbnails=[MINIMAP])
    used = kept_part(layout, TissueSettings(), (640, 360))
    assert (used["crop"], used["thumbnails"]) == ((0, 40, 480, 360), [MINIMAP])
    unused = kept_part(layout, TissueSettings(crop=False, thumbnails=False), (640, 360))
    assert (unused["slide"], unused["crop"], unused["thumbnails"]) == ((0, 40, 480, 360), (0, 0, 640, 360), [])
