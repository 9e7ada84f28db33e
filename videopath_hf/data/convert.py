"""From any readable source to a file of another format, or to a dataset folder with its media."""

import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel

from videopath_hf import __version__
from videopath_hf.data.card import write_card
from videopath_hf.data.folder import INSTRUCTIONS, MEDIA_FOLDERS
from videopath_hf.data.formats.base import EntryError, Format
from videopath_hf.data.formats.entries import SUFFIXES, write_entries
from videopath_hf.data.formats.registry import format_named
from videopath_hf.data.messages import with_paths
from videopath_hf.data.scratch import scratch_database
from videopath_hf.data.sources import Source, check_rejects, commonest, reason_kind
from videopath_hf.data.stores import bring
from videopath_hf.errors import UserError
from videopath_hf.files import atomic_path, content_hash, iter_records, read_json, write_json, write_records
from videopath_hf.progress import note, track
from videopath_hf.records import InstructionRecord, Media, RecordReject
from videopath_hf.runs import claim_output

REJECTS = "rejects.jsonl"


class ConvertSummary(BaseModel):
    """What a conversion made.

    `records` counts by kind and split, `parts` what each file of the source gave, `rejects` the entries left out by
    reason (all of them are in the file `rejects_file`, null where there are none), `dropped_fields` how many records
    lost a field that the format has no column for.
    """

    out: Path
    form: str
    records: dict[str, dict[str, int]]
    parts: list[dict[str, Any]]
    rejects: dict[str, int]
    rejects_file: Path | None
    dropped_fields: dict[str, int]

    def check(self, limit: float) -> None:
        """Raise `TooManyRejectsError` where more than the share `limit` of all entries was left out."""
        rejected = sum(self.rejects.values())
        written = sum(sum(counts.values()) for counts in self.records.values())
        where = f"{self.out} holds the other {written}, and {self.rejects_file} why"
        check_rejects(rejected, rejected + written, limit, Counter(self.rejects), where)


def convert(source: Source, out: Path, form: Format) -> ConvertSummary:
    """Write a source's records in another format; memory does not grow with their number.

    Args:
        source (`Source`): what is read.
        out (`Path`): a file with one of the format's endings, or, for this package's own format, a folder: media are
            then linked or copied into it, out of zip files too, and a record whose medium is missing is rejected.
        form (`Format`): the format.

    Returns:
        `ConvertSummary`: counts; a folder keeps them in its `run.json`.

    Raises:
        UserError: nothing readable is there, `out` cannot be used, or no record is left to write.
    """
    if refused := source.stores.refused():
        path, name, why = refused[0]
        note(f"{len(refused)} members of zip files are never read, e.g. {path}:{name}: {why}")
    if form.name == "videopath" and out.suffix.lower() not in SUFFIXES:
        return _to_folder(source, out)
    if out.suffix.lower() not in form.suffixes:
        endings = " or ".join(form.suffixes)
        raise UserError(f"{out} does not end in {endings}, as files of format {form.name} do")
    return _to_file(source, out, form)


class _Tally:
    """Counts what is read and passes the records on; rejects go to their file."""

    def __init__(self, source: Source, rejects: Path) -> None:
        self.source, self.path = source, rejects
        self.records: Counter[tuple[str, str]] = Counter()
        self.reasons: Counter[str] = Counter()

    def reject(self, reject: RecordReject, stream: Any) -> None:
        """Write out what was left out."""
        self.reasons[reason_kind(reject.reason)] += 1
        stream.write(reject.model_dump_json() + "\n")

    def run(self, make: Callable[[InstructionRecord], Any]) -> Iterator[Any]:
        """`make` of every record; one for which it raises `EntryError` is rejected."""
        with atomic_path(self.path) as temporary, temporary.open("w", encoding="utf-8") as stream:
            for item in track(self.source.read(), "Reading records"):
                if isinstance(item, RecordReject):
                    self.reject(item, stream)
                    continue
                try:
                    made = make(item)
                except EntryError as error:
                    where = f"record {item.id}"
                    refused = RecordReject(file=item.source, where=where, id=item.id, reason=str(error))
                    self.reject(refused, stream)
                    continue
                self.records[item.kind, item.split] += 1
                yield made

    def summary(self, out: Path, form: str, dropped: Mapping[str, int]) -> ConvertSummary:
        """What was counted; the file of rejects is removed where there are none."""
        if not self.reasons:
            self.path.unlink(missing_ok=True)
        records: dict[str, dict[str, int]] = {}
        for (kind, split), count in sorted(self.records.items()):
            records.setdefault(kind, {})[split] = count
        return ConvertSummary(
            out=out,
            form=form,
            records=records,
            parts=[
                {"file": part.file.name, "taken": str(part.strategy), "read": part.taken, "rejected": part.rejected}
                for part in self.source.parts
            ],
            rejects=dict(self.reasons.most_common()),
            rejects_file=self.path if self.reasons else None,
            dropped_fields=dict(dropped),
        )


def _to_file(source: Source, out: Path, form: Format) -> ConvertSummary:
    tally = _Tally(source, out.with_name(f"{out.stem}.{REJECTS}"))
    dropped: Counter[str] = Counter()
    suffix = out.suffix.lower()

    def entry(record: InstructionRecord) -> dict[str, Any]:
        made = form.from_record(record)
        if suffix == ".csv":
            dropped.update(name for name in made if name not in form.columns)
        return made

    with atomic_path(out) as temporary, temporary.open("wb") as stream:
        write_entries(stream, suffix, tally.run(entry), form.columns)
        if not tally.records:
            raise UserError(f"{source.path} gave no record to write ({_reasons(tally)}); {out} is not written")
    return tally.summary(out, form.name, dropped)


def _to_folder(source: Source, out: Path) -> ConvertSummary:
    key = content_hash(source.key(), __version__)
    with claim_output(out, key, "data convert"):
        if not (out / "run.json").exists():
            summary = _write_folder(source, out)
            versions = {"videopath-hf": __version__}
            write_json(out / "run.json", {"versions": versions, "key": key, **summary.model_dump(mode="json")})
        else:
            note(f"{out} is finished already")
    data = read_json(out / "run.json")
    return ConvertSummary.model_validate({name: data[name] for name in ConvertSummary.model_fields})


def _write_folder(source: Source, out: Path) -> ConvertSummary:
    tally = _Tally(source, out / REJECTS)
    shown: Counter[tuple[str, str]] = Counter()
    places = _Places()

    def place(record: InstructionRecord) -> InstructionRecord:
        placed = with_paths(record, lambda medium: _bring(source, out, record, medium, places))
        if len(record.media) == 1:
            shown[record.media[0].type, record.split] += 1
        return placed

    write_records(out / INSTRUCTIONS, tally.run(place))
    if not tally.records:
        (out / INSTRUCTIONS).unlink()
        raise UserError(f"{source.path} gave no record to write ({_reasons(tally)}); see {out / REJECTS}")
    _write_metadata(out, sorted(shown))
    write_card(out, (record for _, record in iter_records(out / INSTRUCTIONS, InstructionRecord)), _notes(tally))
    return tally.summary(out, "videopath", {})


def _write_metadata(out: Path, parts: Sequence[tuple[str, str]]) -> None:
    """The `metadata.parquet` that `datasets` reads beside the media, of records with one medium each."""
    from videopath_hf.data.table import write_metadata

    for media_type, split in parts:
        folder = out / MEDIA_FOLDERS[media_type] / split
        rows = (
            (PurePosixPath(record.media[0].path).name, record)
            for _, record in iter_records(out / INSTRUCTIONS, InstructionRecord)
            if len(record.media) == 1 and (record.media[0].type, record.split) == (media_type, split)
        )
        with atomic_path(folder / "metadata.parquet") as temporary:
            write_metadata(temporary, rows)


class _Places:
    """Where media lie in a folder; memory does not grow with their number."""

    def __init__(self) -> None:
        self._base = scratch_database("places (target TEXT PRIMARY KEY, source TEXT) WITHOUT ROWID")

    def place(self, folder: str, path: str) -> str:
        """A place in `folder` under the file's own name, or, where another file has it, marked by its old folder."""
        parent, name = posixpath.split(path)
        for target in (f"{folder}/{name}", f"{folder}/{content_hash(parent)}_{name}"):
            self._base.execute("INSERT OR IGNORE INTO places VALUES (?, ?)", (target, path))
            row = self._base.execute("SELECT source FROM places WHERE target = ?", (target,)).fetchone()
            if row == (path,):
                return target
        raise EntryError(f"no name is free for its medium {path}")


def _bring(source: Source, out: Path, record: InstructionRecord, medium: Media, places: _Places) -> str:
    try:
        found = source.stores.find(medium.path)
        if found is None:
            raise EntryError(f"medium is missing: {medium.path}")
        if found.size == 0:
            raise EntryError(f"medium is empty (0 bytes): {found.place}")
        # Media that share a record are no rows of a table with one medium a row.
        folder = MEDIA_FOLDERS[medium.type] if len(record.media) == 1 else "media"
        path = places.place(f"{folder}/{record.split}", medium.path)
        bring(found, out / path)
    except UserError as error:
        raise EntryError(f"medium cannot be read: {error}") from None
    return path


def _reasons(tally: _Tally) -> str:
    return f"rejected: {commonest(tally.reasons)}" if tally.reasons else "it is empty"


def _notes(tally: _Tally) -> list[str]:
    notes = [f"converted from {part.file.path.name} ({part.strategy})" for part in tally.source.parts]
    rejected = sum(tally.reasons.values())
    return [*notes, f"entries left out, see {REJECTS}: {rejected}"] if rejected else notes


def output_format(name: str | None, out: Path) -> Format:
    """The format to write; raises `UserError` where neither a name nor the output tells it."""
    if name is None and out.suffix.lower() in SUFFIXES:
        raise UserError(f"{out} may be of several formats; name one with --to")
    return format_named(name or "videopath")
