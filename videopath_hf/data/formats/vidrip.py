"""Test records of the released ViDRiP-Instruct: `video_name` (without ending), `question`, `answer`, `question_id`.

The videos are `Test_Videos/<video_name>.mp4`; some end in `.MP4` or `.mkv`. Training records are LLaVA JSON.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from videopath_hf.data.formats.base import (
    VIDEO_SUFFIXES,
    EntryError,
    Format,
    Origin,
    inside,
    make_record,
    medium,
    only_exchange,
    rest,
    simple_messages,
    text_of,
)
from videopath_hf.records import InstructionRecord

FOLDER = "Test_Videos"
_SUFFIXES = (".mp4", ".MP4", ".mkv")
_KNOWN = ("video_name", "question", "answer", "question_id")


def to_record(entry: Mapping[str, Any], origin: Origin) -> InstructionRecord:
    """A record of a test entry; without media at hand its video is taken to be an `.mp4`."""
    name = inside(text_of(entry, "video_name"))
    own = PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES
    names = [name] if own else [name + suffix for suffix in _SUFFIXES]
    below = [f"{FOLDER}/{name}" for name in names]
    path = origin.pick(names + below if "/" in name else below + names)
    media = [medium(path, "video")]
    question, answer = text_of(entry, "question"), text_of(entry, "answer")
    if not question.strip():
        raise EntryError("the question is empty")
    given = entry.get("question_id")
    identity = f"{name}_{origin.number}" if given in (None, "") else str(given)
    messages = simple_messages(media, question, answer)
    return make_record(origin, identity, media, messages, kind="video", extra=rest(entry, _KNOWN))


def from_record(record: InstructionRecord) -> dict[str, Any]:
    """The test entry of a record; organ, licence and all else that it has no field for are left out."""
    item, question, answer = only_exchange(record, "a ViDRiP test record")
    if item.type != "video":
        raise EntryError("ViDRiP test records are about videos")
    path = PurePosixPath(item.path)
    path = path.relative_to(FOLDER) if path.is_relative_to(FOLDER) else path
    name = str(path.with_suffix("")) if path.suffix in _SUFFIXES else str(path)
    return {**record.extra, "video_name": name, "question": question, "answer": answer, "question_id": record.id}


VIDRIP_TEST = Format(
    "vidrip-test",
    "CC BY-NC-ND 3.0",
    (".json", ".jsonl"),
    to_record,
    from_record,
    lambda entry: "video_name" in entry,
    split="test",
)
