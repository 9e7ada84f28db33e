"""The one pass over all frames of a lecture, at low resolution: cuts, colours, and how much changes."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import cv2
import numpy as np

from videopath_hf.curation.detectors import make_detector
from videopath_hf.curation.settings import SegmentSettings
from videopath_hf.curation.stills import MotionMeter
from videopath_hf.curation.tissue import Colours, colours, foreign_boxes, slide_masks
from videopath_hf.curation.transitions import Transition, TransitionFinder, join_cuts
from videopath_hf.records import Box
from videopath_hf.video.decode import Frame
from videopath_hf.video.probe import VideoInfo

_SMALL = 160  # pixels of width at which structure and motion are looked at
_FLATTEST = 20  # pixels of height: what looks at structure and motion does so in blocks
_THUMB = 8  # every 8th pixel is compared from frame to frame


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


def look_at(frames: Iterable[Frame], info: VideoInfo, settings: SegmentSettings) -> Look:
    """Look at the frames of a lecture, in order; `info` gives the rate and the full size."""
    watcher = Watcher(info, settings)
    for frame in frames:
        watcher.add(frame)
    return watcher.finish()


class Watcher:
    """Looks at every frame of a lecture, one after the other, whoever decodes them.

    Args:
        info (`VideoInfo`): the rate and the full size.
        settings (`SegmentSettings`): frames are expected at `settings.width`.

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
        self._due = 0.0
        self._before: np.ndarray[Any, Any] | None = None

    def add(self, frame: Frame) -> None:
        """Look at the next frame."""
        grey = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        self._detector.add(frame.image)
        height = max(_FLATTEST, round(_SMALL * grey.shape[0] / grey.shape[1]))
        small = cv2.resize(grey, (_SMALL, height), interpolation=cv2.INTER_AREA)
        self._transitions.add(small)
        self._motion.add(small)
        thumb = grey[::_THUMB, ::_THUMB].astype(np.int16)
        self._changes.append(0.0 if self._before is None else float(abs(thumb - self._before).mean()))
        self._before = thumb
        if frame.time >= self._due - 1e-6:
            masks = slide_masks(frame.image)
            scale = self._info.width / frame.image.shape[1]
            number = len(self._times)
            self._samples.append(Sample(number, colours(frame.image, masks), foreign_boxes(masks, scale)))
            self._due = frame.time + 1 / self._settings.sample_fps
        self._times.append(frame.time)

    def finish(self) -> Look:
        """What was seen; call it once, after the last frame."""
        cuts = self._detector.finish()
        transitions = self._transitions.finish() if self._settings.transitions else []
        return Look(
            np.array(self._times),
            np.array(self._changes, dtype=np.float32),
            join_cuts(cuts, transitions, max(1, round(self._settings.min_seconds * self._info.fps))),
            self._samples,
            transitions,
            self._motion.finish(),
        )
