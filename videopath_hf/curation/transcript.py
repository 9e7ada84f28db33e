"""The words of a lecture: from a subtitle file beside it, from speech recognition, or none; it says which."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from videopath_hf.curation.sentences import sentences
from videopath_hf.curation.settings import TranscriptSettings
from videopath_hf.curation.sidecar import read_sidecar, sidecars
from videopath_hf.curation.speech import Cue, SpeechBackend, Spoken, find_model, make_recognizer, speech_to_text
from videopath_hf.errors import UserError
from videopath_hf.files import file_sha256
from videopath_hf.records import Record, Seconds, Sentence


class Word(Record):
    """One word, with its punctuation and the recognizer's probability."""

    start: Seconds
    end: Seconds
    text: str
    confidence: float | None = None


class DroppedCue(Record):
    """Words that were recognized and left out, and why."""

    start: Seconds
    end: Seconds
    text: str
    confidence: float | None
    reason: str


class CorrectedTerm(Record):
    """Words that were taken for a pathology term misheard: as they were, as they are, and how near the two are."""

    heard: str
    corrected: str
    start: Seconds
    score: float


class Transcript(Record):
    """The sentences of one lecture, what they come from, what was left out and changed, and what there is to say.

    Args:
        backend (`str`): `"sidecar"`, `"whisper"`, `"faster-whisper"` or `"none"`.
        source (`str`, *optional*): the subtitle file's or the model's name.
        language (`str`, *optional*): language code, where speech was recognized.
        words (`list[Word]`): the words behind the sentences, where speech was recognized.
        figures (`dict[str, float]`): seconds of sound, of voice and without; words, dropped cues and corrections.
    """

    video_id: str
    backend: str
    source: str | None
    language: str | None = None
    sentences: list[Sentence]
    words: list[Word] = Field(default_factory=list)
    dropped: list[DroppedCue] = Field(default_factory=list)
    corrections: list[CorrectedTerm] = Field(default_factory=list)
    figures: dict[str, float] = Field(default_factory=dict)
    notes: list[str]


def transcribe(path: Path, video_id: str, has_audio: bool, settings: TranscriptSettings) -> Transcript:
    """Read or make the transcript of a video.

    Raises:
        UserError: a sidecar or a recognizer was asked for and is not there, or the sidecar or the file of the user's
            vocabulary is malformed.
    """
    notes: list[str] = []
    if settings.backend in ("auto", "sidecar"):
        for sidecar in sidecars(path):
            cues = read_sidecar(sidecar)
            if cues is not None:
                return _from_sidecar(video_id, sidecar.name, cues, settings, notes)
            notes.append(f"{sidecar.name} beside the video holds no transcript and was not used")
        if settings.backend == "sidecar":
            raise UserError(
                f"{path} has no subtitle file beside it (expected {path.stem}.srt, .vtt or .json with a transcript); "
                "add one or set transcript.backend to auto, whisper, faster-whisper or none"
            )
    if settings.backend == "none":
        notes.append("no transcript: transcript.backend is none")
    elif not has_audio:
        notes.append("no transcript: there is no subtitle file beside the video and it has no sound")
    else:
        found = find_recognizer(settings)
        if not isinstance(found, str):
            return _from_speech(path, video_id, *found, settings, notes)
        notes.append(f"no transcript: there is no subtitle file beside the video, and {found}")
    return Transcript(video_id=video_id, backend="none", source=None, sentences=[], notes=notes)


def find_recognizer(settings: TranscriptSettings) -> tuple[SpeechBackend, Path] | str:
    """The recognizer that the settings name and its model; for `"auto"` the first that is there, or what is missing.

    Raises:
        UserError: the one that was asked for is not installed or its model is not on disk.
    """
    if settings.backend in ("whisper", "faster-whisper"):
        backend: SpeechBackend = "whisper" if settings.backend == "whisper" else "faster-whisper"
        return backend, find_model(backend, settings.whisper_model)
    missing: list[str] = []
    order: tuple[SpeechBackend, ...] = ("faster-whisper", "whisper")
    for backend in order:
        try:
            return backend, find_model(backend, settings.whisper_model)
        except UserError as error:
            missing.append(str(error))
    return "; ".join(missing)


def transcript_inputs(path: Path, settings: TranscriptSettings) -> list[list[str]]:
    """What besides the video and the settings a transcript depends on: names and hashes, for resuming a run."""
    inputs = [[sidecar.name, file_sha256(sidecar)] for sidecar in sidecars(path)]
    if not inputs and settings.backend in ("auto", "whisper", "faster-whisper"):
        inputs.append([str(part) for part in found] if not isinstance(found := find_recognizer(settings), str) else [])
    if settings.vocabulary is not None and (vocabulary := Path(settings.vocabulary).expanduser()).is_file():
        inputs.append(["vocabulary", file_sha256(vocabulary)])
    return inputs


def check_transcriber(settings: TranscriptSettings) -> None:
    """Refuse settings that cannot work: a recognizer that is not there, a vocabulary that cannot be read.

    Raises:
        UserError: says which and how to mend it.
    """
    if settings.backend in ("whisper", "faster-whisper"):
        find_recognizer(settings)
    if settings.vocabulary is not None:
        from videopath_hf.curation.vocabulary import load_vocabulary

        load_vocabulary(Path(settings.vocabulary))


def _from_sidecar(
    video_id: str, source: str, cues: list[Sentence], settings: TranscriptSettings, notes: list[str]
) -> Transcript:
    corrections: list[CorrectedTerm] = []
    if settings.correct == "all":
        changed: list[Sentence] = []
        for cue in cues:
            words, made = _correct(_interpolated(cue), settings)
            changed.append(cue.model_copy(update={"text": " ".join("".join(w.text for w in words).split())}))
            corrections += made
        cues, notes = changed, [*notes, *_corrected_note(corrections)]
    return Transcript(
        video_id=video_id,
        backend="sidecar",
        source=source,
        sentences=sentences(cues),
        corrections=corrections,
        figures={"corrections": len(corrections)},
        notes=notes,
    )


def _from_speech(
    path: Path, video_id: str, backend: SpeechBackend, model: Path, settings: TranscriptSettings, notes: list[str]
) -> Transcript:
    from videopath_hf.curation.hallucination import sift
    from videopath_hf.curation.sound import load_sound
    from videopath_hf.curation.voice import find_voice

    sound = load_sound(path)
    voice = find_voice(sound, settings.voice_threshold)
    language, heard = settings.language, []
    if voice.stretches:
        recognizer = make_recognizer(backend, model, settings.language, settings.device)
        heard = speech_to_text(sound, voice, recognizer)
        language = recognizer.language
    cues, left_out = sift(heard, voice)
    english = (language or "en").startswith("en")
    cues, corrections = _corrected(cues, settings) if settings.correct != "none" and english else (cues, [])
    silent = sound.seconds - voice.seconds
    notes = [*notes, *sound.notes, f"{silent:.1f} of {sound.seconds:.1f} s of sound hold no speech"]
    if left_out:
        reasons = ", ".join(f"{count} x {why}" for why, count in Counter(drop.reason for drop in left_out).items())
        notes.append(f"{len(left_out)} recognized cues left out: {reasons}")
    notes += _corrected_note(corrections)
    if not english and settings.correct != "none":
        notes.append(f"terms were not corrected: the language is {language}, the vocabulary is English")
    words = [word for cue in cues for word in cue.words]
    return Transcript(
        video_id=video_id,
        backend=backend,
        source=_model_name(model, settings),
        language=language,
        sentences=sentences([_sentence(cue) for cue in cues]),
        words=[Word(start=w.start, end=w.end, text=w.text.strip(), confidence=w.confidence) for w in words],
        dropped=[DroppedCue(**_sentence(drop.cue).model_dump(), reason=drop.reason) for drop in left_out],
        corrections=corrections,
        figures={
            "sound_seconds": round(sound.seconds, 3),
            "voice_seconds": round(voice.seconds, 3),
            "silent_seconds": round(silent, 3),
            "words": len(words),
            "dropped": len(left_out),
            "corrections": len(corrections),
        },
        notes=notes,
    )


def _corrected(cues: list[Cue], settings: TranscriptSettings) -> tuple[list[Cue], list[CorrectedTerm]]:
    """Correct across cues, since a model breaks a term in two, and give each cue its words back."""
    words, corrections = _correct([word for cue in cues for word in cue.words], settings)
    starts = [cue.words[0].start for cue in cues]
    parts: list[list[Spoken]] = [[] for _ in cues]
    at = 0
    for word in words:
        while at + 1 < len(cues) and word.start >= starts[at + 1]:
            at += 1
        parts[at].append(word)
    return [cue._replace(words=tuple(part)) for cue, part in zip(cues, parts, strict=True) if part], corrections


def _correct(words: Sequence[Spoken], settings: TranscriptSettings) -> tuple[list[Spoken], list[CorrectedTerm]]:
    from videopath_hf.curation.correction import Corrector
    from videopath_hf.curation.vocabulary import load_vocabulary

    corrector = Corrector(load_vocabulary(Path(settings.vocabulary) if settings.vocabulary else None))
    done, made = corrector.correct(words)
    return done, [CorrectedTerm(**correction._asdict()) for correction in made]


def _corrected_note(corrections: Sequence[CorrectedTerm]) -> list[str]:
    return [f"{len(corrections)} misheard terms were corrected; the transcript lists them"] if corrections else []


def _model_name(model: Path, settings: TranscriptSettings) -> str:
    named = settings.whisper_model
    path = Path(named)
    return named if path.name == named else "/".join(model.parts[-2:] if model.is_dir() else [model.stem])


def _sentence(cue: Cue) -> Sentence:
    return Sentence(
        start=round(cue.start, 3), end=round(cue.end, 3), text=cue.text, confidence=round(cue.confidence, 4)
    )


def _interpolated(cue: Sentence) -> list[Spoken]:
    """The words of a subtitle, with times by their letters."""
    rate = (cue.end - cue.start) / max(1, len(cue.text))
    return [
        Spoken(round(cue.start + m.start() * rate, 3), round(cue.start + m.end() * rate, 3), f" {m.group()}", 1.0)
        for m in re.finditer(r"\S+", cue.text)
    ]
