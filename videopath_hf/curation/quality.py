"""Figures of a finished clip, and whether it is worth keeping."""

from collections.abc import Sequence

import cv2
import numpy as np

from videopath_hf.curation.settings import QualitySettings
from videopath_hf.curation.tissue import Picture, colours, slide_masks
from videopath_hf.records import Sentence
from videopath_hf.video.glance import shrink


class QualityMeter:
    """Collects the figures of a clip from its refined frames."""

    def __init__(self) -> None:
        self._tissue: list[float] = []
        self._darkness: list[float] = []
        self._sharpness: list[float] = []
        self._motion: list[float] = []
        self._before: Picture | None = None

    def add(self, image: Picture) -> None:
        """See the next frame, uint8 [H, W, 3] RGB."""
        medium = _scaled(image, 640)
        small = _scaled(medium, 320)
        masks = slide_masks(small)
        seen = colours(small, masks)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        self._tissue.append(seen.tissue)
        self._darkness.append(seen.darkness)
        self._sharpness.append(float(cv2.Laplacian(cv2.cvtColor(medium, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var()))
        if self._before is not None:
            self._motion.append(float(cv2.absdiff(self._before, grey).mean()))
        self._before = grey

    def figures(self, start: float, end: float, sentences: Sequence[Sentence]) -> dict[str, float]:
        """The clip's figures: `tissue_fraction`, `sharpness` (median variance of the Laplacian), `darkness`, `motion`
        (mean change between frames in grey levels), `speech_overlap` (share of its time in which somebody speaks)."""
        return {
            "tissue_fraction": round(float(np.mean(self._tissue)), 4),
            "sharpness": round(float(np.median(self._sharpness)), 2),
            "darkness": round(float(np.mean(self._darkness)), 4),
            "motion": round(float(np.mean(self._motion)) if self._motion else 0.0, 3),
            "speech_overlap": round(speech_overlap(start, end, sentences), 4),
        }


def speech_overlap(start: float, end: float, sentences: Sequence[Sentence]) -> float:
    """Share of a stretch of time in which one of the sentences is spoken."""
    spoken, reached = 0.0, start
    for sentence in sorted(sentences, key=lambda sentence: sentence.start):
        first, last = max(sentence.start, reached), min(sentence.end, end)
        if last > first:
            spoken += last - first
            reached = last
    return spoken / (end - start) if end > start else 0.0


def fault(figures: dict[str, float], transcribed: bool, settings: QualitySettings) -> str | None:
    """Say why a clip is not worth keeping, or None if it is."""
    if figures["darkness"] > settings.max_black:
        return f"black: darkness {figures['darkness']:.2f} is above {settings.max_black}"
    if figures["tissue_fraction"] < settings.min_tissue:
        return f"no tissue left: {figures['tissue_fraction']:.3f} of the frame is below {settings.min_tissue}"
    if figures["sharpness"] < settings.min_sharpness:
        return f"blurred: sharpness {figures['sharpness']:.1f} is below {settings.min_sharpness}"
    if figures["motion"] < settings.min_motion and transcribed and figures["speech_overlap"] == 0.0:
        return f"static and silent: motion {figures['motion']:.2f} is below {settings.min_motion} and nobody speaks"
    return None


def _scaled(image: Picture, width: int) -> Picture:
    if image.shape[1] <= width:
        return image
    return shrink(image, width, max(2, round(image.shape[0] * width / image.shape[1])))
