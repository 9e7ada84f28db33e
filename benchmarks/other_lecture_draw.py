"""What the lectures of `other_lecture.py` are drawn with: slides under a camera, a viewer, a presenter, words."""

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from other_lecture_plan import Box, Person, Style, View, Words
from PIL import Image, ImageDraw, ImageFont

Picture = np.ndarray[Any, np.dtype[np.uint8]]

_GLASS = (243, 242, 244)
_LOOKS: dict[str, tuple[tuple[int, ...], tuple[int, ...] | None]] = {  # letters, plate
    "plate": ((20, 20, 20), (255, 255, 255, 255)),
    "dark": ((250, 250, 250), (15, 15, 15, 190)),
    "bare": ((255, 240, 60), None),
    "faint": ((255, 255, 255, 190), None),
}


class Slide:
    """A slide's crops at several downsamples, as a viewer's pyramid.

    Args:
        tissue (`Path`): folder of slide crops.
        case (`dict`): the slide's entry in `labels.json`.
        dab (`bool`): show its eosin in the brown of DAB, as an immunohistochemical stain.
    """

    def __init__(self, tissue: Path, case: dict[str, Any], dab: bool) -> None:
        entries = sorted(case["images"], key=lambda entry: -entry["downsample"])
        self.size: tuple[int, int] = tuple(case["slide_size"])
        self._crops = [(entry, _stained(tissue / entry["file"], dab)) for entry in entries]

    def seen(self, view: View, size: tuple[int, int]) -> Picture:
        """The slide in a window of `size` (width, height)."""
        image: Picture = np.full((size[1], size[0], 3), _GLASS, dtype=np.uint8)
        for entry, crop in self._crops:
            scale = entry["downsample"] / view.downsample
            if scale > 40:
                continue
            x = size[0] / 2 + (entry["x"] - view.x) / view.downsample
            y = size[1] / 2 + (entry["y"] - view.y) / view.downsample
            matrix = np.array([[scale, 0, x], [0, scale, y]])
            if scale < 0.25 and entry["downsample"] < self._crops[0][0]["downsample"]:
                break  # the coarser picture is sharp enough
            flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            cv2.warpAffine(crop, matrix, size, image, flags, cv2.BORDER_TRANSPARENT)
        return image

    def small(self, size: tuple[int, int]) -> Picture:
        """All of it, as a thumbnail."""
        return cv2.resize(self._crops[0][1], size, interpolation=cv2.INTER_AREA).astype(np.uint8)

    def detail(self, size: tuple[int, int]) -> Picture:
        """A piece of it, as a picture on a page."""
        crop = self._crops[1][1]
        width = min(crop.shape[1], round(crop.shape[0] * size[0] / size[1]))
        height = min(crop.shape[0], round(width * size[1] / size[0]))
        return cv2.resize(crop[:height, :width], size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def _stained(path: Path, dab: bool) -> Picture:
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    if dab:
        from skimage.color import hed2rgb, rgb2hed

        stains = rgb2hed(image)
        stains[..., 2] = 2.5 * stains[..., 1]
        stains[..., 1] = 0
        image = (hed2rgb(stains) * 255).round()
    return image.astype(np.uint8)


def between(views: tuple[View, ...], at: float) -> View:
    """The camera's view; it starts and stops gently and zooms by equal factors."""
    after = next((number for number, view in enumerate(views) if view.at > at), None)
    if not after:
        return views[-1] if after is None else views[0]
    a, b = views[after - 1], views[after]
    share = (at - a.at) / (b.at - a.at)
    share = share * share * (3 - 2 * share)
    zoom = a.downsample * (b.downsample / a.downsample) ** share
    # What the camera moves towards stays in its place on the screen while it zooms.
    gone = share if a.downsample == b.downsample else (zoom - a.downsample) / (b.downsample - a.downsample)
    return View(at, a.x + gone * (b.x - a.x), a.y + gone * (b.y - a.y), zoom)


@cache
def viewer(style: Style) -> Picture:
    """What is around the slide: panels with buttons and lines of a list."""
    width, height = style.size
    image = np.full((height, width, 3), style.panel, dtype=np.uint8)
    left, top, _, _ = style.view
    light = sum(style.panel) > 300
    line, button = ((205, 207, 212), (90, 120, 180)) if light else ((52, 54, 60), (70, 90, 130))
    if left > 100:
        for y in range(top + 20, height - 60, 60):
            cv2.rectangle(image, (16, y), (left - 16, y + 40), line, -1)
    if 0 < top < 100:
        for x in range(12, width - 40, 56):
            cv2.rectangle(image, (x, 8), (x + 34, top - 8), button, -1)
        cv2.line(image, (0, top - 1), (width, top - 1), line, 1)
    return image


def wall(size: tuple[int, int], seed: int) -> Picture:
    """A room's wall, darker towards one side, with a window or shelf."""
    rng = np.random.default_rng(seed)
    width, height = size
    colour = np.array(rng.choice([(196, 178, 150), (120, 132, 146), (88, 70, 58), (172, 186, 178)]), dtype=np.float32)
    shade = np.linspace(0.75, 1.1, width, dtype=np.float32)[None, :, None]
    image = np.clip(np.broadcast_to(colour * shade, (height, width, 3)), 0, 255).astype(np.uint8)
    x = int(rng.integers(0, width // 3))
    for number in range(4):
        y = height // 8 + number * height // 6
        cv2.rectangle(
            image, (x, y), (x + width // 4, y + height // 9), tuple((colour * (0.5 + 0.1 * number)).tolist()), -1
        )
    noise = rng.normal(0, 3, (height, width, 1))
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def place(image: Picture, portrait: Picture, person: Person, at: float) -> None:
    """Draw the presenter, who moves a little, into a picture."""
    x0, y0, x1, y1 = person.box
    width, height = x1 - x0, y1 - y0
    side = portrait.shape[0]
    if person.shape == "full":  # all of the portrait's height
        part = portrait[:, max(0, (side - round(side * width / height)) // 2) :][:, : round(side * width / height)]
    else:
        part = portrait[: round(0.6 * side), round(0.14 * side) : round(0.74 * side)]
    sway = np.array([[1, 0, 2.5 * np.sin(1.7 * at)], [0, 1, 1.5 * np.sin(2.3 * at)]])
    shown = cv2.warpAffine(cv2.resize(part, (width, height)), sway, (width, height), borderMode=cv2.BORDER_REPLICATE)
    if person.shape == "round":
        mask = np.zeros((height, width), np.uint8)
        cv2.circle(mask, (width // 2, height // 2), min(width, height) // 2 - 1, 255, -1, cv2.LINE_AA)
        share = mask[..., None].astype(np.float32) / 255
        image[y0:y1, x0:x1] = (shown * share + image[y0:y1, x0:x1] * (1 - share)).astype(np.uint8)
        cv2.circle(
            image, (x0 + width // 2, y0 + height // 2), min(width, height) // 2 - 2, (250, 250, 250), 3, cv2.LINE_AA
        )
        return
    image[y0:y1, x0:x1] = shown
    if person.shape == "framed":
        cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), (245, 245, 245), 2)


def written(image: Picture, shown: list[Words], ink: tuple[int, int, int]) -> Picture:
    """A picture with words on it."""
    if not shown:
        return image
    page = Image.fromarray(image)
    draw = ImageDraw.Draw(page, "RGBA")
    for words in shown:
        colour, plate = _LOOKS.get(words.look, (ink, None))
        if plate is not None:
            x0, y0, x1, y1 = box_of(words)
            draw.rectangle((x0 - 9, y0 - 7, x1 + 9, y1 + 7), plate, (40, 40, 40) if words.look == "plate" else None)
        edge = {"stroke_width": 2, "stroke_fill": (0, 0, 0)} if words.look == "bare" else {}
        draw.text((words.x, words.y), words.text, colour, _font(words.size), anchor=_anchor(words), **edge)
    return np.array(page)


def box_of(words: Words) -> Box:
    """The box around the letters."""
    draw = ImageDraw.Draw(Image.new("RGB", (8, 8)))
    x0, y0, x1, y1 = draw.textbbox((words.x, words.y), words.text, _font(words.size), anchor=_anchor(words))
    return round(x0), round(y0), round(x1), round(y1)


def _anchor(words: Words) -> str | None:
    return "mm" if words.centred else None


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans-Bold.ttf", size)
