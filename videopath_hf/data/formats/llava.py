"""LLaVA JSON and JSONL: conversations with an `<image>` for every image and every video.

    {"id", "image" | "video": path or list of paths, "conversations": [{"from": "human" | "gpt", "value"}]}

The data of ViDRiP's training, of Quilt-LLaVA and of PathAsst's instructions come in it. What our records say beyond it
stands in a further field, `videopath`, which other readers leave alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from videopath_hf.data.formats.base import (
    EntryError,
    Format,
    Origin,
    entry_id,
    inside,
    make_record,
    medium,
    rest,
)
from videopath_hf.errors import first_fault
from videopath_hf.records import UNKNOWN_LICENCE, InstructionRecord, Media

PLACEHOLDER = "<image>"
_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_FROM = {"user": "human", "assistant": "gpt", "system": "system"}
_KNOWN = ("id", "image", "video", "conversations", "videopath")
_BESIDE = {"id", "media", "messages", "question", "answer", "schema_version", "extra"}


def to_record(entry: Mapping[str, Any], origin: Origin) -> InstructionRecord:
    """A record of a LLaVA entry."""
    media = _media(entry)
    messages = _messages(entry, media)
    name = entry_id(entry, origin)
    own = entry.get("videopath") or {}
    if not isinstance(own, dict) or _BESIDE & own.keys():
        raise EntryError("field 'videopath' is not one that this package wrote")
    if "description" in own:
        own = {"diagnosis": None, **own}  # a record may name none though its answer has such a line
    try:
        return make_record(origin, name, media, messages, extra=rest(entry, _KNOWN), **own)
    except ValidationError as error:
        field, message = first_fault(error)
        raise EntryError(f"videopath.{field}: {message}") from None


def from_record(record: InstructionRecord) -> dict[str, Any]:
    """The LLaVA entry of a record."""
    kinds = {item.type for item in record.media}
    if len(kinds) > 1:
        raise EntryError("LLaVA JSON holds images or videos in a record, not both")
    paths = [item.path for item in record.media]
    conversations = [
        {"from": _FROM[message["role"]], "value": _value(message["content"])} for message in record.messages
    ]
    shown: dict[str, Any] = {kinds.pop(): paths[0] if len(paths) == 1 else paths} if paths else {}
    own = record.model_dump(mode="json", exclude=_BESIDE, exclude_defaults=True)
    return {**record.extra, "id": record.id, **shown, "conversations": conversations, "videopath": own}


def _media(entry: Mapping[str, Any]) -> list[Media]:
    found: list[Media] = []
    for kind in ("image", "video"):
        value = entry.get(kind)
        paths = value if isinstance(value, list) else [] if value in (None, "") else [value]
        found += [medium(inside(path), kind) for path in paths]
    if len({item.type for item in found}) > 1:
        raise EntryError("it has both 'image' and 'video', so that nobody can tell which <image> is which")
    return found


def _messages(entry: Mapping[str, Any], media: Sequence[Media]) -> list[dict[str, Any]]:
    turns = entry.get("conversations")
    if not isinstance(turns, list) or not turns:
        raise EntryError("field 'conversations' is not a list of turns")
    roles, values = zip(*map(_turn, turns), strict=True)
    spoken = [role for role in roles if role != "system"]
    if "system" in roles[1:] or not spoken or spoken != ["user", "assistant"] * (len(spoken) // 2):
        raise EntryError(f"its turns are {', '.join(roles)}; accepted are a user's and an assistant's by turns")
    count = sum(value.count(PLACEHOLDER) for value in values)
    if count != len(media):
        hint = "; of a video too it is <image>" if any("<video>" in value for value in values) else ""
        raise EntryError(f"it has {count} placeholders <image> for {len(media)} media{hint}")
    waiting = iter(media)
    return [
        {"role": role, "content": _blocks(value, waiting) if PLACEHOLDER in value or role != "system" else value}
        for role, value in zip(roles, values, strict=True)
    ]


def _turn(turn: Any) -> tuple[str, str]:
    if not isinstance(turn, dict):
        raise EntryError("a turn is not a mapping with 'from' and 'value'")
    role, value = turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))
    if not isinstance(role, str) or role not in _ROLES:
        raise EntryError(f"unknown role {role!r}; accepted are human, gpt and system")
    if not isinstance(value, str):
        raise EntryError(f"the value of a turn is {type(value).__name__}, not text")
    if _ROLES[role] == "assistant" and PLACEHOLDER in value:
        raise EntryError("an answer holds a placeholder <image>")
    return _ROLES[role], value


def _blocks(value: str, media: Any) -> list[dict[str, Any]]:
    first, *others = value.split(PLACEHOLDER)
    blocks: list[dict[str, Any]] = [{"type": "text", "text": first}] if first or not others else []
    for text in others:
        item = next(media)
        blocks.append({"type": item.type, "path": item.path})
        # The line break after a placeholder belongs to it: chat templates put one there by themselves.
        if text := text.removeprefix("\n"):
            blocks.append({"type": "text", "text": text})
    return blocks


def _value(content: Any) -> str:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    parts = []
    for block in blocks:
        if block["type"] == "text" and PLACEHOLDER in block["text"]:
            raise EntryError("its text holds the word <image>, which LLaVA JSON takes for a placeholder")
        parts.append(block["text"] if block["type"] == "text" else f"{PLACEHOLDER}\n")
    return "".join(parts)


def _recognises(entry: Mapping[str, Any]) -> bool:
    return "conversations" in entry


def _llava(name: str, licence: str) -> Format:
    return Format(name, licence, (".json", ".jsonl"), to_record, from_record, _recognises)


LLAVA = _llava("llava", UNKNOWN_LICENCE)
QUILT_LLAVA = _llava("quilt-llava", "CC BY-NC-ND 3.0, and the Quilt agreement")
PATHASST = _llava("pathasst", "CC BY-NC 2.0")
VIDRIP_TRAIN = _llava("vidrip-train", "CC BY-NC-ND 3.0")
