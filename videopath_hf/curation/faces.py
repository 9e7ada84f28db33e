"""Faces: CenterFace (MIT), whose weights come with the package.

Presenters in lectures are small, turned aside and framed in all ways. On composites of five portraits, two of them
near profile, in square and round insets over real slides, every inset of at least a sixth of the frame's height was
found in frames of 960 pixels of width; on 70 pictures of real tissue no hit at up to that width scored above 0.49.
"""

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from videopath_hf.curation.boxes import clipped, overlap
from videopath_hf.curation.networks import check_engine, engine_name, open_network
from videopath_hf.curation.settings import Engine
from videopath_hf.curation.tissue import Picture
from videopath_hf.records import Box

_MODEL = Path(__file__).with_name("models") / "centerface.onnx"
_INPUT = "input.1"
_OUTPUTS = ("537", "538", "539")  # heat map, size, offset
_STRIDE = 4  # pixels of the picture to one cell of the heat map
_MULTIPLE = 32  # sides that the network takes
_SAME = 0.3  # overlap from which two hits are one face


class Found(NamedTuple):
    """Something that a detector found: its box in the picture's pixels, how sure it is (0 to 1), and what it is."""

    box: Box
    score: float
    label: str


class Detector(Protocol):
    """Anything that finds things in RGB pictures, uint8 [H, W, 3]; `name` is part of what finished work is kept by."""

    @property
    def name(self) -> str:
        """The detector, its version or weights, and what runs it."""

    def find(self, image: Picture, width: int) -> list[Found]:
        """What is in the picture, looked for at `width` pixels of width; boxes in the picture's own pixels."""


class FaceDetector:
    """CenterFace. Hits below a score of 0.3 are left out; what a hit is worth is the caller's to say.

    Args:
        engine (`str`, defaults to `"auto"`): what runs the network.

    Raises:
        MissingExtraError: the engine is not installed.
    """

    def __init__(self, engine: Engine = "auto") -> None:
        check_engine(engine)
        self._engine: Engine = engine

    @property
    def name(self) -> str:
        """What finds the faces, and what runs it."""
        return f"centerface, {engine_name(self._engine)}"

    def find(self, image: Picture, width: int) -> list[Found]:
        """Faces in the picture, surest first."""
        scale = image.shape[1] / width
        size = (_padded(width), _padded(round(image.shape[0] / scale)))
        blob = cv2.dnn.blobFromImage(np.ascontiguousarray(image), 1.0, size)
        heat, sizes, offsets = open_network(_MODEL, self._engine).run(_OUTPUTS, {_INPUT: blob})
        hits = _decoded(heat[0, 0], sizes[0], offsets[0])
        x, y = image.shape[1] / size[0], image.shape[0] / size[1]
        kept: list[Found] = []
        for score, x0, y0, x1, y1 in sorted(hits, reverse=True):
            rounded = (round(x0 * x), round(y0 * y), round(x1 * x), round(y1 * y))
            box = clipped(rounded, (image.shape[1], image.shape[0]))
            if box[2] > box[0] and box[3] > box[1] and all(overlap(box, other.box) < _SAME for other in kept):
                kept.append(Found(box, score, "face"))
        return kept


def _padded(length: int) -> int:
    return max(_MULTIPLE, -(-length // _MULTIPLE) * _MULTIPLE)


def _decoded(
    heat: np.ndarray[Any, Any], sizes: np.ndarray[Any, Any], offsets: np.ndarray[Any, Any], least: float = 0.3
) -> list[tuple[float, float, float, float, float]]:
    """Score and box, in the network's pixels, of every cell of the heat map that is sure enough."""
    rows, columns = np.nonzero(heat > least)
    tall, wide = np.exp(sizes[0, rows, columns]) * _STRIDE, np.exp(sizes[1, rows, columns]) * _STRIDE
    x = (columns + offsets[1, rows, columns] + 0.5) * _STRIDE
    y = (rows + offsets[0, rows, columns] + 0.5) * _STRIDE
    table = np.stack([heat[rows, columns], x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2], axis=1)
    return [(float(s), float(a), float(b), float(c), float(d)) for s, a, b, c, d in table]
