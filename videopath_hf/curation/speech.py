"""Speech to text by openai-whisper, from a model file that is on disk."""

import importlib.util
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from videopath_hf.records import Sentence

_RATE = 16_000  # Hz: what Whisper hears
_LONGEST_WORD = 1.0  # seconds: Whisper counts a pause as part of the word after it
_SILENCE = 0.6  # Whisper's own threshold on no_speech_prob


def find_whisper(model: str) -> Path | str:
    """Find a Whisper model on disk: its path, or one clause that says what is missing."""
    if importlib.util.find_spec("whisper") is None:
        return "openai-whisper is not installed (pip install 'videopath-hf[whisper]')"
    if model.endswith(".pt") or os.sep in model:
        path = Path(model).expanduser()
        return path if path.is_file() else f"the Whisper model file {path} does not exist"
    import whisper

    if model not in whisper.available_models():
        return f"{model!r} is neither a .pt file nor one of the Whisper models {', '.join(whisper.available_models())}"
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "whisper"
    path = cache / f"{model}.pt" if model != "large" else cache / "large-v3.pt"
    if path.is_file():
        return path
    fetch = f"python -c \"import whisper; whisper.load_model('{model}')\""
    return f"the Whisper model {model!r} is not on disk (fetch it with: {fetch})"


def speech_to_text(path: Path, model: Path, language: str | None) -> list[Sentence]:
    """Transcribe a video's sound; what Whisper itself takes for silence is left out.

    Returns:
        `list[Sentence]`: one cue a sentence, from word times; `confidence` is the mean probability of its words.
    """
    import torch
    import whisper

    network = whisper.load_model(str(model), device="cuda" if torch.cuda.is_available() else "cpu")
    result = whisper.transcribe(
        network,
        load_sound(path),
        language=language,
        word_timestamps=True,
        condition_on_previous_text=False,  # with it one repetition breeds the next
        fp16=torch.cuda.is_available(),
        temperature=0.0,  # the same words at every run
        verbose=None,
    )
    cues: list[Sentence] = []
    words: list[dict[str, Any]] = []
    for segment in result["segments"]:
        if segment["no_speech_prob"] > _SILENCE and segment["avg_logprob"] < -1.0:
            continue
        for word in segment["words"]:
            words.append(word)
            if word["word"].rstrip()[-1:] in ".!?":
                cues.append(_sentence(words))
                words = []
    if words:
        cues.append(_sentence(words))
    return [cue for cue in cues if cue.text]


def _sentence(words: list[dict[str, Any]]) -> Sentence:
    start = max(0.0, float(words[0]["start"]), float(words[0]["end"]) - _LONGEST_WORD)
    return Sentence(
        start=round(start, 3),
        end=round(max(start, float(words[-1]["end"])), 3),
        text=" ".join("".join(word["word"] for word in words).split()),
        confidence=round(math.fsum(float(word["probability"]) for word in words) / len(words), 4),
    )


def load_sound(path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Decode the first audio stream to mono float32 at 16 kHz, without an ffmpeg program."""
    import av

    chunks: list[np.ndarray[Any, Any]] = []
    resampler = av.AudioResampler(format="s16", layout="mono", rate=_RATE)
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            chunks.extend(piece.to_ndarray() for piece in resampler.resample(frame))
        chunks.extend(piece.to_ndarray() for piece in resampler.resample(None))
    if not chunks:
        return np.zeros(0, dtype=np.float32)
    return np.concatenate(chunks, axis=1)[0].astype(np.float32) / 32768.0
