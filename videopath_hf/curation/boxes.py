"""Upright boxes (x0, y0, x1, y1) in pixels, x1 and y1 exclusive: what is done with them everywhere."""

from collections.abc import Sequence

from videopath_hf.records import Box


def overlap(a: Box, b: Box) -> float:
    """Intersection of two boxes over their union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def covered(box: Box, by: Box) -> float:
    """Share of a box that lies in another one."""
    width, height = min(box[2], by[2]) - max(box[0], by[0]), min(box[3], by[3]) - max(box[1], by[1])
    return max(0, width) * max(0, height) / max(1, (box[2] - box[0]) * (box[3] - box[1]))


def around(boxes: Sequence[Box]) -> Box:
    """The box that holds all of `boxes`."""
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )


def shifted(box: Box, x: int, y: int) -> Box:
    """A box moved by x and y."""
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y


def clipped(box: Box, size: tuple[int, int]) -> Box:
    """The part of a box that lies in a frame of `size` (width, height)."""
    width, height = size
    return (
        min(width, max(0, box[0])),
        min(height, max(0, box[1])),
        max(0, min(width, box[2])),
        max(0, min(height, box[3])),
    )


def widened(box: Box, x: int, y: int, size: tuple[int, int]) -> Box:
    """A box with `x` and `y` pixels more on each side, as far as they lie in a frame of `size` (width, height)."""
    return clipped((box[0] - x, box[1] - y, box[2] + x, box[3] + y), size)
