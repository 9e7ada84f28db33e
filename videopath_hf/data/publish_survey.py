"""A dataset folder looked through before it is published: what is wrong with it, and how its parts are laid out."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import get_args

from videopath_hf.data.census import Census
from videopath_hf.data.folder import INSTRUCTIONS, MEDIA_FOLDERS, check_messages
from videopath_hf.data.licences import read_licence
from videopath_hf.data.scratch import Seen
from videopath_hf.errors import UserError
from videopath_hf.files import iter_records, resolve_inside
from videopath_hf.progress import track
from videopath_hf.records import InstructionRecord, Split

_SHARD_ROWS = 10_000  # a parquet file keeps what describes its row groups in memory until it is closed


@dataclass
class Shard:
    """A run of records of one part: the first, how many, bytes of their media, and a key of all that decides them."""

    first: int
    rows: int = 0
    bytes: int = 0
    key: str = ""


@dataclass
class Part:
    """The records of one medium and split, by where their lines start in the file, cut into shards.

    `files` counts different media, `bytes` is of the media of all rows, `largest` of the largest one.
    """

    media_type: str
    split: Split
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    shards: list[Shard] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    largest: int = 0

    @property
    def folder(self) -> str:
        """Its media folder in the folder layout."""
        return f"{MEDIA_FOLDERS[self.media_type]}/{self.split}"


@dataclass
class Survey:
    """What is to be published; `stated` counts the records that `licence` is stated for."""

    root: Path
    licence: str | None
    census: Census = field(default_factory=Census)
    parts: list[Part] = field(default_factory=list)
    stated: int = 0

    def records(self, part: Part, first: int = 0, rows: int | None = None) -> Iterator[InstructionRecord]:
        """Records of a part, read anew from the folder, as they are published."""
        stop = len(part.offsets) if rows is None else first + rows
        with (self.root / INSTRUCTIONS).open("rb") as stream:
            for offset in part.offsets[first:stop]:
                stream.seek(offset)
                yield self.licensed(InstructionRecord.model_validate_json(stream.readline()))

    def licensed(self, record: InstructionRecord) -> InstructionRecord:
        """The record with the licence that was stated for those whose own is unknown."""
        if self.licence is None or read_licence(record.licence).verdict != "unknown":
            return record
        return record.model_copy(update={"licence": self.licence})


def survey_dataset(
    root: Path, kinds: tuple[str, ...], licence: str | None, shard_bytes: int, salt: str = ""
) -> Survey:
    """Read every record of a dataset folder once, with its media's sizes, and lay out shards.

    Args:
        root (`Path`): a dataset folder.
        kinds (`tuple[str, ...]`): which kinds of records to publish.
        licence (`str`, *optional*): the licence of records whose own is unknown.
        shard_bytes (`int`): bytes of media after which a shard ends.
        salt (`str`): what else decides the bytes of a shard.

    Raises:
        UserError: no such folder; a malformed record; an id that stands twice; an empty answer; not exactly one
            medium; media that are missing, empty or too large; licences that are unknown or forbid publishing.
    """
    path = root / INSTRUCTIONS
    if not path.is_file():
        raise UserError(
            f"{root} is not a dataset folder: it has no {INSTRUCTIONS}; make one with `videopath instruct`"
        )
    if licence is not None and read_licence(licence).verdict != "allowed":
        why = read_licence(licence).reason
        raise UserError(f"licence {licence!r} does not allow to publish ({why}); give one such as 'CC BY-NC 4.0'")
    survey = Survey(root, licence)
    layout = _Layout(survey, shard_bytes, salt)
    for offset, record in track(iter_records(path, InstructionRecord), "Reading records"):
        if record.kind in kinds:
            check_messages(path, record)
            licensed = survey.licensed(record)
            survey.stated += licensed is not record
            layout.add(offset, licensed)
    layout.finish(kinds)
    return survey


class _Layout:
    """Adds record after record to a survey and remembers what is wrong with them."""

    def __init__(self, survey: Survey, shard_bytes: int, salt: str) -> None:
        self.survey, self.shard_bytes, self.salt = survey, shard_bytes, salt
        self.parts: dict[tuple[str, Split], _OpenPart] = {}
        self.ids = Seen()
        self.absent = _Named()
        self.shown = _Named()
        self.refused: dict[str, _Named] = {}
        self._verdicts: dict[str, tuple[str, str]] = {}

    def add(self, offset: int, record: InstructionRecord) -> None:
        if not self.ids.add(record.id):
            path = self.survey.root / INSTRUCTIONS
            raise UserError(f"{path}: record id {record.id!r} stands there twice; ids must be unique")
        if len(record.media) != 1:
            self.shown.add(f"{record.id} ({len(record.media)})")
            return
        self._check_licence(record)
        state = self._state(record)
        if state is None:
            return
        kind = record.media[0].type, record.split
        if kind not in self.parts:
            self.parts[kind] = _OpenPart(Part(*kind), self.shard_bytes, self.salt)
        self.parts[kind].append(offset, record, *state)
        self.survey.census.add(record)

    def _check_licence(self, record: InstructionRecord) -> None:
        if record.licence not in self._verdicts:
            found = read_licence(record.licence)
            self._verdicts[record.licence] = (found.verdict, found.reason)
        verdict, reason = self._verdicts[record.licence]
        if verdict != "allowed":
            self.refused.setdefault(f"{record.licence!r}, {reason}", _Named()).add(record.id)

    def _state(self, record: InstructionRecord) -> tuple[int, int] | None:
        medium = record.media[0].path
        try:
            found = resolve_inside(self.survey.root, medium).stat()
        except OSError:
            found = None
        if found is None or found.st_size == 0:
            self.absent.add(f"{medium} (record {record.id})")
            return None
        return found.st_size, found.st_mtime_ns

    def finish(self, kinds: tuple[str, ...]) -> None:
        root = self.survey.root
        if self.shown.count:
            raise UserError(
                f"{self.shown.count} records of {root} do not show exactly one medium, as published rows do: "
                f"{self.shown} media; leave them out with --kinds or write them to a folder of their own"
            )
        if self.absent.count:
            raise UserError(
                f"{self.absent.count} records of {root} show media that are missing or empty: {self.absent}; restore "
                "them or write the dataset again with `videopath instruct`"
            )
        if self.refused:
            total = sum(named.count for named in self.refused.values())
            shown = "; ".join(f"licence {why}: {named.count} records: {named}" for why, named in self.refused.items())
            raise UserError(
                f"{total} records of {root} may not be published ({shown}); leave these sources out, or, for a "
                "licence that is unknown, state it with --licence if you hold the rights"
            )
        if not self.parts:
            raise UserError(f"{root} holds no record of kind {', '.join(kinds)}: nothing to publish")
        order = [(kind, split) for kind in MEDIA_FOLDERS for split in get_args(Split)]
        self.survey.parts = [self.parts[key].closed() for key in order if key in self.parts]


class _OpenPart:
    """A part that records are still added to."""

    def __init__(self, part: Part, shard_bytes: int, salt: str) -> None:
        self.part, self.shard_bytes, self.salt = part, shard_bytes, salt
        self._digest = sha256()
        self._last: str | None = None
        self._media = Seen()

    def append(self, offset: int, record: InstructionRecord, size: int, changed: int) -> None:
        """Add a record whose medium has this size and time of change."""
        part, medium = self.part, record.media[0].path
        again = medium == self._last
        full = part.shards and (
            part.shards[-1].rows == _SHARD_ROWS or (not again and part.shards[-1].bytes + size > self.shard_bytes)
        )
        if not part.shards or full:
            self.closed()
            part.shards.append(Shard(len(part.offsets)))
            self._digest = sha256(self.salt.encode())
        shard = part.shards[-1]
        shard.rows += 1
        shard.bytes += 0 if again else size
        self._digest.update(f"{record.model_dump_json()}\0{size}\0{changed}\n".encode())
        self._last = medium
        part.offsets.append(offset)
        part.bytes += size
        part.largest = max(part.largest, size)
        self._media.add(medium)

    def closed(self) -> Part:
        """The part, with its last shard's key."""
        if self.part.shards:
            self.part.shards[-1].key = self._digest.hexdigest()
        self.part.files = self._media.count
        return self.part


class _Named:
    """A count, and the first few names."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[str] = []

    def add(self, name: str) -> None:
        self.count += 1
        if len(self._first) < 5:
            self._first.append(name)

    def __str__(self) -> str:
        more = self.count - len(self._first)
        return ", ".join(self._first) + (f" and {more} more" if more else "")
