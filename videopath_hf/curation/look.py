"""The one pass over all frames of a lecture, at low resolution: cuts, colours, and how much changes."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import cv2
import numpy as np

from videopath_hf.curation.detectors import SceneDetectCuts, make_detector
from videopath_hf.curation.settings import SegmentSettings
from videopath_hf.curation.stills import MotionMeter
from videopath_hf.curation.tissue import Colours, Picture, colours, foreign_boxes, slide_masks
from videopath_hf.curation.transitions import Transition, TransitionFinder, join_cuts
from videopath_hf.records import Box
from videopath_hf.video.probe import VideoInfo

SMALL = 160
"""Pixels of width at which every frame is looked at, for cuts, structure and motion."""

_LEAST_CHANGE = 3.0  # mean grey levels of a cut; of 93 the least changes 20, hues that a keyframe shifts 2
_FLATTEST = 20  # pixels of height: what looks at structure and motion does so in blocks


class View(NamedTuple):
    """A frame to look at: its time, a picture of it of `small_size`, and, where `due_frames` says, one of
    `settings.width`."""

    time: float
    small: Picture
    detail: Picture | None


def due_frames(times: Iterable[float], sample_fps: float) -> list[bool]:
    """Which frames, at these seconds, are looked at in colour: the first, and each of `1 / sample_fps` s after one."""
    due, next_one = [], 0.0
    for time in times:
        due.append(time >= next_one - 1e-6)
        if due[-1]:
            next_one = time + 1 / sample_fps
    return due


def small_size(width: int, height: int) -> tuple[int, int]:
    """Width and height, both even, of the small picture of a frame of another size."""
    return SMALL, max(_FLATTEST, 2 * round(SMALL * height / width / 2))


class Sample(NamedTuple):
    """A frame whose colours were measured; `foreign` are boxes, in the video's pixels, that are no part of a slide."""

    frame: int
    colours: Colours
    foreign: list[Box]


class Look(NamedTuple):
    """What the pass saw.

    Args:
        times (`np.ndarray`): float64 [N], seconds of every frame.
        changes (`np.ndarray`): float32 [N], mean grey levels by which a frame differs from the one before it.
        cuts (`list[int]`): frames that start a new shot.
        samples (`list[Sample]`): measured frames, in order.
        transitions (`list[Transition]`): dissolves, fades and jumps, in order.
        motion (`np.ndarray`): float32 [N], share of the frame's width by which the view moves in a second.
    """

    times: np.ndarray[Any, np.dtype[np.float64]]
    changes: np.ndarray[Any, np.dtype[np.float32]]
    cuts: list[int]
    samples: list[Sample]
    transitions: list[Transition]
    motion: np.ndarray[Any, np.dtype[np.float32]]


def look_at(views: Iterable[View], info: VideoInfo, settings: SegmentSettings) -> Look:
    """Look at the frames of a lecture, in order; `info` gives the rate and the full size."""
    watcher = Watcher(info, settings)
    for view in views:
        watcher.add(view)
    return watcher.finish()


class Watcher:
    """Looks at every frame of a lecture, one after the other, whoever decodes them.

    Args:
        info (`VideoInfo`): the rate and the full size.
        settings (`SegmentSettings`): the detector.

    Raises:
        MissingExtraError, UserError: the detector cannot be used here.
    """

    def __init__(self, info: VideoInfo, settings: SegmentSettings) -> None:
        self._info = info
        self._settings = settings
        self._detector = make_detector(settings, info.fps)
        self._transitions = TransitionFinder(info.fps)
        self._motion = MotionMeter(info.fps)
        self._times: list[float] = []
        self._changes: list[float] = []
        self._samples: list[Sample] = []
        self._before: np.ndarray[Any, Any] | None = None

    def add(self, view: View) -> None:
        """Look at the next frame."""
        self._detector.add(view.small)
        grey = cv2.cvtColor(view.small, cv2.COLOR_RGB2GRAY)
        self._transitions.add(grey)
        self._motion.add(grey)
        self._changes.append(0.0 if self._before is None else cv2.norm(grey, self._before, cv2.NORM_L1) / grey.size)
        self._before = grey
        if view.detail is not None:
            image = view.detail
            masks = slide_masks(image)
            scale = self._info.width / image.shape[1]
            self._samples.append(Sample(len(self._times), colours(image, masks), foreign_boxes(masks, scale)))
        self._times.append(view.time)

    def finish(self) -> Look:
        """What was seen; call it once, after the last frame."""
        cuts = self._detector.finish()
        if self._settings.transitions and isinstance(self._detector, SceneDetectCuts):  # it goes by colours alone
            cuts = [cut for cut in cuts if max(self._changes[max(0, cut - 1) : cut + 2]) >= _LEAST_CHANGE]
        transitions = self._transitions.finish() if self._settings.transitions else []
        return Look(
            np.array(self._times),
            np.array(self._changes, dtype=np.float32),
            join_cuts(cuts, transitions, max(1, round(self._settings.min_seconds * self._info.fps))),
            self._samples,
            transitions,
            self._motion.finish(),
        )
