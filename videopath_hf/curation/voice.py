"""Where somebody speaks, and how the spoken stretches are packed into windows for speech recognition."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from videopath_hf.curation.sound import RATE, Samples, Sound
from videopath_hf.errors import MissingExtraError

_FRAME = 512  # samples of one probability, by Silero's design
_BLOCK = 18_750 * _FRAME  # samples judged in one go: ten minutes
_PAUSE = 0.8  # seconds without voice that end a stretch; shorter ones help Whisper to tell sentences
_PAD = 0.4  # seconds kept before and after a stretch, so that no consonant is cut
_WINDOW = 28.0  # seconds: Whisper hears 30 at a time


class Stretch(NamedTuple):
    """Samples in which somebody speaks, with a little silence around."""

    start: int
    end: int


class Voice(NamedTuple):
    """The voice detector's answer: a probability for every 32 ms, and the stretches that follow from it."""

    probabilities: np.ndarray[Any, np.dtype[np.float32]]
    threshold: float
    stretches: list[Stretch]

    @property
    def seconds(self) -> float:
        """Seconds of speech."""
        return sum(stretch.end - stretch.start for stretch in self.stretches) / RATE

    def share(self, start: float, end: float) -> float:
        """Share of the time between two seconds in which there is a voice."""
        first = min(int(start * RATE / _FRAME), len(self.probabilities) - 1)
        frames = self.probabilities[max(0, first) : max(first + 1, round(end * RATE / _FRAME))]
        return float((frames >= self.threshold).mean()) if len(frames) else 0.0


class Window(NamedTuple):
    """Stretches that are heard together, one after the other without what lies between them."""

    pieces: tuple[Stretch, ...]

    def samples(self, sound: Sound) -> Samples:
        """What is heard: float32 [samples]."""
        return np.concatenate([sound.part(*piece) for piece in self.pieces])

    def halves(self) -> "list[Window]":
        """The window in two, for hearing it again."""
        middle = (len(self.pieces) + 1) // 2
        return [Window(self.pieces[:middle]), Window(self.pieces[middle:])]

    def times(self, start: float, end: float) -> tuple[float, float]:
        """Seconds of the lecture for a word heard from `start` to `end` of the window; it stays in one stretch."""
        ends = np.cumsum([piece.end - piece.start for piece in self.pieces])
        index = min(bisect_right(ends.tolist(), (start + end) / 2 * RATE), len(self.pieces) - 1)
        piece = self.pieces[index]
        shift = piece.start - (int(ends[index - 1]) if index else 0)
        first, last = (
            min(max(round(time * RATE) + shift, piece.start), piece.end) / RATE for time in (start, max(start, end))
        )
        return first, last


def find_voice(sound: Sound, threshold: float) -> Voice:
    """Find speech with Silero's voice detector, whose weights are inside its wheel.

    Args:
        threshold (`float`): probability from which 32 ms of sound are speech; 0 takes all sound for speech.

    Raises:
        MissingExtraError: silero-vad is not installed.
    """
    try:
        import torch

        threads = torch.get_num_threads()
        from silero_vad import get_speech_timestamps_from_probs, load_silero_vad

        torch.set_num_threads(threads)  # importing silero_vad sets it to 1 for the whole process
    except ImportError:
        raise MissingExtraError("silero_vad", "speech", "finding where somebody speaks") from None
    model = load_silero_vad(sequence=True)
    starts = range(0, len(sound.samples), _BLOCK)
    answers = [model.audio_forward(sound.part(start, start + _BLOCK)) for start in starts]
    probabilities = np.concatenate([np.zeros(0, np.float32), *answers])
    found = get_speech_timestamps_from_probs(
        probabilities,
        threshold=threshold,
        min_silence_duration_ms=round(_PAUSE * 1000),
        max_speech_duration_s=_WINDOW - 2 * _PAD,
        speech_pad_ms=0,
        audio_length_samples=len(sound.samples),
    )
    raw = [Stretch(int(part["start"]), int(part["end"])) for part in found]
    return Voice(probabilities, threshold, _padded(raw, len(sound.samples)))


def _padded(stretches: Sequence[Stretch], length: int) -> list[Stretch]:
    """Stretches with up to `_PAD` seconds around them, of which two neighbours share what lies between."""
    if not stretches:
        return []
    pad = round(_PAD * RATE)
    bounds = [0, *((a.end + b.start) // 2 for a, b in pairwise(stretches)), length]
    return [
        Stretch(max(stretch.start - pad, before), min(stretch.end + pad, after))
        for stretch, (before, after) in zip(stretches, pairwise(bounds), strict=True)
    ]


def pack(stretches: Sequence[Stretch]) -> list[Window]:
    """Put stretches into windows of at most 28 s, which end at the longest pause of their second half."""
    windows: list[Window] = []
    open_: list[Stretch] = []
    for stretch in stretches:
        while open_ and _length([*open_, stretch]) > _WINDOW:
            cut = _longest_pause([*open_, stretch])
            windows.append(Window(tuple(open_[:cut])))
            open_ = open_[cut:]
        open_.append(stretch)
    return [*windows, Window(tuple(open_))] if open_ else windows


def _longest_pause(pieces: Sequence[Stretch]) -> int:
    late = [cut for cut in range(1, len(pieces)) if _length(pieces[:cut]) >= _WINDOW / 2] or [len(pieces) - 1]
    return max(late, key=lambda cut: (pieces[cut].start - pieces[cut - 1].end, cut))


def _length(pieces: Sequence[Stretch]) -> float:
    return sum(piece.end - piece.start for piece in pieces) / RATE
