"""Entries of JSON, JSONL and CSV files, one after the other: memory does not grow with the file."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from videopath_hf.errors import UserError

SUFFIXES = (".json", ".jsonl", ".csv")
_CHUNK = 1 << 20
_LONGEST = 1 << 24  # characters, or bytes, of one entry
_SPACE = " \t\r\n"
_NOT_UTF8 = "it is not UTF-8 text"


class Entry(NamedTuple):
    """One entry: where it stands, e.g. `line 3`, and its value, or what is wrong with it."""

    where: str
    value: Any
    fault: str | None = None


def read_entries(stream: BinaryIO, name: str) -> Iterator[Entry]:
    """Read a file's entries; one that cannot be read comes with its fault.

    Args:
        stream (`BinaryIO`): the file, at its start.
        name (`str`): its name, which ends in `.json` (a list), `.jsonl` or `.csv` (with a header).

    Raises:
        UserError: another ending, or a file in which no further entry can be found: a list that is cut off.
    """
    suffix = PurePosixPath(name).suffix.lower()
    readers = {".json": _json, ".jsonl": _jsonl, ".csv": _csv}
    if suffix not in readers:
        raise UserError(f"{name} does not end in {', '.join(SUFFIXES)}, so that nobody knows how to read it")
    yield from readers[suffix](stream, name)


def count_entries(stream: BinaryIO, name: str) -> int:
    """How many entries `read_entries` gives."""
    return sum(1 for _ in read_entries(stream, name))


def write_entries(stream: BinaryIO, suffix: str, entries: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write entries as a JSON list, as JSONL or as CSV of `columns`, one after the other."""
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
    if suffix == ".csv":
        table = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(entries)
    else:
        start, between, end = ("[\n", ",\n", "\n]\n") if suffix == ".json" else ("", "\n", "\n")
        text.write(start)
        written = False
        for entry in entries:
            text.write((between if written else "") + json.dumps(entry, ensure_ascii=False, allow_nan=False))
            written = True
        text.write(end if written or start else "")
    text.detach()


def _entry(where: str, value: Any, text: str) -> Entry:
    """The entry that was read from `text`, or its fault if that is not Unicode."""
    try:
        text.encode()  # bytes that are no UTF-8 were read as surrogates
        if "\\u" in text:  # an escape may be half of a surrogate pair
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Entry(where, value, _NOT_UTF8)
    return Entry(where, value)


def _parse(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _jsonl(stream: BinaryIO, name: str) -> Iterator[Entry]:
    for number in count(1):
        line = stream.readline(_LONGEST)
        if not line:
            return
        if len(line) == _LONGEST and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(_LONGEST)
            yield Entry(f"line {number}", None, f"it is longer than {_LONGEST} bytes")
        elif line.strip():
            yield _line(f"line {number}", line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)


def _line(where: str, line: bytes) -> Entry:
    try:
        text = line.decode()
        return _entry(where, _parse(text), text)
    except UnicodeDecodeError:
        return Entry(where, None, _NOT_UTF8)
    except (ValueError, RecursionError) as error:
        return Entry(where, None, f"it is not JSON: {error}")


def _csv(stream: BinaryIO, name: str) -> Iterator[Entry]:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    table = csv.reader(text)
    try:
        header = next(table)
    except StopIteration:
        return
    except csv.Error as error:
        raise UserError(f"{name} is not a CSV file with a header: {error}") from None
    for number in count(1):
        where = f"row {number}"
        try:
            row = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            yield Entry(where, None, f"it is not CSV: {error}")
            continue
        if not row:
            continue
        if len(row) != len(header):
            yield Entry(where, None, f"it has {len(row)} fields, the header has {len(header)}")
        else:
            yield _entry(where, dict(zip(header, row, strict=True)), "".join(row).replace("\\", ""))


class _Window:
    """A moving part of a text."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape")
        self.text = ""
        self.at = 0
        self.ended = False

    def more(self) -> None:
        """Drop what was passed and read on, more at a time the longer the entry is."""
        read = self._stream.read(max(_CHUNK, len(self.text) - self.at))
        self.ended = not read
        self.text, self.at = self.text[self.at :] + read, 0

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self.at < len(self.text):
                if self.text[self.at] not in _SPACE:
                    return self.text[self.at]
                self.at += 1
            if self.ended:
                return ""
            self.more()


def _json(stream: BinaryIO, name: str) -> Iterator[Entry]:
    window = _Window(stream)
    if window.peek() != "[":
        raise UserError(f"{name} does not hold a list of entries: it starts with {window.peek()!r}, not with '['")
    window.at += 1
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    for number in count(1):
        if window.peek() == "]" and number == 1:
            break
        value, text = _value(window, decoder, f"{name}: item {number}")
        yield _entry(f"item {number}", value, text)
        found = window.peek()
        if found == "]":
            break
        if found != ",":
            what = "the file is cut off there" if not found else f"{found!r} follows it instead of ',' or ']'"
            raise UserError(f"{name} is not valid JSON after item {number}: {what}; what stands behind it is lost")
        window.at += 1
    window.at += 1
    if found := window.peek():
        raise UserError(f"{name} goes on with {found!r} after the end of its list; JSON lines belong in a .jsonl file")


def _value(window: _Window, decoder: json.JSONDecoder, place: str) -> tuple[Any, str]:
    """The value that comes next, and its text."""
    window.peek()
    while True:
        try:
            value, end = decoder.raw_decode(window.text, window.at)
            if end < len(window.text) or window.ended:  # a number may go on behind the part that was read
                text = window.text[window.at : end]
                window.at = end
                return value, text
        except RecursionError:
            raise UserError(f"{place} is nested too deeply") from None
        except ValueError as error:
            if window.ended or len(window.text) - window.at > _LONGEST:
                why = getattr(error, "msg", str(error))
                what = "is cut off" if window.ended else "cannot be read"
                raise UserError(f"{place} {what}: it is not valid JSON ({why}); mend the file") from None
        window.more()
