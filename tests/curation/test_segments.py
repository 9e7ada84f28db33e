from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from tests.curation.conftest import FPS, HEIGHT, WIDTH, Picture, lecture_frames, pan, stained, title
from videopath_hf.curation.look import View, due_frames, look_at, small_size
from videopath_hf.curation.segments import find_segments, frame_kind
from videopath_hf.curation.settings import CurateSettings, TissueSettings
from videopath_hf.curation.tissue import colours, slide_masks
from videopath_hf.records import Segment
from videopath_hf.video.probe import VideoInfo


def segments_of(images: Iterable[Picture]) -> list[Segment]:
    settings = CurateSettings()
    shown = [image[::2, ::2] for image in images]
    due = due_frames((number / FPS for number in range(len(shown))), settings.segments.sample_fps)
    views = [view(number, image, wanted) for number, (image, wanted) in enumerate(zip(shown, due, strict=True))]
    info = VideoInfo(Path("x"), len(views) / FPS, FPS, len(views), WIDTH, HEIGHT, 0, "h264", False)
    return find_segments("x", look_at(views, info, settings.segments), settings)


def view(number: int, image: Picture, wanted: bool) -> View:
    small = cv2.resize(image, small_size(WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return View(number / FPS, small, image if wanted else None)


def test_hard_cuts_are_found_to_the_frame_and_segments_cover_the_lecture() -> None:
    found = segments_of(lecture_frames())
    assert [(s.start, s.end) for s in found] == [(0.0, 2.0), (2.0, 6.0), (6.0, 10.0), (10.0, 12.0)]
    assert [s.kind for s in found] == ["title", "tissue", "tissue", "title"]


def test_tissue_ends_where_a_dissolve_into_a_title_begins() -> None:
    canvas, page = stained(600, 1000), title("Thank you")
    frames = [pan(canvas, 0)] * 30
    for step in range(1, 6):
        frames.append((pan(canvas, 0) * (1 - step / 6) + page * (step / 6)).astype(np.uint8))
    frames += [page] * 25
    found = segments_of(frames)
    assert [s.kind for s in found] == ["tissue", "title"]
    assert found[0].end == 3.0


def test_a_segment_begins_where_a_dissolve_into_it_begins_and_says_when_it_is_over() -> None:
    canvas, page = stained(600, 1000), title("Case 1")
    frames = [page] * 25
    for step in range(1, 6):
        frames.append((page * (1 - step / 6) + pan(canvas, 0) * (step / 6)).astype(np.uint8))
    frames += [pan(canvas, 0)] * 30
    found = segments_of(frames)
    assert [s.kind for s in found] == ["title", "tissue"]
    assert (found[1].start, found[1].settled) == (2.5, 3.0)
    assert found[0].settled is None


def test_hues_of_glass_that_a_keyframe_shifts_do_not_split_a_segment() -> None:
    canvas = stained(600, 1000)
    canvas[200:] = 243  # mostly glass: of a grey of no hue, a level more is one
    tinted = np.where(canvas == 243, np.array([245, 242, 245], np.uint8), canvas)
    assert len(segments_of([pan(canvas, 0)] * 30 + [pan(tinted, 0)] * 30)) == 1


def test_a_flash_does_not_split_a_segment() -> None:
    canvas = stained(600, 1000)
    frames = [pan(canvas, number, 2) for number in range(60)]
    frames[25:27] = [np.zeros_like(frames[0])] * 2
    assert [s.kind for s in segments_of(frames)] in (["tissue"], ["tissue", "tissue"])


def test_pages_black_frames_and_grey_rooms_are_not_tissue() -> None:
    def kind(image: Picture) -> str:
        return frame_kind(colours(image, slide_masks(image)), TissueSettings())

    room = np.random.default_rng(0).integers(60, 110, (90, 160, 1)).repeat(3, axis=2).astype(np.uint8)
    assert kind(np.full((90, 160, 3), 255, dtype=np.uint8)) == "title"
    assert kind(np.zeros((90, 160, 3), dtype=np.uint8)) == "title"
    assert kind(room) == "other"
    assert kind(stained(90, 160)) == kind(stained(90, 160, dab=True)) == "tissue"


def test_a_picture_a_few_pixels_flat_is_looked_at_too() -> None:
    segments = segments_of(np.full((8, WIDTH, 3), 20 * number, dtype=np.uint8) for number in range(12))
    assert segments[0].start == 0 and segments[-1].end == 12 / FPS
