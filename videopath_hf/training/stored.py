"""Records that stay on disk while a stage trains on them: 140,000 take the memory of their places in a file."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from videopath_hf.files import write_records
from videopath_hf.records import InstructionRecord


class StoredRecords(Sequence[InstructionRecord]):
    """The records of a JSONL file that start at certain bytes, read when they are asked for.

    Args:
        path (`Path`): the file; it must not change while it is read.
        offsets (`Iterable[int]`): the byte at which each record's line starts, in the order of the sequence.
    """

    def __init__(self, path: Path, offsets: Iterable[int]) -> None:
        self.path = path
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
            return StoredRecords(self.path, self.offsets[index])
        stream = self._file()
        stream.seek(self.offsets[index])
        return InstructionRecord.model_validate_json(stream.readline())

    def __iter__(self) -> Iterator[InstructionRecord]:
        for index in range(len(self)):
            yield self[index]

    def _file(self) -> Any:
        import os

        if self._stream is None or self._owner != os.getpid():
            # A process that was forked shares its parent's place in the file: it opens its own.
            self._stream, self._owner = self.path.open("rb"), os.getpid()
        return self._stream

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stream": None}


def spool(path: Path, records: Iterable[InstructionRecord]) -> StoredRecords:
    """Write records to `path` as they come, and return them as what stays there."""
    offsets = array("q")
    write_records(path, records)
    with path.open("rb") as stream:
        while line := stream.readline():
            offsets.append(stream.tell() - len(line))
    return StoredRecords(path, offsets)
