"""A log one line a finished piece of work: killed at any moment, nothing finished is lost."""

import asyncio
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from pydantic import BaseModel

from videopath_hf.files import read_records, whole_lines

EntryT = TypeVar("EntryT", bound=BaseModel)


def read_log(path: Path, cls: type[EntryT]) -> list[EntryT]:
    """The records of a log that may be written to at this moment, without a last line that is not whole yet."""
    return [cls.model_validate_json(line) for line in whole_lines(path) if line.strip()]


class AppendLog(Generic[EntryT]):
    """Records in a JSONL file that only grows; a last line that a kill cut off is dropped when it is opened.

    Args:
        path (`Path`): the file; made with its first entry. One process at a time may hold it
            (see `runs.claim_output`).
        cls (`type`): the class of its records.

    Raises:
        UserError: a line that was written whole is not such a record.
    """

    def __init__(self, path: Path, cls: type[EntryT]) -> None:
        self._path = path
        self._stream: FileIO | None = None
        self._written = self._kept = 0
        self._syncing: asyncio.Lock | None = None
        self.entries: list[EntryT] = []
        if path.exists():
            with path.open("r+b") as stream:
                stream.truncate(stream.read().rfind(b"\n") + 1)
            self.entries = read_records(path, cls)

    def append(self, entry: EntryT) -> None:
        """Write one record and make sure that it is on disk."""
        self._write(entry)
        self._sync()
        self.entries.append(entry)

    async def append_soon(self, entry: EntryT) -> None:
        """As `append`, for many tasks at once. The record is written at once, so that a kill does not lose it; it
        returns when the disk has it, for which those that wait at the same time wait together, and not the event
        loop."""
        self._write(entry)
        self._written += 1
        mine = self._written
        self._syncing = self._syncing or asyncio.Lock()
        async with self._syncing:
            if self._kept < mine:
                until = self._written
                await asyncio.to_thread(self._sync)
                self._kept = until
        self.entries.append(entry)

    def _write(self, entry: EntryT) -> None:
        if self._stream is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open("ab", buffering=0)
        whole = self._stream.seek(0, os.SEEK_END)
        rest = memoryview(f"{entry.model_dump_json()}\n".encode())
        try:
            while rest:
                rest = rest[self._stream.write(rest) :]
        except OSError as error:
            with suppress(OSError):
                self._stream.truncate(whole)  # a disk that is full: half a line would spoil the next one
            raise self._named(error) from None

    def _sync(self) -> None:
        assert self._stream is not None
        try:
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise self._named(error) from None

    def _named(self, error: OSError) -> OSError:
        return OSError(error.errno, error.strerror, str(self._path))

    def __enter__(self) -> "AppendLog[EntryT]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            with self._stream:
                if self._kept < self._written:  # tasks were cancelled while they waited
                    self._sync()
