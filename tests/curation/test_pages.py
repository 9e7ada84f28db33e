"""A page with a picture of tissue is a title slide; tissue at rest, however little of it, is not."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from tests.curation.conftest import Picture, pan, stained
from videopath_hf.curation.pages import is_page, stands_still
from videopath_hf.curation.reading import name_presenters
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.records import Segment


def page(share: float, paper: int = 252) -> Picture:
    """Paper with a line of text and a picture that covers a share of it."""
    image = np.full((360, 640, 3), paper, dtype=np.uint8)
    cv2.putText(image, "Two cases", (30, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (20, 20, 40), 2, cv2.LINE_AA)
    height, width = round(360 * share**0.5), round(640 * share**0.5)
    image[340 - height : 340, 620 - width : 620] = stained(height, width, seed=3)
    return image


def fragments() -> Picture:
    """Two small fragments of tissue on glass."""
    image = np.full((360, 640, 3), 243, dtype=np.uint8)
    inside = np.zeros((360, 640), np.uint8)
    cv2.ellipse(inside, (200, 170), (90, 50), 20, 0, 360, 1, -1)
    cv2.ellipse(inside, (430, 200), (60, 80), -30, 0, 360, 1, -1)
    image[inside > 0] = stained(360, 640, seed=4)[inside > 0]
    return image


def pale(title: str) -> Picture:
    """A page whose picture shows little tissue on glass that is hardly darker than the paper."""
    image = np.full((360, 640, 3), 250, dtype=np.uint8)
    cv2.putText(image, title, (30, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (20, 20, 40), 3, cv2.LINE_AA)
    view = cv2.resize(fragments(), (240, 135), interpolation=cv2.INTER_AREA)
    image[180:315, 370:610] = view
    return image


def block(title: str) -> Picture:
    """A piece of tissue on glass that fills most of its box."""
    image = np.full((360, 640, 3), 243, dtype=np.uint8)
    y, x = np.mgrid[:360, :640]
    inside = abs((x - 310) / 110) ** 3 + abs((y - 180) / 70) ** 3 < 1 + 0.1 * np.sin(x / 7) * np.sin(y / 9)
    image[inside] = stained(360, 640, seed=4)[inside]
    cv2.putText(image, title, (20, 340), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return image


def segment(stills: list[tuple[float, float]], end: float = 2.0) -> Segment:
    return Segment(
        video_id="v", index=0, start=0.0, end=end, kind="tissue", first=0, last=round(10 * end), stills=stills
    )


def test_a_page_with_a_small_picture_of_tissue_is_a_page() -> None:
    assert is_page(page(0.15))
    assert is_page(page(0.25, paper=244))


def test_a_large_picture_fragments_on_glass_and_a_full_view_are_no_page() -> None:
    assert not is_page(page(0.45))
    assert not is_page(fragments())
    assert not is_page(stained(360, 640))


def test_a_picture_hardly_darker_than_the_paper_is_one_beside_a_title() -> None:
    assert is_page(pale("Two cases, one question"))
    assert not is_page(pale(""))
    assert not is_page(block("2 mm"))


def test_only_what_stands_still_can_be_a_page() -> None:
    assert stands_still(segment([(0.0, 4.5)], end=5.0))
    assert not stands_still(segment([(0.0, 2.0)], end=5.0))


def test_a_still_page_with_a_picture_is_named_a_title_slide(lecture_factory: Callable[..., Path]) -> None:
    def frames() -> Iterator[Picture]:
        yield from (page(0.2) for _ in range(20))
        yield from (pan(stained(600, 1000, seed=1), number) for number in range(20))

    path = lecture_factory("page.mp4", frames())
    settings = CurateSettings.model_validate({"persons": {"enabled": False}})
    assert [named.kind for named in name_presenters(path, [segment([(0.0, 1.9)])], settings)] == ["title"]
    assert [named.kind for named in name_presenters(path, [segment([], end=4.0)], settings)] == ["tissue"]
