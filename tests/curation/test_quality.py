import cv2
import numpy as np
import pytest

from tests.curation.conftest import Picture, pan, stained
from videopath_hf.curation.quality import QualityMeter, fault, speech_overlap
from videopath_hf.curation.settings import QualitySettings
from videopath_hf.records import Sentence


def figures(frames: list[Picture], said: list[Sentence] | None = None) -> dict[str, float]:
    meter = QualityMeter()
    for frame in frames:
        meter.add(frame)
    return meter.figures(0.0, 4.0, said or [])


def test_moving_tissue_is_kept() -> None:
    canvas = stained(600, 1000)
    assert fault(figures([pan(canvas, number, 8) for number in range(8)]), True, QualitySettings()) is None


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (np.zeros((360, 640, 3), dtype=np.uint8), "black"),
        (np.full((360, 640, 3), 243, dtype=np.uint8), "no tissue left"),
        (cv2.GaussianBlur(stained(360, 640), (0, 0), 25), "blurred"),
    ],
)
def test_black_empty_and_blurred_clips_are_dropped_with_the_figure(frame: Picture, reason: str) -> None:
    why = fault(figures([frame, frame]), False, QualitySettings())
    assert why is not None and why.startswith(reason)
    assert "above" in why or "below" in why


def test_a_static_clip_is_dropped_only_where_there_is_a_transcript_and_nobody_speaks() -> None:
    still = [stained(360, 640)] * 4
    spoken = [Sentence(start=1, end=2, text="x")]
    assert "static" in str(fault(figures(still), True, QualitySettings()))
    assert fault(figures(still), False, QualitySettings()) is None
    assert fault(figures(still, spoken), True, QualitySettings()) is None


def test_speech_that_overlaps_itself_is_counted_once() -> None:
    said = [
        Sentence(start=0, end=2, text="a"),
        Sentence(start=1, end=3, text="b"),
        Sentence(start=9, end=12, text="c"),
    ]
    assert speech_overlap(0, 10, said) == pytest.approx(0.4)
    assert speech_overlap(5, 5, said) == 0
