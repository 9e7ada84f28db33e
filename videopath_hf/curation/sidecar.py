"""Transcripts that lie beside a video: .srt, .vtt and .json files."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videopath_hf.errors import UserError
from videopath_hf.records import Sentence

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_ARROW = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}")
_TAG = re.compile(r"<[^>]*>|\{\\[^}]*\}")


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
    numbers = all(isinstance(value, int | float) and math.isfinite(value) for value in (start, end))
    if not numbers or not 0 <= start <= end:
        raise UserError(f"transcript {path} has a cue from {start!r} to {end!r}; times must be seconds, start <= end")
    return Sentence(start=round(float(start), 3), end=round(float(end), 3), text=" ".join(text.split()))


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = parts
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + float(f"0.{fraction or 0}")
