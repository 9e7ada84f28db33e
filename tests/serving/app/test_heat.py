"""Evidence in colours and words: what matters is seen, and what does not matter is not made to look as if it did."""

import base64
import io
import math

import numpy as np
import pytest
from PIL import Image

from videopath_hf.serving.app.heat import AGAINST, FOR, LEAST_SCALE, full_scale, in_words, overlay, side


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_colours_tell_for_from_against_and_strong_from_weak() -> None:
    shown = overlay([[2.0, 1.0], [None, -2.0]], scale=2.0)
    image = pixels(shown.uri)
    assert image.shape == (2, 2, 4)
    assert tuple(image[0, 0, :3]) == FOR and tuple(image[1, 1, :3]) == AGAINST
    strong, weak, unmeasured, against = image[0, 0, 3], image[0, 1, 3], image[1, 0, 3], image[1, 1, 3]
    assert strong == against and abs(int(strong) - 2 * int(weak)) <= 1 and unmeasured == 0
    assert shown.strongest == 2.0


def test_small_drops_do_not_get_the_full_colour() -> None:
    assert full_scale([0.01, None, -0.02]) == LEAST_SCALE
    assert full_scale([3.0, -4.0]) == 4.0
    assert full_scale([]) == LEAST_SCALE
    assert pixels(overlay([[0.01]], full_scale([0.01])).uri)[0, 0, 3] < 5


@pytest.mark.parametrize(
    ("drop", "words", "speaks"),
    [
        (math.log(3.2), "3.2 times less likely", "for"),
        (-math.log(3.2), "3.2 times more likely", "against"),
        (math.log(45.4), "45 times less likely", "for"),
        (20.0, "over 1000 times less likely", "for"),
        (1e6, "over 1000 times less likely", "for"),
        (0.04, "equally likely", "same"),
        (-0.04, "equally likely", "same"),
    ],
)
def test_nats_are_said_in_words(drop: float, words: str, speaks: str) -> None:
    assert in_words(drop) == words
    assert side(drop) == speaks
