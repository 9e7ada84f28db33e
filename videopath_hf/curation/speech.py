"""Speech to text by openai-whisper or faster-whisper, from a model that is on disk. Nothing is ever downloaded."""

import os
import zlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from videopath_hf.curation.sound import Samples, Sound
from videopath_hf.curation.voice import Voice, Window, pack
from videopath_hf.errors import MissingExtraError, UserError

SpeechBackend = Literal["whisper", "faster-whisper"]
Device = Literal["auto", "cpu", "cuda"]

_LONGEST_WORD = 1.0  # seconds: Whisper counts a pause as part of the word after it
_SENTENCE_ENDS = ".!?\u3002\uff01\uff1f"
MAX_COMPRESSION = 2.4  # Whisper's own threshold: text that shrinks more repeats itself
# By name, the file each is kept in: to ask the library means to load torch, 3 s and half a gigabyte.
_OPENAI_FILES = {
    name: f"{name}.pt" for size in ("tiny", "base", "small", "medium") for name in (f"{size}.en", size)
} | {
    "large-v1": "large-v1.pt",
    "large-v2": "large-v2.pt",
    "large-v3": "large-v3.pt",
    "large": "large-v3.pt",
    "large-v3-turbo": "large-v3-turbo.pt",
    "turbo": "large-v3-turbo.pt",
}
_CT2_FILES = ("model.bin", "config.json", "tokenizer.json")


class Spoken(NamedTuple):
    """A word as the model wrote it, with its spaces and punctuation, and its mean token probability."""

    start: float
    end: float
    text: str
    confidence: float


class Cue(NamedTuple):
    """What was heard up to a full stop, with the model's own figures for the 30 s around."""

    words: tuple[Spoken, ...]
    logprob: float = 0.0
    no_speech: float = 0.0

    @property
    def start(self) -> float:
        """Second of the first word; a pause before it does not count."""
        return max(self.words[0].start, self.words[0].end - _LONGEST_WORD)

    @property
    def end(self) -> float:
        """Second at which the last word ends."""
        return max(self.start, self.words[-1].end)

    @property
    def text(self) -> str:
        """The words as one text."""
        return " ".join("".join(word.text for word in self.words).split())

    @property
    def confidence(self) -> float:
        """Mean probability of the words."""
        return sum(word.confidence for word in self.words) / len(self.words)


class Recognizer(Protocol):
    """Turns up to 30 s of sound into cues; times are seconds from its start."""

    language: str | None
    """Language code; where None, the first sound says it."""

    def hear(self, samples: Samples) -> list[Cue]:
        """Transcribe float32 [samples] at 16 kHz."""
        ...


def find_model(backend: SpeechBackend, model: str) -> Path:
    """Find a model on disk: a .pt file for openai-whisper, a CTranslate2 folder for faster-whisper.

    Args:
        model (`str`): a size by name, looked for where the library itself keeps its models, or a path.

    Raises:
        MissingExtraError: the library is not installed.
        UserError: the model is not on disk; the message says how to get it.
    """
    path = _find_openai(model) if backend == "whisper" else _find_faster(model)
    for package in ("silero_vad", "onnxruntime", "rapidfuzz", "jellyfish", "wordfreq"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "speech", f"transcript.backend={backend}")
    return path


def _is_path(model: str) -> bool:
    return model.endswith(".pt") or os.sep in model or Path(model).is_dir()


def _find_openai(model: str) -> Path:
    if find_spec("whisper") is None:
        raise MissingExtraError("whisper", "whisper", "transcript.backend=whisper")
    if _is_path(model):
        path = Path(model).expanduser()
        if not path.is_file():
            raise UserError(f"transcript.whisper_model: {path} is not a file; openai-whisper needs a .pt file")
        return path
    if model not in _OPENAI_FILES:
        known = ", ".join(_OPENAI_FILES)
        raise UserError(
            f"transcript.whisper_model: {model!r} is neither a .pt file nor one of the Whisper models {known}"
        )
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "whisper"
    path = cache / _OPENAI_FILES[model]
    if not path.is_file():
        fetch = f"python -c \"import whisper; whisper.load_model('{model}')\""
        raise UserError(f"the Whisper model {model!r} is not on disk (fetch it with: {fetch})")
    return path


def _find_faster(model: str) -> Path:
    try:
        from faster_whisper import available_models, download_model
    except ImportError:
        raise MissingExtraError("faster_whisper", "faster-whisper", "transcript.backend=faster-whisper") from None
    if _is_path(model):
        path = Path(model).expanduser()
    elif model not in available_models():
        known = ", ".join(available_models())
        raise UserError(
            f"transcript.whisper_model: {model!r} is neither a CTranslate2 folder nor a Whisper model: {known}"
        )
    else:
        try:
            path = Path(download_model(model, local_files_only=True))
        except OSError:  # huggingface_hub: not in the cache
            fetch = f"python -c \"import faster_whisper; faster_whisper.download_model('{model}')\""
            raise UserError(f"the faster-whisper model {model!r} is not on disk (fetch it with: {fetch})") from None
    missing = [name for name in _CT2_FILES if not (path / name).is_file()]
    if missing:
        raise UserError(f"transcript.whisper_model: {path} is not a CTranslate2 folder: it has no {missing[0]}")
    return path


def make_recognizer(backend: SpeechBackend, model: Path, language: str | None, device: Device) -> Recognizer:
    """Load a model that `find_model` found."""
    make = _OpenAI if backend == "whisper" else _Faster
    return make(model, language, device)


class _OpenAI:
    def __init__(self, model: Path, language: str | None, device: Device) -> None:
        import torch
        import whisper

        if device == "cuda" and not torch.cuda.is_available():
            raise UserError("transcript.device=cuda, but torch finds no CUDA device; set it to cpu or auto")
        self._cuda = device != "cpu" and torch.cuda.is_available()
        try:
            self._network = whisper.load_model(str(model), device="cuda" if self._cuda else "cpu")
        except Exception as error:  # a damaged file fails anywhere in torch's unpickling
            raise UserError(f"the Whisper model {model} cannot be loaded: {_one_line(error)}") from None
        self.language = language if self._network.is_multilingual else "en"

    def hear(self, samples: Samples) -> list[Cue]:
        import whisper

        result: dict[str, Any] = whisper.transcribe(
            self._network,
            samples,
            language=self.language,
            word_timestamps=True,
            condition_on_previous_text=False,  # with it one repetition breeds the next
            fp16=self._cuda,
            beam_size=5,  # what its own command line uses; the function alone is greedy
            temperature=0.0,  # the same words at every run
            verbose=None,
        )
        self.language = self.language or str(result["language"])
        return [
            cue
            for segment in result["segments"]
            for cue in _cues(
                [Spoken(w["start"], w["end"], w["word"], w["probability"]) for w in segment["words"]],
                segment["avg_logprob"],
                segment["no_speech_prob"],
            )
        ]


class _Faster:
    def __init__(self, model: Path, language: str | None, device: Device) -> None:
        import ctranslate2
        from faster_whisper import WhisperModel

        cuda = ctranslate2.get_cuda_device_count() > 0
        if device == "cuda" and not cuda:
            raise UserError("transcript.device=cuda, but CTranslate2 finds no CUDA device; set it to cpu or auto")
        cuda = cuda and device != "cpu"
        try:
            self._network = WhisperModel(
                str(model),
                device="cuda" if cuda else "cpu",
                compute_type="float16" if cuda else "int8",
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise UserError(f"the faster-whisper model {model} cannot be loaded: {_one_line(error)}") from None
        self.language = language if self._network.model.is_multilingual else "en"

    def hear(self, samples: Samples) -> list[Cue]:
        segments, info = self._network.transcribe(
            samples,
            language=self.language,
            temperature=0.0,  # the same words at every run
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        self.language = self.language or str(info.language)
        return [
            cue
            for segment in segments
            for cue in _cues(
                [Spoken(w.start, w.end, w.word, w.probability) for w in segment.words or ()],
                segment.avg_logprob,
                segment.no_speech_prob,
            )
        ]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _cues(words: Sequence[Spoken], logprob: float, no_speech: float) -> list[Cue]:
    """Split a segment after full stops."""
    cues: list[Cue] = []
    open_: list[Spoken] = []
    for word in words:
        open_.append(word)
        if word.text.rstrip()[-1:] in tuple(_SENTENCE_ENDS):
            cues.append(Cue(tuple(open_), logprob, no_speech))
            open_ = []
    if open_:
        cues.append(Cue(tuple(open_), logprob, no_speech))
    return [cue for cue in cues if cue.text]


def speech_to_text(sound: Sound, voice: Voice, recognizer: Recognizer) -> list[Cue]:
    """Transcribe the spoken stretches of a sound; times are seconds of the sound.

    A window whose words go round in a loop is heard again in halves, down to single stretches.
    """
    return [cue for window in pack(voice.stretches) for cue in _hear(window, sound, recognizer)]


def _hear(window: Window, sound: Sound, recognizer: Recognizer) -> list[Cue]:
    cues = recognizer.hear(window.samples(sound))
    if len(window.pieces) > 1 and compression_ratio(" ".join(cue.text for cue in cues)) > MAX_COMPRESSION:
        return [cue for half in window.halves() for cue in _hear(half, sound, recognizer)]
    return [cue._replace(words=tuple(_placed(word, window) for word in cue.words)) for cue in cues]


def _placed(word: Spoken, window: Window) -> Spoken:
    start, end = window.times(word.start, word.end)
    return Spoken(round(start, 3), round(end, 3), word.text, round(float(word.confidence), 4))


def compression_ratio(text: str) -> float:
    """How many times shorter zlib makes a text; Whisper's measure of repetition."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0
