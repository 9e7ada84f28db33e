"""Records of any readable source, one after the other: what cannot be taken comes as a reject, never silently."""

import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

from videopath_hf.data.archives import Archive
from videopath_hf.data.folder import INSTRUCTIONS
from videopath_hf.data.formats.base import EntryError, Format, Origin
from videopath_hf.data.formats.entries import SUFFIXES, count_entries, read_entries
from videopath_hf.data.formats.registry import FORMATS, format_named, recognise
from videopath_hf.data.scratch import Seen
from videopath_hf.data.stores import MediaStores
from videopath_hf.errors import UserError
from videopath_hf.files import content_hash, file_sha256
from videopath_hf.records import InstructionKind, InstructionRecord, RecordReject, Split

_LOOKED_AT = 100  # entries among which the first sound one tells the format


class ReadOptions(NamedTuple):
    """What holds for all records of a source, whatever they say.

    Args:
        form (`str`, *optional*): name of the format; recognised by the first sound entry if omitted.
        split (`str`, *optional*), kind (`str`, *optional*), licence (`str`, *optional*): those of all records.
    """

    form: str | None = None
    split: Split | None = None
    kind: InstructionKind | None = None
    licence: str | None = None


ANYTHING = ReadOptions()
"""Records as they are."""


class RecordFile:
    """A file of records, on disk or in a zip file.

    Args:
        path (`Path`): the file, or the zip file.
        member (`str`, *optional*): its name in the zip file.
        options (`ReadOptions`): what holds for its records.
        stores (`MediaStores`): where its media are looked for.
    """

    def __init__(self, path: Path, member: str | None, options: ReadOptions, stores: MediaStores) -> None:
        self.path, self.member, self.options, self.stores = path, member, options, stores
        self.name = f"{path}:{member}" if member else str(path)
        self.source = PurePosixPath(member).stem if member else path.stem

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The file's bytes."""
        if self.member:
            with Archive(self.path).open(self.member) as stream:
                yield cast(BinaryIO, stream)
            return
        try:
            with self.path.open("rb") as stream:
                yield stream
        except (FileNotFoundError, IsADirectoryError):
            raise UserError(f"{self.path} is not a file") from None

    def count(self) -> int:
        """How many entries it holds."""
        with self.open() as stream:
            return count_entries(stream, self.name)

    def form(self) -> Format:
        """Its format: the given one, or what the first sound entry looks like."""
        if self.options.form is not None:
            return format_named(self.options.form)
        with self.open() as stream:
            for number, entry in enumerate(read_entries(stream, self.name)):
                if (found := recognise(entry.value)) is not None:
                    return found
                if number + 1 == _LOOKED_AT:
                    break
        raise UserError(f"{self.name} looks like no known format; name it with --from ({', '.join(FORMATS)})")

    def read(self, chosen: "Iterator[int] | None" = None) -> Iterator[InstructionRecord | RecordReject]:
        """Its records in their order, and a reject for each entry that makes none.

        Args:
            chosen (`Iterator[int]`, *optional*): numbers, ascending from 0, of the only entries that are read.
        """
        form, seen = self.form(), Seen()
        wanted = None if chosen is None else next(chosen, -1)
        with self.open() as stream:
            for number, entry in enumerate(read_entries(stream, self.name)):
                if wanted is not None:
                    if wanted < 0:
                        return
                    if number < wanted:
                        continue
                    wanted = next(cast("Iterator[int]", chosen), -1)
                yield self._record(form, number, entry.where, entry.value, entry.fault, seen)

    def _record(
        self, form: Format, number: int, where: str, value: object, fault: str | None, seen: Seen
    ) -> InstructionRecord | RecordReject:
        name = value.get("id") if isinstance(value, dict) else None
        try:
            if fault:
                raise EntryError(fault)
            if not isinstance(value, dict):
                raise EntryError(f"it is {type(value).__name__}, not an object with fields")
            origin = Origin(self.source, number, form.split, form.licence, self.stores.pick)
            record = form.to_record(value, origin)
            if not seen.add(record.id):
                raise EntryError(f"id {record.id!r} stands in the file twice; ids must be unique")
        except EntryError as error:
            named = name if isinstance(name, str) else None
            return RecordReject(file=self.name, where=where, id=named, reason=str(error))
        given = {"split": self.options.split, "kind": self.options.kind, "licence": self.options.licence}
        changes = {field: new for field, new in given.items() if new is not None}
        return record.model_copy(update=changes) if changes else record

    def key(self) -> str:
        """What changes when its content or its options do."""
        if self.member:
            info = Archive(self.path).members[self.member]
            return content_hash(self.member, info.CRC, info.file_size, self.options)
        return content_hash(file_sha256(self.path), self.options)


def record_files(source: Path, options: ReadOptions, media: Sequence[Path] = ()) -> list[RecordFile]:
    """The files of records that a source holds, with the places of their media.

    Args:
        source (`Path`): a `.json`, `.jsonl` or `.csv` file, a `.zip` with such files in it, or a dataset folder.
        options (`ReadOptions`): what holds for all of them.
        media (`Sequence[Path]`): folders and zip files with the media; by default the source itself, or the folder
            that the file is in.

    Raises:
        UserError: nothing readable is there.
    """
    if source.is_dir():
        path = source / INSTRUCTIONS
        if not path.is_file():
            raise UserError(f"folder {source} has no {INSTRUCTIONS}; give a file of records, and --media {source}")
        return [RecordFile(path, None, options, MediaStores(media or [source]))]
    if not source.exists():
        raise UserError(f"{source} does not exist")
    if source.suffix.lower() != ".zip":
        return [RecordFile(source, None, options, MediaStores(media or [source.parent]))]
    stores = MediaStores(media or [source])
    members = [name for name in Archive(source).members if _is_record_file(name)]
    if not members:
        raise UserError(f"{source} holds no {', '.join(SUFFIXES)} file; give the records, and --media {source}")
    return [RecordFile(source, name, options, stores) for name in sorted(members)]


def _is_record_file(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES and not posixpath.basename(name).startswith(".")
