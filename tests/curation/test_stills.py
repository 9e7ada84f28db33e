import cv2
import numpy as np
import pytest

from tests.curation.conftest import Picture, stained, with_inset
from videopath_hf.curation.stills import MotionMeter, still_stretches

FPS = 25.0
SLIDE = stained(720, 1600, seed=5)


def motion(frames: list[Picture]) -> np.ndarray:
    meter = MotionMeter(FPS)
    for frame in frames:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        meter.add(cv2.resize(grey, (160, 90), interpolation=cv2.INTER_AREA).astype(np.uint8))
    return meter.finish()


def view(x: float) -> Picture:
    matrix = np.array([[1.0, 0, -x], [0, 1.0, -100]])
    return cv2.warpAffine(SLIDE, matrix, (640, 360), flags=cv2.INTER_LINEAR).astype(np.uint8)


def stills(frames: list[Picture], shortest: float = 1.0) -> list[tuple[float, float]]:
    times = np.arange(len(frames)) / FPS
    return still_stretches(times, motion(frames), 0, len(frames), shortest)


def test_a_stop_between_two_moves_is_found_with_its_times() -> None:
    path = [*range(0, 200, 4), *[200] * 60, *range(200, 400, 4)]
    [(start, end)] = stills([view(x) for x in path])
    assert start == pytest.approx(2.0, abs=0.2)
    assert end == pytest.approx(2.0 + 60 / FPS, abs=0.2)


def test_a_stop_shorter_than_asked_is_left_out() -> None:
    path = [*range(0, 200, 4), *[200] * 40, *range(200, 400, 4)]
    assert stills([view(x) for x in path], shortest=2.0) == []


def test_a_slow_drift_is_not_still() -> None:
    assert stills([view(0.4 * n) for n in range(100)]) == []


def test_noise_a_pointer_and_a_talking_inset_do_not_end_a_still() -> None:
    frames = []
    for n in range(75):
        image, _ = with_inset(view(100), (440, 200), 130 + 4 * (n % 3))
        cv2.circle(image, (100 + 4 * n, 150), 7, (0, 0, 0), -1)
        noise = np.random.default_rng(n).normal(0, 3, image.shape)
        frames.append(np.clip(image + noise, 0, 255).astype(np.uint8))
    [(start, end)] = stills(frames)
    assert start == 0
    assert end == pytest.approx(74 / FPS)


def test_a_slow_speed_is_a_share_of_the_width_a_second() -> None:
    speeds = motion([view(0.2 * n) for n in range(50)])
    assert np.median(speeds) == pytest.approx(0.2 * FPS / 640, rel=0.4)


def test_every_frame_has_a_speed_even_in_a_video_of_one() -> None:
    for count in (1, 2, 9, 10, 11, 12, 30):
        assert motion([view(0)] * count).shape == (count,)
