"""Watermarks are read in the mean of frames; what stands there for a time only is none."""

from collections.abc import Sequence

import cv2
import numpy as np

from tests.curation.conftest import FakeReader, Picture, labelled, pan, plate_of, stained
from videopath_hf.curation.ocr import ReadText
from videopath_hf.curation.settings import ScreenTextSettings
from videopath_hf.curation.watermarks import Blend
from videopath_hf.records import Box, RemovedText

SETTINGS = ScreenTextSettings()
LABEL, MARK = "Case 1: colon", "PathChannel"
LABEL_BOX, MARK_BOX = plate_of(LABEL), (400, 300, 610, 340)


class Mean(FakeReader):
    """Reads what the tests paint, whatever it is shown."""

    def read(self, image: Picture, known: Sequence[ReadText] = (), side: int | None = None) -> list[ReadText]:
        return [ReadText(text=LABEL, score=0.99, box=LABEL_BOX), ReadText(text=MARK, score=0.99, box=MARK_BOX)]


def marked(image: Picture) -> Picture:
    over = image.copy()
    cv2.putText(over, MARK, (MARK_BOX[0] + 5, MARK_BOX[3] - 10), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 255, 255), 2)
    return cv2.addWeighted(image, 0.4, over, 0.6, 0)


def watermarks(seconds: int, texts: Sequence[RemovedText], labels: range) -> list[tuple[str, Box]]:
    """Of a moving picture with a watermark, and a label at some seconds."""
    blend, canvas = Blend(), stained(900, 1600)
    for second in range(seconds):
        frame = marked(pan(canvas, second, 12))
        blend.add(float(second), labelled(frame, LABEL) if second in labels else frame)
    mean = blend.mean()
    assert mean is not None and mean.shape == (360, 640, 3)
    return [(text.text, text.box) for text in blend.watermarks(mean, Mean("", (0, 0, 1, 1)), SETTINGS, texts)]


def found(text: str, box: Box, start: float, end: float) -> RemovedText:
    return RemovedText(text=text, box=box, start=start, end=end)


def test_a_watermark_read_in_some_frames_only_is_there_all_the_time_and_a_label_is_not() -> None:
    x0, y0, _, y1 = MARK_BOX
    part = (x0, y0, x0 + 120, y1)
    for seconds in (16, 40):  # stretches of time are joined
        texts = [found(LABEL, LABEL_BOX, 0.0, 5.0), found("PathCh", part, 5.0, 7.0)]
        assert watermarks(seconds, texts, range(5)) == [(MARK, MARK_BOX)]


def test_what_is_known_to_be_there_all_the_time_is_told_again_only_if_it_is_longer() -> None:
    x0, y0, x1, y1 = MARK_BOX
    label = found(LABEL, LABEL_BOX, 0.0, 8.0)
    whole, half = found(MARK, (x0 + 5, y0, x1 - 5, y1), 0.0, 8.0), found("PathCh", (x0, y0, x0 + 120, y1), 0.0, 8.0)
    assert watermarks(8, [label, whole], range(8)) == []
    assert watermarks(8, [label, half], range(8)) == [(MARK, MARK_BOX)]


def test_the_mean_of_too_few_frames_is_not_read() -> None:
    blend = Blend()
    for second in range(3):
        blend.add(float(second), stained(360, 640, seed=second))
    assert blend.mean() is None


def test_faint_letters_on_glass_stand_out_as_much_as_tissue_beside_them() -> None:
    blend = Blend()
    for second in range(4):
        frame = stained(360, 640, seed=second)
        frame[:180] = 243
        cv2.putText(frame, MARK, (300, 100), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 255, 255), 2)
        blend.add(float(second), frame)
    mean = blend.mean()
    assert mean is not None
    letters = mean[75:105, 300:500].astype(int)
    assert letters.max() - letters.min() >= 50


def test_a_panels_edge_leaves_no_halo_in_the_mean() -> None:
    frame = np.full((360, 640, 3), 200, np.uint8)
    frame[:, 480:] = 40
    blend = Blend()
    for second in range(4):
        blend.add(float(second), frame)
    mean = blend.mean()
    assert mean is not None and abs(mean.astype(int) - 128).max() <= 1
