"""This package's own records: `instructions.jsonl` of a dataset folder, one [`InstructionRecord`] a line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from videopath_hf.data.folder import INSTRUCTIONS, check_messages
from videopath_hf.data.formats.base import EntryError, Format, Origin, inside
from videopath_hf.data.messages import with_paths
from videopath_hf.errors import UserError, first_fault
from videopath_hf.records import UNKNOWN_LICENCE, InstructionRecord


def to_record(entry: Mapping[str, Any], origin: Origin) -> InstructionRecord:
    """The record that an entry is."""
    try:
        record = InstructionRecord.model_validate(entry)
        check_messages(Path(INSTRUCTIONS), record)
    except ValidationError as error:
        field, message = first_fault(error)
        raise EntryError(f"field {field}: {message}") from None
    except (AttributeError, TypeError):
        raise EntryError("field messages: its content is neither text nor a list of blocks") from None
    except UserError as error:
        raise EntryError(str(error).removeprefix(f"{INSTRUCTIONS}: record {record.id}: ")) from None
    return with_paths(record, lambda medium: inside(medium.path))


def from_record(record: InstructionRecord) -> dict[str, Any]:
    """The entry of a record."""
    return record.model_dump(mode="json")


VIDEOPATH = Format(
    "videopath",
    UNKNOWN_LICENCE,
    (".jsonl",),
    to_record,
    from_record,
    lambda entry: {"messages", "media", "kind"} <= entry.keys(),
)
