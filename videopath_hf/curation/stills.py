"""Where the view does not move: the moments a lecturer stops at, and the best frames to learn from.

Quilt-1M calls a frame still by the similarity of one crop with the next frame; here the speed of the view is estimated
in the whole picture, from change and gradient (brightness constancy), so that a slow drift is no still and a talking
inset or a moving pointer on a still view does not matter.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from videopath_hf.curation.transitions import block_means

Array = np.ndarray[Any, Any]
Grey = np.ndarray[Any, np.dtype[np.uint8]]

_LAG = 0.4  # seconds between the two frames that are compared
_STEP = 0.12  # seconds from one comparison to the next
_EDGES = 2.0  # mean gradient, in grey levels a pixel, without which a block cannot show motion
_FEWEST = 4  # blocks
MAX_SPEED = 0.006
"""Share of the frame's width a second, below which the view is still: compression noise reaches 0.003."""


class MotionMeter:
    """Estimates the speed of the view while frames come in.

    Args:
        fps (`float`): frames a second of the video.
    """

    def __init__(self, fps: float) -> None:
        self._lag = max(1, round(_LAG * fps))
        self._every = max(1, round(_STEP * fps))
        self._seconds = self._lag / fps
        self._seen = 0
        self._recent: deque[Array] = deque(maxlen=self._lag + 1)
        self._speeds: list[tuple[int, float]] = []  # by the earlier of two frames

    def add(self, grey: Grey) -> None:
        """Look at the next frame: uint8 [h, w], grey."""
        self._recent.append(grey)
        self._seen += 1
        if self._seen > self._lag and (self._seen - self._lag - 1) % self._every == 0:
            self._compare()

    def _compare(self) -> None:
        before, after = self._recent[0], self._recent[-1]
        self._speeds.append((self._seen - 1 - self._lag, _moved(before, after) / after.shape[1] / self._seconds))

    def finish(self) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Speed at each frame, float32 [N], as a share of the frame's width a second: that of the slowest stretch of
        0.4 s that holds the frame. It tells still from slow; fast moves are underestimated."""
        if self._seen > self._lag:
            self._compare()
        slowest = np.full(self._seen, np.inf, dtype=np.float32)
        for first, speed in self._speeds:
            stretch = slowest[first : first + self._lag + 1]
            np.minimum(stretch, speed, out=stretch)
        return slowest


def _moved(before: Grey, after: Grey) -> float:
    """Pixels by which most of the picture moved; 0 where there is nothing to see."""
    change = block_means(cv2.absdiff(before, after))
    across, down = cv2.absdiff(after[1:, 1:], after[1:, :-1]), cv2.absdiff(after[1:, 1:], after[:-1, 1:])
    edges = block_means(cv2.max(across, down))
    change = change[: edges.shape[0], : edges.shape[1]]
    clear = edges > _EDGES
    if np.count_nonzero(clear) < _FEWEST:
        return float(change.mean() / _EDGES)
    return float(np.median(change[clear] / edges[clear]))


def still_stretches(
    times: Sequence[float] | Array, motion: Array, first: int, last: int, shortest: float
) -> list[tuple[float, float]]:
    """Stretches of at least `shortest` seconds, from frame `first` up to `last`, in which the view is still."""
    still = np.concatenate([[False], motion[first:last] < MAX_SPEED, [False]])
    edges = np.flatnonzero(still[1:] != still[:-1])
    found = []
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        begin, end = float(times[first + start]), float(times[first + stop - 1])
        if end - begin >= shortest:
            found.append((round(begin, 3), round(end, 3)))
    return found
