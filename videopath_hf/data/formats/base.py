"""What all formats share: where an entry comes from, what may be wrong with it, and how a record is put together."""

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from videopath_hf.data.messages import message_text
from videopath_hf.instructions.answers import parse_answer
from videopath_hf.records import InstructionKind, InstructionRecord, Media, Split

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg", ".mpeg"})
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"})

_DRIVE = re.compile(r"[A-Za-z]:|\\\\")
# Quilt's images are named by the YouTube video they are from.
_STILL = re.compile(r"(?P<video>.+?)_(?:image|roi)_[0-9a-f]{8}-[0-9a-f-]{27}")


class EntryError(Exception):
    """An entry that makes no record; the message says why, in a few words."""


class Origin(NamedTuple):
    """Where an entry stands and what holds for all entries beside it.

    Args:
        source (`str`): name of the data set or file.
        number (`int`): position of the entry, from 0 on.
        split (`str`): split of entries that name none.
        licence (`str`): licence of entries that name none.
        pick (`Callable`): which of several places of a medium exists; the first if none does.
    """

    source: str
    number: int
    split: Split
    licence: str
    pick: Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class Format:
    """One format of instruction data.

    Args:
        name (`str`): as `--from` and `--to` take it.
        licence (`str`): of the data that comes in this format, where none is given.
        suffixes (`tuple[str, ...]`): kinds of files it is written to.
        to_record (`Callable`): makes a record of an entry, or raises `EntryError`.
        from_record (`Callable`): the entry of a record, or raises `EntryError` where the format cannot hold it.
        recognises (`Callable`): whether an entry, a mapping, looks like one of this format.
        split (`str`, defaults to `"train"`): of entries that name none.
        columns (`tuple[str, ...]`): those of a CSV file.
    """

    name: str
    licence: str
    suffixes: tuple[str, ...]
    to_record: Callable[[Mapping[str, Any], Origin], InstructionRecord]
    from_record: Callable[[InstructionRecord], dict[str, Any]]
    recognises: Callable[[Mapping[str, Any]], bool]
    split: Split = "train"
    columns: tuple[str, ...] = ()


def inside(value: Any) -> str:
    """A medium's path in its plain form; raises `EntryError` for one that is no path below the data's root."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise EntryError(f"path {value!r} of a medium is not a file name")
    path = posixpath.normpath(value)
    if posixpath.isabs(path) or _DRIVE.match(value) or path.split("/")[0] == ".." or path == ".":
        raise EntryError(f"path {value!r} leads out of the data's root; paths must be relative to it")
    return path


def medium(path: str, kind: Literal["image", "video"] | None = None) -> Media:
    """The medium at a path; whether it is a video is told by its ending if `kind` is omitted."""
    suffix = posixpath.splitext(path)[1].lower()
    return Media(type=kind or ("video" if suffix in VIDEO_SUFFIXES else "image"), path=path)


def text_of(entry: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A field that must be text; raises `EntryError` where it is missing or something else."""
    value = entry.get(name, default)
    if value is None:
        raise EntryError(f"field {name!r} is missing")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise EntryError(f"field {name!r} is {type(value).__name__}, not text")
    return str(value)


def entry_id(entry: Mapping[str, Any], origin: Origin) -> str:
    """The id of an entry, or one made of where it stands."""
    given = entry.get("id")
    return f"{origin.source}_{origin.number:07d}" if given in (None, "") else str(given)


def source_video(name: str) -> str:
    """The video that a medium is from, by its file's name without ending."""
    match = _STILL.fullmatch(name)
    return match["video"] if match else name


def simple_messages(media: Sequence[Media], question: str, answer: str) -> list[dict[str, Any]]:
    """One question about media and its answer, as chat messages."""
    shown: list[dict[str, Any]] = [{"type": item.type, "path": item.path} for item in media]
    asked = [{"type": "text", "text": question}] if question else []
    return [
        {"role": "user", "content": shown + asked},
        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
    ]


def make_record(
    origin: Origin, name: str, media: Sequence[Media], messages: list[dict[str, Any]], **values: Any
) -> InstructionRecord:
    """A record of an entry; what is not given is taken from its messages, its media and its origin.

    Args:
        name (`str`): its id.
        values: further fields of [`InstructionRecord`].

    Raises:
        EntryError: an answer is empty.
    """
    question, answer = (_words(messages, role) for role in ("user", "assistant"))
    if any(not message_text(item["content"]).strip() for item in messages if item["role"] == "assistant"):
        raise EntryError("the answer is empty")
    parsed = parse_answer(answer)
    stem = posixpath.splitext(posixpath.basename(media[0].path))[0] if media else name
    fields: dict[str, Any] = {
        "kind": _kind(media, question, parsed.diagnosis),
        "clip_id": stem,
        "video_id": source_video(stem),
        "question": question,
        "answer": answer,
        "description": parsed.description,
        "diagnosis": parsed.diagnosis,
        "split": origin.split,
        "source": origin.source,
        "licence": origin.licence,
        "writer": "as released",
        "prompt_hash": "",
    }
    return InstructionRecord(id=name, media=list(media), messages=messages, **{**fields, **values})


def _kind(media: Sequence[Media], question: str, diagnosis: str | None) -> InstructionKind:
    if not question:
        return "caption"
    if any(item.type == "video" for item in media):
        return "video" if diagnosis else "clip"
    return "image"


def _words(messages: Sequence[Mapping[str, Any]], role: str) -> str:
    return next((message_text(message["content"]).strip() for message in messages if message["role"] == role), "")


def rest(entry: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """What an entry says beside the fields that are known."""
    return {name: value for name, value in entry.items() if name not in known}


def only_exchange(record: InstructionRecord, name: str) -> tuple[Media, str, str]:
    """Medium, question and answer of a record that holds one of each, for formats that can hold no more."""
    roles = [message.get("role") for message in record.messages if message.get("role") != "system"]
    if len(record.media) != 1 or roles != ["user", "assistant"] or len(roles) != len(record.messages):
        raise EntryError(f"{name} holds one medium, one question and one answer a record, this one has others")
    return record.media[0], record.question, record.answer
