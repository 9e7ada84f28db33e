"""What a language model is told and shown about a clip."""

import base64
import json
import mimetypes
from pathlib import Path
from typing import Any, Literal, NamedTuple

from videopath_hf.errors import UserError
from videopath_hf.files import resolve_inside
from videopath_hf.instructions.answers import normalise_diagnosis
from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.records import ClipRecord

_NEAR = 0.5  # seconds by which a citation may miss the words it cites

_SHORTEST_QUOTE = 3  # letters; a diagnosis may be an abbreviation


class Words(NamedTuple):
    """A passage that was said or shown, and when."""

    start: float
    end: float
    how: Literal["said", "shown"]
    text: str


def words_of(clip: ClipRecord) -> list[Words]:
    """All words of a clip in order of time, with the passage that names its diagnosis where that lies elsewhere."""
    words = [Words(sentence.start, sentence.end, "said", sentence.text) for sentence in clip.transcript]
    words += [Words(text.start, text.end, "shown", text.text) for text in clip.removed_text]
    if (named := clip.diagnosis) is not None and not is_quoted(named.value, words):
        how: Literal["said", "shown"] = "said" if named.source == "transcript" else "shown"
        words.append(Words(named.start, named.end, how, f"Diagnosis of this case: {named.value}"))
    return sorted(words)


def cited(start: float, end: float, words: list[Words]) -> list[Words]:
    """The passages that were said or shown within these seconds."""
    low, high = min(start, end), max(start, end)
    return [passage for passage in words if passage.start - _NEAR <= high and low <= passage.end + _NEAR]


def is_quoted(quote: str, words: list[Words]) -> bool:
    """Whether a quotation stands in one of the passages, but for case and punctuation."""
    key = normalise_diagnosis(quote)
    return len(key) >= _SHORTEST_QUOTE and any(
        f" {key} " in f" {normalise_diagnosis('x ' + passage.text)} " for passage in words
    )


class Place(NamedTuple):
    """Where the words are that a statement rests on; `misdated` where it cites other seconds."""

    start: float
    end: float
    source: Literal["transcript", "text"]
    misdated: bool


def place_of(quote: str, start: float, end: float, words: list[Words]) -> Place | None:
    """The seconds that are cited, as far as there are words, if words of theirs hold the quotation; or else those of
    the first passage that does. None where none does."""
    quoted = [passage for passage in words if is_quoted(quote, [passage])]
    if not quoted:
        return None
    within = cited(start, end, words)
    right = [passage for passage in quoted if passage in within]
    passage = (right or quoted)[0]
    low, high = passage.start, passage.end
    if right:
        first, last = min(item.start for item in within), max(item.end for item in within)
        low, high = max(first, min(start, end)), min(last, max(start, end))
    if high <= low:
        low, high = passage.start, passage.end
    return Place(low, high, "transcript" if passage.how == "said" else "text", not right)


def as_json(clip: ClipRecord, words: list[Words]) -> str:
    """The clip as the JSON object that prompts speak of."""
    passages = [
        {"start": round(passage.start, 2), "end": round(passage.end, 2), "how": passage.how, "text": passage.text}
        for passage in words
    ]
    material = {
        "organ": clip.organ.value if clip.organ else None,
        "clip": {"start": round(clip.start, 2), "end": round(clip.end, 2)},
        "words": passages,
    }
    return json.dumps(material, ensure_ascii=False)


def user_message(curated: Path, clip: ClipRecord, text: str, settings: InstructSettings) -> dict[str, Any]:
    """A user's turn: what `attach` asks for, as data URLs, then the text.

    Raises:
        UserError: a file that is to be attached is not there.
    """
    if settings.attach == "nothing":
        return {"role": "user", "content": text}
    if settings.attach == "clip":
        files, kind = [clip.clip], "video_url"
    else:
        most = min(settings.max_images, len(clip.keyframes))
        files, kind = [clip.keyframes[number * len(clip.keyframes) // most] for number in range(most)], "image_url"
    blocks = [{"type": kind, kind: {"url": _data_url(curated, clip, name)}} for name in files]
    return {"role": "user", "content": [*blocks, {"type": "text", "text": text}]}


def _data_url(curated: Path, clip: ClipRecord, relative: str) -> str:
    path = resolve_inside(curated, relative)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} of clip {clip.clip_id} is missing; curate the lecture again") from None
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
