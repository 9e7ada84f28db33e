"""The words of a lecture: from a subtitle file beside it, from Whisper, or none, and which of these is said."""

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from videopath_hf.curation.settings import TranscriptSettings
from videopath_hf.errors import UserError
from videopath_hf.records import Record, Sentence

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_ARROW = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}")
_TAG = re.compile(r"<[^>]*>|\{\\[^}]*\}")
_SENTENCE_END = re.compile(r"[.!?…][\"')\]]?\s+(?=[\"'(\[]?[A-Z0-9])")
_ENDS = re.compile(r"[.!?…][\"')\]]?$")
_MAX_PAUSE = 1.0  # seconds: a longer pause ends a sentence even without a full stop
_MAX_SENTENCE = 30.0  # seconds: a lost full stop does not make one sentence of a whole lecture
_PUNCTUATED = 0.2  # share of cues that end a sentence; below it the captions have no punctuation to go by


class Transcript(Record):
    """The sentences of one lecture, what they come from (`sidecar`, `whisper`, `none`), and what there is to say."""

    video_id: str
    backend: str
    source: str | None
    sentences: list[Sentence]
    notes: list[str]


def transcribe(path: Path, video_id: str, has_audio: bool, settings: TranscriptSettings) -> Transcript:
    """Read or make the transcript of a video.

    Raises:
        UserError: a sidecar or Whisper was asked for and is not there, or the sidecar is malformed.
    """
    notes: list[str] = []
    if settings.backend in ("auto", "sidecar"):
        for sidecar in sidecars(path):
            cues = read_sidecar(sidecar)
            if cues is not None:
                return Transcript(
                    video_id=video_id, backend="sidecar", source=sidecar.name, sentences=sentences(cues), notes=notes
                )
            notes.append(f"{sidecar.name} beside the video holds no transcript and was not used")
        if settings.backend == "sidecar":
            raise UserError(
                f"{path} has no subtitle file beside it (expected {path.stem}.srt, .vtt or .json with a transcript); "
                "add one or set transcript.backend to auto, whisper or none"
            )
    if settings.backend in ("auto", "whisper") and has_audio:
        from videopath_hf.curation.speech import find_whisper, speech_to_text

        model = find_whisper(settings.whisper_model)
        if isinstance(model, Path):
            cues = speech_to_text(path, model, settings.language)
            return Transcript(
                video_id=video_id, backend="whisper", source=model.stem, sentences=sentences(cues), notes=notes
            )
        if settings.backend == "whisper":
            raise UserError(f"transcript.backend=whisper cannot be used: {model}")
        notes.append(f"no transcript: there is no subtitle file beside the video, and {model}")
    elif settings.backend != "none":
        notes.append("no transcript: there is no subtitle file beside the video and it has no sound")
    else:
        notes.append("no transcript: transcript.backend is none")
    return Transcript(video_id=video_id, backend="none", source=None, sentences=[], notes=notes)


def sidecars(path: Path) -> list[Path]:
    """Files beside a video that may hold its transcript, the most specific form first."""
    return [sidecar for suffix in (".srt", ".vtt", ".json") if (sidecar := path.with_suffix(suffix)).is_file()]


def read_sidecar(path: Path) -> list[Sentence] | None:
    """Read the cues of a .srt, .vtt or .json file; None where a .json file is about something else.

    A JSON transcript is `{"transcript": [...]}` or, as Whisper writes it, `{"segments": [...]}`, each entry with
    `start` and `end` in seconds and `text`.

    Raises:
        UserError: the file is not UTF-8, is not JSON, or a cue has no valid times.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise UserError(f"subtitle file {path} cannot be read as UTF-8 text: {error}") from None
    return _json_cues(path, text) if path.suffix == ".json" else _subtitle_cues(path, text)


def _subtitle_cues(path: Path, text: str) -> list[Sentence]:
    cues = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.split("\n")
        for number, line in enumerate(lines):
            if match := _ARROW.match(line):
                words = " ".join(_TAG.sub("", part).strip() for part in lines[number + 1 :]).strip()
                times = match.groups()
                cues.append(_cue(path, _seconds(times[:4]), _seconds(times[4:]), words))
                break
    if not cues:
        raise UserError(f"subtitle file {path} holds no cue of the form 00:00:01,000 --> 00:00:02,500")
    return sorted((cue for cue in cues if cue.text), key=lambda cue: (cue.start, cue.end))


def _json_cues(path: Path, text: str) -> list[Sentence] | None:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, beside the video, is not valid JSON: {error}; repair or remove it") from None
    for key in ("transcript", "segments"):
        entries: Any = data.get(key) if isinstance(data, dict) else None
        if not isinstance(entries, list) or not entries:
            continue
        if all(isinstance(entry, dict) and {"start", "end", "text"} <= entry.keys() for entry in entries):
            cues = [_cue(path, entry["start"], entry["end"], str(entry["text"]).strip()) for entry in entries]
            return sorted((cue for cue in cues if cue.text), key=lambda cue: (cue.start, cue.end))
    return None


def _cue(path: Path, start: Any, end: Any, text: str) -> Sentence:
    if not all(isinstance(value, int | float) for value in (start, end)) or not 0 <= start <= end:
        raise UserError(f"transcript {path} has a cue from {start!r} to {end!r}; times must be seconds, start <= end")
    return Sentence(start=round(float(start), 3), end=round(float(end), 3), text=" ".join(text.split()))


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = parts
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + float(f"0.{fraction or 0}")


def sentences(cues: Sequence[Sentence]) -> list[Sentence]:
    """Turn cues, which break anywhere, into sentences: joined up to a full stop, split after one.

    The time of a break inside a cue is interpolated by letters.
    """
    pieces = [piece for cue in cues for piece in _split(cue)]
    if sum(bool(_ENDS.search(piece.text)) for piece in pieces) < _PUNCTUATED * len(pieces):
        return pieces
    done: list[Sentence] = []
    for piece in pieces:
        last = done[-1] if done else None
        if (
            last is not None
            and not _ENDS.search(last.text)
            and piece.start - last.end <= _MAX_PAUSE
            and piece.end - last.start <= _MAX_SENTENCE
        ):
            known = [value for value in (last.confidence, piece.confidence) if value is not None]
            done[-1] = Sentence(
                start=last.start,
                end=max(last.end, piece.end),
                text=f"{last.text} {piece.text}",
                confidence=min(known, default=None),
            )
        else:
            done.append(piece)
    return done


def _split(cue: Sentence) -> list[Sentence]:
    stops = [match.end() for match in _SENTENCE_END.finditer(cue.text)]
    bounds = [0, *stops, len(cue.text)]
    rate = (cue.end - cue.start) / max(1, len(cue.text))
    return [
        Sentence(
            start=round(cue.start + a * rate, 3),
            end=round(cue.start + b * rate, 3) if b < len(cue.text) else cue.end,
            text=cue.text[a:b].strip(),
            confidence=cue.confidence,
        )
        for a, b in pairwise(bounds)
        if cue.text[a:b].strip()
    ]
