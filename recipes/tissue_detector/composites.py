"""Composite lecture frames with known boxes, made from a folder of slide images: what a tissue detector learns from.

Every frame draws its layout, slide crop, presenter and words at random from a seed; the same seed gives the same
frames. Classes: 0 tissue (the slide's part of the frame, minimaps left out), 1 person, 2 slide_text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from videopath_hf.errors import UserError

CLASSES = ("tissue", "person", "slide_text")
_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}
_WORDS = (
    "colon biopsy", "H&E", "40x", "low power", "crypt architecture", "lymphocytes", "normal mucosa", "case 2",
    "what is the diagnosis?", "villous blunting", "plasma cells", "high power", "stroma", "nuclei", "gland", "PAS",
    "immunostain", "duct", "portal tract", "cortex", "medulla", "fibrosis", "granuloma", "mitosis", "necrosis",
)  # fmt: skip
_PANELS = ((255, 255, 255), (240, 240, 240), (30, 30, 34), (24, 40, 76), (200, 204, 210), (60, 64, 70))

Picture = np.ndarray[Any, np.dtype[np.uint8]]
Box = tuple[int, int, int, int]


class Labelled(NamedTuple):
    """A frame, uint8 [H, W, 3] RGB, and its boxes with their classes."""

    image: Picture
    boxes: list[tuple[int, Box]]


def find_images(folder: Path) -> list[Path]:
    """All pictures below a folder, sorted.

    Raises:
        UserError: there is none.
    """
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise UserError(f"no image ({', '.join(sorted(_SUFFIXES))}) below {folder}; give a folder of slide images")
    return found


class Composer:
    """Makes composite frames.

    Args:
        slides (`Sequence[Path]`): crops and overviews of slides.
        people (`Sequence[Path]`): photographs of people, cut out to head and shoulders where they are pasted.
        seed (`int`): of everything that is drawn.
        width, height (`int`, default to 640 and 360): of the frames.
    """

    def __init__(
        self, slides: Sequence[Path], people: Sequence[Path], seed: int, width: int = 640, height: int = 360
    ) -> None:
        self.slides = list(slides)
        self.people = [_read(path) for path in people]
        self.random = np.random.default_rng(seed)
        self.size = (width, height)

    def make(self) -> Labelled:
        """The next frame."""
        kind = self.random.choice(["full", "panel", "bars", "title", "talking"], p=[0.4, 0.25, 0.1, 0.15, 0.1])
        if kind in ("title", "talking") and (kind == "title" or not self.people):
            return self._noisy(self._title())
        if kind == "talking":
            return self._noisy(self._talking())
        return self._noisy(self._slide(str(kind)))

    def _slide(self, kind: str) -> Labelled:
        width, height = self.size
        x0, y0, x1, y1 = 0, 0, width, height
        if kind == "panel":
            share = int(self.random.integers(width // 8, width // 3))
            x0, x1 = (share, width) if self.random.random() < 0.5 else (0, width - share)
        if kind == "bars" or self.random.random() < 0.15:
            y0, y1 = int(self.random.integers(10, height // 7)), height - int(self.random.integers(0, height // 8))
        image = self._background()
        image[y0:y1, x0:x1] = self._crop(x1 - x0, y1 - y0)
        boxes: list[tuple[int, Box]] = [(0, (x0, y0, x1, y1))]
        if self.random.random() < 0.45:
            self._minimap(image, (x0, y0, x1, y1))
        if self.people and self.random.random() < 0.5:
            inset = self._inset(image, (x0, y0, x1, y1) if self.random.random() < 0.7 else (0, 0, width, height))
            boxes.append((1, inset))
        for _ in range(int(self.random.integers(0, 4))):
            text = self._text(image, (x0, y0, x1, y1), int(self.random.integers(11, 26)))
            if text is not None and all(_apart(text, box) for name, box in boxes if name):
                boxes.append((2, text))
        return Labelled(image, boxes)

    def _title(self) -> Labelled:
        width, height = self.size
        image = self._background()
        boxes: list[tuple[int, Box]] = []
        for row in range(int(self.random.integers(1, 5))):
            band = (20, 30 + row * height // 5, width - 20, 30 + (row + 1) * height // 5)
            text = self._text(image, band, int(self.random.integers(16, 40)), plate=False)
            if text is not None:
                boxes.append((2, text))
        return Labelled(image, boxes)

    def _talking(self) -> Labelled:
        width, height = self.size
        image = cv2.GaussianBlur(self._background(), (0, 0), 9)
        rows = np.linspace(-30, 30, height)[:, None, None]
        image = np.clip(image + rows, 0, 255).astype(np.uint8)
        person = self.people[int(self.random.integers(len(self.people)))]
        tall = int(self.random.integers(height // 2, height + 1))
        wide = min(width, round(person.shape[1] * tall / person.shape[0]))
        x = int(self.random.integers(0, width - wide + 1))
        image[height - tall :, x : x + wide] = cv2.resize(self._varied(person), (wide, tall))
        return Labelled(image, [(1, (x, height - tall, x + wide, height))])

    def _background(self) -> Picture:
        colour = np.array(_PANELS[int(self.random.integers(len(_PANELS)))])
        shift = self.random.integers(-12, 13, 3)
        image = np.empty((self.size[1], self.size[0], 3), dtype=np.uint8)
        image[:] = np.clip(colour + shift, 0, 255)
        return image

    def _crop(self, width: int, height: int) -> Picture:
        """A random part of a random slide, turned and mirrored at random."""
        slide = _read(self.slides[int(self.random.integers(len(self.slides)))])
        slide = np.rot90(slide, int(self.random.integers(4)))
        if self.random.random() < 0.5:
            slide = slide[:, ::-1]
        zoom = float(self.random.uniform(0.3, 1.0))
        share = zoom * min(slide.shape[1] / width, slide.shape[0] / height)
        wide, tall = max(2, int(width * share)), max(2, int(height * share))
        x = int(self.random.integers(0, slide.shape[1] - wide + 1))
        y = int(self.random.integers(0, slide.shape[0] - tall + 1))
        part = np.ascontiguousarray(slide[y : y + tall, x : x + wide])
        return _tinted(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), self.random)

    def _minimap(self, image: Picture, slide: Box) -> None:
        """A small picture of a slide in a corner; it is no tissue of its own."""
        x0, y0, x1, y1 = slide
        wide = int(self.random.integers(40, 90))
        tall = min(int(wide * self.random.uniform(0.6, 1.2)), y1 - y0 - 12)
        x = x0 + 6 if self.random.random() < 0.5 else x1 - wide - 6
        y = y0 + 6 if self.random.random() < 0.5 else y1 - tall - 6
        image[y : y + tall, x : x + wide] = self._crop(wide, tall)
        cv2.rectangle(image, (x, y), (x + wide, y + tall), (40, 40, 40), 1)

    def _inset(self, image: Picture, area: Box) -> Box:
        """A presenter's inset: square, round, or cut off at the frame's edge."""
        person = self._varied(self.people[int(self.random.integers(len(self.people)))])
        tall = int(self.random.integers(self.size[1] // 8, self.size[1] // 2))
        wide = min(round(person.shape[1] * tall / person.shape[0] * self.random.uniform(0.8, 1.2)), area[2] - area[0])
        tall = min(tall, area[3] - area[1])
        x = int(self.random.integers(area[0], area[2] - wide + 1))
        y = int(self.random.integers(area[1], area[3] - tall + 1))
        mask = np.ones((tall, wide, 1), np.float32)
        if self.random.random() < 0.35:
            round_mask = np.zeros((tall, wide), np.float32)
            cv2.ellipse(round_mask, (wide // 2, tall // 2), (wide // 2, tall // 2), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
            mask = round_mask[..., None]
        part = image[y : y + tall, x : x + wide]
        part[:] = (part * (1 - mask) + cv2.resize(person, (wide, tall)) * mask).astype(np.uint8)
        if mask.min() == 1 and self.random.random() < 0.4:
            cv2.rectangle(image, (x, y), (x + wide - 1, y + tall - 1), (250, 250, 250), 1)
        return x, y, x + wide, y + tall

    def _varied(self, person: Picture) -> Picture:
        if self.random.random() < 0.5:
            person = person[:, ::-1]
        turned = cv2.getRotationMatrix2D(
            (person.shape[1] / 2, person.shape[0] / 2), float(self.random.uniform(-8, 8)), 1.1
        )
        person = cv2.warpAffine(
            np.ascontiguousarray(person), turned, (person.shape[1], person.shape[0]), borderMode=cv2.BORDER_REFLECT
        )
        return _tinted(person, self.random)

    def _text(self, image: Picture, area: Box, size: int, plate: bool = True) -> Box | None:
        """Words somewhere in an area; None where they do not fit."""
        count = int(self.random.integers(1, 4))
        words = " ".join(_WORDS[int(number)] for number in self.random.integers(len(_WORDS), size=count))
        font = ImageFont.load_default(size)
        drawing = Image.fromarray(image)
        pen = ImageDraw.Draw(drawing)
        left, top, right, bottom = (round(value) for value in pen.textbbox((0, 0), words, font=font))
        wide, tall = right - left, bottom - top
        if wide + 12 >= area[2] - area[0] or tall + 12 >= area[3] - area[1]:
            return None
        x = int(self.random.integers(area[0] + 6, area[2] - wide - 5))
        y = int(self.random.integers(area[1] + 6, area[3] - tall - 5))
        dark = image[y : y + tall, x : x + wide].mean() < 128
        colour = (255, 255, 255) if dark else (10, 10, 10)
        if plate and self.random.random() < 0.5:
            pen.rectangle((x - 4, y - 4, x + wide + 4, y + tall + 4), fill=(250, 250, 250))
            colour = (10, 10, 10)
        pen.text((x - left, y - top), words, font=font, fill=colour)
        image[:] = np.asarray(drawing)
        return x, y, x + wide, y + tall

    def _noisy(self, made: Labelled) -> Labelled:
        """The frame as a video codec would leave it."""
        quality = int(self.random.integers(45, 95))
        _, packed = cv2.imencode(".jpg", made.image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        return made._replace(image=cv2.cvtColor(cv2.imdecode(packed, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))


def write_composites(composer: Composer, count: int, folder: Path, split: str) -> None:
    """Write `count` frames in the layout that ultralytics reads: `images/<split>` and `labels/<split>`."""
    images, labels = folder / "images" / split, folder / "labels" / split
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image, boxes = composer.make()
        cv2.imwrite(str(images / f"{number:05d}.jpg"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        height, width = image.shape[:2]
        lines = [
            f"{name} {(x0 + x1) / 2 / width:.6f} {(y0 + y1) / 2 / height:.6f} "
            f"{(x1 - x0) / width:.6f} {(y1 - y0) / height:.6f}\n"
            for name, (x0, y0, x1, y1) in boxes
        ]
        (labels / f"{number:05d}.txt").write_text("".join(lines), encoding="utf-8")


def _read(path: Path) -> Picture:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"{path} cannot be read as an image")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _tinted(image: Picture, random: np.random.Generator) -> Picture:
    """A little brighter or darker, more or less coloured: scanners and cameras differ."""
    gain = random.uniform(0.9, 1.06, 3)
    return np.clip(image * gain + random.uniform(-8, 8), 0, 255).astype(np.uint8)


def _apart(a: Box, b: Box) -> bool:
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
