"""Which pixels can be stained tissue on a slide, by colour alone.

Light that passes a stained slide is absorbed by its stains, so a pixel's optical density points in the direction of a
stain or of a mixture (Ruifrok and Johnston 2001). Haematoxylin and eosin absorb green most; DAB absorbs blue most, but
red too, which separates its brown from the orange of a suit or a chair. Black, grey, green and pure yellow are no
colours of these stains. Skin and wood can look like DAB: that is what the face detector is for.
"""

from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np

from videopath_hf.records import Box

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Picture = np.ndarray[Any, np.dtype[np.uint8]]

_STAINED = 0.12  # optical density, summed over the channels; below it a pixel is glass
_GLASS_LUMA = 0.30  # summed optical density up to which a colourless pixel is glass rather than something grey
_FLAT = 2  # grey levels from one pixel to the next in a painted, possibly graded background
_SMALLEST_INSET = 0.05  # width and height of an inset as a share of the frame width
_LARGEST_INSET = 0.7  # what spans more than this share of the frame is no inset
_STAIN, _GLASS, _FOREIGN = range(3)
_NEUTRAL = 0.07  # spread of the channels' shares below which a pixel has no colour


class SlideMasks(NamedTuple):
    """Boolean [H, W] masks: `stain` (H&E or DAB colours), `glass` (bright background), and `foreign` (neither)."""

    stain: Mask
    glass: Mask
    foreign: Mask


class Colours(NamedTuple):
    """What a frame's colours say, each a share of the frame from 0 to 1.

    `tissue` is stain that remains after opening, so that thin coloured letters do not count; `slide` is stain and
    glass together; `plain` is what is neither glass nor textured: a painted background; `darkness` is 1 for black.
    """

    tissue: float
    slide: float
    plain: float
    darkness: float


def slide_masks(image: Picture) -> SlideMasks:
    """Tell stain, glass and everything else apart in an RGB picture, uint8 [H, W, 3], to four grey levels."""
    red, green, blue = (channel >> 2 for channel in cv2.split(image))
    numbers = (red.astype(np.int32) << 12) | (green.astype(np.int32) << 6) | blue
    known = _colour_table()[numbers]
    return SlideMasks(known == _STAIN, known == _GLASS, known == _FOREIGN)


@cache
def _colour_table() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """What each colour is, of 64 levels a channel: `_classify` takes ten times as long as looking it up."""
    levels = (np.arange(64) * 4 + 2).astype(np.uint8)
    every = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    return _classify(every.reshape(1, -1, 3)).ravel()


def _classify(image: Picture) -> np.ndarray[Any, np.dtype[np.uint8]]:
    density = _density(image)
    total = density.sum(axis=2)
    red, green, blue = np.moveaxis(density / np.maximum(total, 1e-6)[..., None], 2, 0)
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    he = (green >= red - 0.06) & (green >= blue) & (green >= 0.34) & (blue <= 0.45)
    haematoxylin = (red >= green) & (green >= blue) & (red <= 0.56) & (green >= 0.30)
    dab = (blue >= green) & (green >= red) & (red >= 0.10) & (blue <= 0.60)
    coloured = (spread >= _NEUTRAL) & (total > _STAINED)
    stain = coloured & (he | haematoxylin | dab)
    glass = ~stain & ((total <= _STAINED) | ((total <= _GLASS_LUMA) & (spread < 0.25)))
    return np.select([stain, glass], [_STAIN, _GLASS], _FOREIGN).astype(np.uint8)


def _density(image: Picture) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Optical density of each channel against the white of a slide scan, never below 0."""
    table = -np.log10((np.arange(256, dtype=np.float32) + 1.0) / 244.0)
    return np.maximum(table, 0.0).astype(np.float32)[image]


def opened(mask: Mask) -> Picture:
    """A boolean mask [H, W], as uint8 of 0 and 1, without what is thinner than 3 pixels."""
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))


def colours(image: Picture, masks: SlideMasks) -> Colours:
    """Measure a frame that was scaled down to some 320 pixels of width: uint8 [H, W, 3] RGB, and its masks."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.int16)
    step = np.maximum(abs(np.diff(grey, axis=0, append=grey[-1:])), abs(np.diff(grey, axis=1, append=grey[:, -1:])))
    return Colours(
        tissue=float(opened(masks.stain).mean()),
        slide=float((masks.stain | masks.glass).mean()),
        plain=float(((step <= _FLAT) & ~masks.glass).mean()),
        darkness=1.0 - float(image.mean()) / 255.0,
    )


def foreign_boxes(masks: SlideMasks, scale: float) -> list[Box]:
    """Boxes, in pixels of the full picture, of what lies on a slide and is no slide, if it can be a presenter's inset.

    Args:
        masks (`SlideMasks`): of the picture, scaled down.
        scale (`float`): full width by scaled width.
    """
    height, width = masks.foreign.shape
    foreign = masks.foreign.astype(np.uint8)
    foreign = cv2.morphologyEx(foreign, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    reach = max(3, width // 40)
    joined = cv2.morphologyEx(foreign, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined)
    smallest = _SMALLEST_INSET * width
    return [
        (round(x * scale), round(y * scale), round((x + w) * scale), round((y + h) * scale))
        for x, y, w, h, _ in stats[1:count].tolist()
        if w >= smallest and h >= smallest and max(w / width, h / height) < _LARGEST_INSET
    ]


def glass_colour(image: Picture) -> tuple[int, int, int] | None:
    """The colour of a picture's bright background, or None where hardly any is seen."""
    glass = image[slide_masks(image).glass]
    if len(glass) < 0.01 * image.shape[0] * image.shape[1]:
        return None
    brightness = glass.sum(axis=1, dtype=np.int32)
    red, green, blue = np.median(
        glass[brightness >= np.quantile(brightness, 0.75)], axis=0
    )  # without pale, stained pixels
    return int(red), int(green), int(blue)
