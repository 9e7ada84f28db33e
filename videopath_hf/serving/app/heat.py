"""Evidence as pictures: colours over frames, and words for numbers."""

import base64
import io
import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

FOR = (223, 255, 0)
"""Colour of what speaks for an answer: a yellow-green that no common stain has."""
AGAINST = (20, 40, 200)
"""Colour of what speaks against it: a deep blue, told from the other by everybody, by its darkness too."""
LEAST_SCALE = math.log(1.5)
"""Smallest drop, in nats, that gets the full colour: where nothing matters, nothing is to look as if it did."""
_MOST_OPAQUE = 0.65
_SAME = math.log(1.05)  # nats: what changes less than that is said to change nothing


class Overlay(NamedTuple):
    """Colours to lay over a frame.

    Args:
        uri (`str`): a PNG of one pixel a region, as a data URI.
        strongest (`float`): the largest drop in it, in nats.
    """

    uri: str
    strongest: float


def overlay(rows: Sequence[Sequence[float | None]], scale: float) -> Overlay:
    """Colours for a grid of drops: the more opaque, the more the answer depends on the region.

    Args:
        rows (`Sequence[Sequence[float | None]]`): drops in nats; what was not measured stays clear.
        scale (`float`): the drop, or rise, that is most opaque.
    """
    drops = np.array([[0.0 if drop is None else drop for drop in row] for row in rows])
    pixels = np.zeros((*drops.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where(drops[..., None] >= 0, FOR, AGAINST)
    pixels[..., 3] = np.round(255 * _MOST_OPAQUE * np.clip(np.abs(drops) / scale, 0, 1))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return Overlay(f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}", float(drops.max()))


def full_scale(drops: Iterable[float | None]) -> float:
    """The drop, in nats, that gets the full colour or height among some."""
    return max([LEAST_SCALE, *(abs(drop) for drop in drops if drop is not None)])


def side(drop: float | None) -> Literal["for", "against", "same", "unmeasured"]:
    """What a part speaks for, by the drop without it."""
    if drop is None:
        return "unmeasured"
    return "same" if abs(drop) < _SAME else "for" if drop > 0 else "against"


def in_words(drop: float) -> str:
    """A fall of log-probability, in nats, as how many times less or more likely something becomes."""
    if side(drop) == "same":
        return "equally likely"
    factor = math.exp(min(abs(drop), 50))
    times = f"{factor:.1f}" if factor < 10 else f"{factor:.0f}" if factor < 1000 else "over 1000"
    return f"{times} times {'less' if drop > 0 else 'more'} likely"
