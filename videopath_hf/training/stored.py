"""Records that stay on disk while a stage trains on them: 140,000 take the memory of their places in a file."""

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, overload

from videopath_hf.data.folder import INSTRUCTIONS, scan_instructions
from videopath_hf.data.media import check_media
from videopath_hf.records import InstructionRecord


class StoredRecords(Sequence[InstructionRecord]):
    """The records of a JSONL file that start at certain bytes, read when they are asked for.

    Args:
        path (`Path`): the file; it must not change while it is read.
        offsets (`Iterable[int]`): the byte at which each record's line starts, in the order of the sequence.
        keep (*optional*): what must live as long as the file is needed.
    """

    def __init__(self, path: Path, offsets: Iterable[int], keep: Any = None) -> None:
        self.path = path
        self._keep = keep
        self.offsets = array("q", offsets)
        self._stream: Any = None
        self._owner = 0

    def __len__(self) -> int:
        return len(self.offsets)

    @overload
    def __getitem__(self, index: int) -> InstructionRecord: ...

    @overload
    def __getitem__(self, index: slice) -> "StoredRecords": ...

    def __getitem__(self, index: int | slice) -> "InstructionRecord | StoredRecords":
        if isinstance(index, slice):
            return StoredRecords(self.path, self.offsets[index], self._keep)
        stream = self._file()
        stream.seek(self.offsets[index])
        return InstructionRecord.model_validate_json(stream.readline())

    def __iter__(self) -> Iterator[InstructionRecord]:
        for index in range(len(self)):
            yield self[index]

    def choose(self, indices: Iterable[int]) -> "StoredRecords":
        """Some of the records, in the order of `indices`."""
        return StoredRecords(self.path, (self.offsets[index] for index in indices), self._keep)

    def _file(self) -> Any:
        if self._stream is None or self._owner != os.getpid():
            # A process that was forked shares its parent's place in the file: it opens its own.
            self._stream, self._owner = self.path.open("rb"), os.getpid()
        return self._stream

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stream": None, "_keep": None}


def stored_records(root: Path, kinds: Sequence[str], split: str) -> StoredRecords:
    """The records of a dataset folder, checked as [`~videopath_hf.data.folder.read_instructions`] checks them."""
    records = StoredRecords(root / INSTRUCTIONS, (offset for offset, _ in scan_instructions(root, kinds, split)))
    check_media(root, records)
    return records


def spool(records: Iterable[InstructionRecord]) -> StoredRecords:
    """Write records that stand in no file of ours to a temporary one (`TMPDIR`), which goes with the sequence."""
    folder = TemporaryDirectory(prefix="videopath-records-")
    offsets = array("q")
    path = Path(folder.name) / INSTRUCTIONS
    with path.open("wb") as stream:
        for record in records:
            offsets.append(stream.tell())
            stream.write(record.model_dump_json().encode() + b"\n")
    return StoredRecords(path, offsets, folder)
