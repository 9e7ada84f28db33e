"""Small synthetic slides and a twelve-second lecture over them, rendered once a session."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from videopath_hf.curation.ocr import ReadText
from videopath_hf.records import Box
from videopath_hf.video.encode import write_clip

Picture = np.ndarray[Any, np.dtype[np.uint8]]

FPS = 10.0
WIDTH, HEIGHT = 640, 360
SUBTITLES = """1
00:00:00,200 --> 00:00:01,800
Welcome to two biopsies.

2
00:00:02,300 --> 00:00:03,900
The first case is a biopsy of the duodenum.

3
00:00:04,300 --> 00:00:05,900
The diagnosis is celiac disease, a common one.

4
00:00:06,200 --> 00:00:07,800
The second case is a colonic biopsy.

5
00:00:08,200 --> 00:00:09,800
These findings support the diagnosis of melanosis coli.
"""


def stained(height: int, width: int, seed: int = 0, dab: bool = False) -> Picture:
    """A texture in the colours of a stained slide: glass, pale stroma, dark nuclei."""
    rng = np.random.default_rng(seed)

    def noise(sigma: float) -> np.ndarray[Any, Any]:
        field = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), sigma)
        return field / field.std()

    image = np.full((height, width, 3), 243, dtype=np.uint8)
    image[noise(14) > -0.6] = (176, 120, 70) if dab else (226, 160, 204)
    image[noise(1.8) > 0.8] = (66, 62, 122) if dab else (112, 62, 150)
    grain = rng.integers(-6, 7, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def title(words: str, height: int = HEIGHT, width: int = WIDTH) -> Picture:
    """A navy slide with white letters."""
    image = np.full((height, width, 3), (24, 40, 76), dtype=np.uint8)
    cv2.putText(image, words, (40, height // 2), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (255, 255, 255), 2, cv2.LINE_AA)
    return image


def labelled(image: Picture, words: str, at: tuple[int, int] = (20, 20)) -> Picture:
    """The picture with black words on a white, framed plate; its upper left corner is `at`."""
    (width, height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 2)
    x, y = at
    image = image.copy()
    cv2.rectangle(image, (x, y), (x + width + 20, y + height + 20), (255, 255, 255), -1)
    cv2.rectangle(image, (x, y), (x + width + 20, y + height + 20), (20, 20, 20), 1)
    cv2.putText(image, words, (x + 10, y + height + 9), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (10, 10, 10), 2, cv2.LINE_AA)
    return image


def plate_of(words: str, at: tuple[int, int] = (20, 20)) -> Box:
    """The box of the plate that `labelled` draws."""
    (width, height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 2)
    return at[0], at[1], at[0] + width + 21, at[1] + height + 21


def portrait(height: int) -> Picture:
    """The upper part of scikit-image's public-domain portrait."""
    image = data.astronaut()[0:320, 70:370]
    scaled: Picture = cv2.resize(image, (round(height * 300 / 320), height), interpolation=cv2.INTER_AREA)
    return scaled


def with_inset(image: Picture, at: tuple[int, int], height: int) -> tuple[Picture, Box]:
    """The picture with the portrait, in a white frame, and the frame's box."""
    face = cv2.copyMakeBorder(portrait(height), 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    x, y = at
    image = image.copy()
    image[y : y + face.shape[0], x : x + face.shape[1]] = face
    return image, (x, y, x + face.shape[1], y + face.shape[0])


def pan(canvas: Picture, number: int, step: int = 2) -> Picture:
    """Frame `number` of a camera that moves over the canvas."""
    return canvas[number * step // 2 : number * step // 2 + HEIGHT, number * step : number * step + WIDTH]


def lecture_frames() -> Iterator[Picture]:
    """Two seconds of title, two cases of four seconds, two seconds of thanks."""
    first, second = stained(600, 1000, seed=1), stained(600, 1000, seed=2, dab=True)
    for _ in range(20):
        yield title("Two biopsies")
    for number in range(40):
        yield pan(first, number)
    for number in range(40):
        yield pan(second, number)
    for _ in range(20):
        yield title("Thank you")


class FakeReader:
    """Finds the labels it was told of by looking for their white plates."""

    name = "fake 1"

    def __init__(self, words: str, box: Box) -> None:
        self.words = words
        self.box = box
        self.calls = 0

    def read(self, image: Picture, known: Sequence[ReadText] = (), side: int | None = None) -> list[ReadText]:
        self.calls += 1
        x0, y0, x1, y1 = self.box
        if image.shape[0] < y1 or image.shape[1] < x1 or (image[y0:y1, x0:x1].min(axis=2) > 240).mean() < 0.5:
            return []
        return [ReadText(text=self.words, score=0.99, box=self.box)]


@pytest.fixture(scope="session")
def lecture_factory(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a video of given frames and, where words are given, its subtitles beside it."""

    def make(name: str, frames: Iterator[Picture], subtitles: str | None = None) -> Path:
        path = tmp_path_factory.mktemp("lectures") / name
        write_clip(path, frames, FPS)
        if subtitles is not None:
            path.with_suffix(".srt").write_text(subtitles, encoding="utf-8")
        return path

    return make


@pytest.fixture(scope="session")
def lecture(lecture_factory: Callable[..., Path]) -> Path:
    """The twelve-second lecture with its subtitles."""
    return lecture_factory("two cases.mp4", lecture_frames(), SUBTITLES)
