"""The one pass over all frames of a lecture, at low resolution: cuts, colours, and how much changes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from scenedetect import AdaptiveDetector, ContentDetector, FrameTimecode, SceneDetector

from videopath_hf.curation.settings import SegmentSettings
from videopath_hf.curation.tissue import Colours, colours, foreign_boxes, slide_masks
from videopath_hf.records import Box
from videopath_hf.video.decode import Frame, iter_frames
from videopath_hf.video.probe import VideoInfo

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
    """

    times: np.ndarray[Any, np.dtype[np.float64]]
    changes: np.ndarray[Any, np.dtype[np.float32]]
    cuts: list[int]
    samples: list[Sample]


def look(path: Path, info: VideoInfo, settings: SegmentSettings) -> Look:
    """Decode a lecture once and look at it.

    Raises:
        VideoError: a part of the file does not decode.
    """
    return look_at(iter_frames(path, width=settings.width), info, settings)


def look_at(frames: Iterable[Frame], info: VideoInfo, settings: SegmentSettings) -> Look:
    """The same for frames that come from anywhere; `info` gives the rate and the full size."""
    detector = _detector(settings, info.fps)
    times: list[float] = []
    changes: list[float] = []
    cuts: list[int] = []
    samples: list[Sample] = []
    due = 0.0
    before: np.ndarray[Any, Any] | None = None
    for number, frame in enumerate(frames):
        timecode = FrameTimecode(number, info.fps)
        cuts += [
            cut.frame_num for cut in detector.process_frame(timecode, cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
        ]
        thumb = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)[::_THUMB, ::_THUMB].astype(np.int16)
        changes.append(0.0 if before is None else float(abs(thumb - before).mean()))
        before = thumb
        if frame.time >= due - 1e-6:
            masks = slide_masks(frame.image)
            scale = info.width / frame.image.shape[1]
            samples.append(Sample(number, colours(frame.image, masks), foreign_boxes(masks, scale)))
            due = frame.time + 1 / settings.sample_fps
        times.append(frame.time)
    cuts += [cut.frame_num for cut in detector.post_process(FrameTimecode(max(0, len(times) - 1), info.fps))]
    return Look(np.array(times), np.array(changes, dtype=np.float32), sorted(set(cuts)), samples)


def _detector(settings: SegmentSettings, fps: float) -> SceneDetector:
    shortest = max(1, round(settings.min_seconds * fps))
    if settings.detector == "adaptive":
        return AdaptiveDetector(adaptive_threshold=settings.threshold or 3.0, min_scene_len=shortest)
    return ContentDetector(threshold=settings.threshold or 27.0, min_scene_len=shortest)
