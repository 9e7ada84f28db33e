"""Synthetic lecture frames: words drawn over tissue, with the box of every word. Nothing is downloaded."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from videopath_hf.errors import UserError

Picture = np.ndarray[Any, np.dtype[np.uint8]]

FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral",
         "STIXGeneralBol", "STIXGeneralItalic", "cmss10", "cmr10")  # fmt: skip
_WORDS = (
    "case", "diagnosis", "colon", "biopsy", "duodenal", "crypt", "hyperplasia", "lamina", "propria", "plasma",
    "cells", "celiac", "disease", "pigment", "brown", "melanosis", "mucosa", "normal", "tumor", "stroma",
    "gland", "villous", "blunting", "high", "power", "low", "magnification", "lymphocytes", "epithelium",
    "slide", "stain", "H&E", "IHC", "CD3", "Ki-67", "p53", "scale", "bar", "100", "200", "500", "um", "mm",
    "10x", "20x", "40x", "2024", "university", "pathology", "department", "lecture", "www", "channel",
    "subscribe", "figure", "A", "B", "C", "arrow", "note", "the", "and", "of", "in", "with", "chronic",
    "inflammation", "grade", "invasion", "margin",
)  # fmt: skip
_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}


class Sample(NamedTuple):
    """A frame, uint8 [side, side, 3] RGB, and the boxes of its words, float32 [N, 4], relative (x0, y0, x1, y1)."""

    image: Picture
    boxes: np.ndarray[Any, np.dtype[np.float32]]


def tissue_pictures(folder: Path | None) -> list[Picture]:
    """Slide pictures to draw on: the user's, or the one that scikit-image's wheel carries (IHC, and recoloured).

    Raises:
        UserError: the folder holds no picture.
    """
    if folder is None:
        ihc = data.immunohistochemistry()
        pink = 255 - (255 - ihc[:, :, ::-1].astype(np.float32)) * np.array([0.45, 1.0, 0.5], np.float32)
        return [ihc, np.clip(pink, 0, 255).astype(np.uint8)]
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise UserError(f"--images {folder} holds no picture ({', '.join(sorted(_SUFFIXES))})")
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def samples(pictures: Sequence[Picture], side: int, seed: int) -> Iterator[Sample]:
    """Endless frames of `side` pixels, each with one to five lines of text."""
    rng = np.random.default_rng(seed)
    while True:
        image = Image.fromarray(_tissue(pictures[rng.integers(len(pictures))], side, rng))
        boxes: list[tuple[float, float, float, float]] = []
        taken = np.zeros((side, side), dtype=bool)
        for _ in range(rng.integers(2, 6)):
            boxes += _draw_line(image, taken, rng)
        if boxes:
            yield Sample(_blurred(np.asarray(image), rng), np.asarray(boxes, dtype=np.float32) / side)


def _tissue(picture: Picture, side: int, rng: np.random.Generator) -> Picture:
    """A crop at any magnification, turned, in a slightly different stain; sometimes plain glass or a plain slide."""
    if rng.random() < 0.12:
        return np.full((side, side, 3), rng.integers(0, 256, 3), dtype=np.uint8)
    size = int(rng.integers(min(96, *picture.shape[:2]), min(picture.shape[:2]) + 1))
    y, x = (int(rng.integers(0, limit - size + 1)) for limit in picture.shape[:2])
    crop = cv2.resize(picture[y : y + size, x : x + size], (side, side), interpolation=cv2.INTER_AREA)
    crop = np.rot90(crop, rng.integers(4)).astype(np.float32)
    crop = 255 - (255 - crop) * rng.uniform(0.6, 1.3, 3)
    return np.ascontiguousarray(np.clip(crop, 0, 255).astype(np.uint8))


def _draw_line(
    image: Image.Image, taken: np.ndarray[Any, Any], rng: np.random.Generator
) -> list[tuple[float, float, float, float]]:
    """Draw a line of words where there is room and return their boxes in pixels."""
    side = image.width
    font = _font(str(rng.choice(FONTS)), int(rng.integers(9, 36)))
    words = [_word(rng) for _ in range(rng.integers(1, 5))]
    gap = font.getlength(" ") * rng.uniform(0.9, 1.6)
    widths = [font.getlength(word) for word in words]
    while words and sum(widths) + gap * (len(words) - 1) > side - 16:
        words.pop()
        widths.pop()
    if not words:
        return []
    total, height = sum(widths) + gap * (len(words) - 1), int(font.size * 1.3)
    x, y = rng.uniform(8, side - 8 - total), float(rng.integers(4, side - height - 4))
    area = (slice(int(y) - 4, int(y) + height + 4), slice(int(x) - 8, int(x + total) + 8))
    if taken[area].any():
        return []
    taken[area] = True
    ink, outline = _dress(image, (x, y, x + total, y + height), rng)
    layer = image.copy()
    draw = ImageDraw.Draw(layer)
    boxes = []
    for word, width in zip(words, widths, strict=True):
        draw.text((x, y), word, font=font, fill=ink, stroke_width=int(outline is not None), stroke_fill=outline)
        boxes.append(draw.textbbox((x, y), word, font=font))
        x += width + gap
    opacity = 1.0 if rng.random() < 0.8 else rng.uniform(0.55, 0.9)
    image.paste(Image.blend(image, layer, opacity))
    return [tuple(float(min(max(value, 0), side)) for value in box) for box in boxes]  # type: ignore[misc]


def _dress(
    image: Image.Image, box: tuple[float, float, float, float], rng: np.random.Generator
) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Draw a plate below most lines; returns the colours of ink and, for some bare letters, their outline."""
    dark, light = tuple(rng.integers(0, 70, 3).tolist()), tuple(rng.integers(190, 256, 3).tolist())
    ink, paper = (dark, light) if rng.random() < 0.5 else (light, dark)
    if rng.random() < 0.15:
        ink = tuple(rng.permutation([255, int(rng.integers(0, 256)), 0]).tolist())
    x0, y0, x1, y1 = box
    if rng.random() < 0.55:
        pad = rng.uniform(3, 9)
        plate = image.copy()
        edge = ink if rng.random() < 0.5 else None
        ImageDraw.Draw(plate).rectangle((x0 - pad, y0 - pad, x1 + pad, y1 + pad), fill=paper, outline=edge)
        image.paste(Image.blend(image, plate, 1.0 if rng.random() < 0.7 else rng.uniform(0.5, 0.9)))
        return ink, None
    crop = np.asarray(image.crop(tuple(int(value) for value in box)).convert("L"))
    ink, paper = (dark, light) if crop.mean() > 128 else (light, dark)
    return ink, paper if rng.random() < 0.5 else None


def _blurred(image: Picture, rng: np.random.Generator) -> Picture:
    """What scaling and compression do to a frame."""
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.8))
    _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 96))])
    return cv2.imdecode(packed, cv2.IMREAD_COLOR)


def _word(rng: np.random.Generator) -> str:
    word = str(rng.choice(_WORDS))
    return {0: word, 1: word.capitalize(), 2: word.upper(), 3: f"{word}:"}[int(rng.integers(4))]


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), size)
