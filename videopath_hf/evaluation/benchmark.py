"""The records that are evaluated, and where their media are: of a dataset folder, a file or zip, or the Hub."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from videopath_hf.data.folder import INSTRUCTIONS, scan_instructions
from videopath_hf.data.media import link_or_copy
from videopath_hf.data.sources import Source, commonest, open_source, reason_kind
from videopath_hf.data.stores import Found, MediaStores
from videopath_hf.errors import UserError
from videopath_hf.evaluation.settings import ScoreSettings
from videopath_hf.files import atomic_path, content_hash, file_sha256
from videopath_hf.records import InstructionRecord, Media, RecordReject

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass
class Benchmark:
    """Records to be asked about.

    Args:
        name (`str`): the data as they were named.
        records (`list[InstructionRecord]`): in order, ids unique.
        rejects (`list[RecordReject]`): entries of the source that make no record.
        stores (`MediaStores`): where the media are.
        commit (`str`, *optional*): of data on the Hub.
    """

    name: str
    records: list[InstructionRecord]
    rejects: list[RecordReject]
    stores: MediaStores
    commit: str | None = None

    @cached_property
    def hash(self) -> str:
        """Hash of what is asked and what is right: equal for the same records out of any source, in any order."""
        parts = [(record.id, record.question, record.answer, record.diagnosis) for record in self.records]
        return content_hash(sorted(parts, key=lambda part: part[0]))

    def media(self, record: InstructionRecord) -> list[Found]:
        """Where a record's media are.

        Raises:
            UserError: one is missing, empty, or must not be read.
        """
        found = []
        for medium in record.media:
            place = self.stores.find(medium.path)
            if place is None:
                raise UserError(f"medium is missing: {medium.path}")
            if place.size == 0:
                raise UserError(f"medium is empty (0 bytes): {place.place}")
            found.append(place)
        return found


@dataclass
class DataSource:
    """Where records come from, known before they are all read: `key` tells when they change."""

    name: str
    key: str
    settings: ScoreSettings
    local: Source | None = None
    commit: str | None = None
    media: list[Path] = field(default_factory=list)

    def open(self, folder: Path) -> Benchmark:
        """Read the records; media of the Hub are brought into `folder`.

        Raises:
            UserError: nothing can be read there, or no record is of the split and kinds wanted.
        """
        if self.local is None:
            return _from_hub(self, folder)
        found: list[InstructionRecord] = []
        rejects: list[RecordReject] = []
        others: Counter[tuple[str, str]] = Counter()
        for item in _read_local(self.local, self.settings):
            if isinstance(item, RecordReject):
                rejects.append(item)
            elif item.split == self.settings.split and item.kind in self.settings.kinds:
                found.append(item)
            else:
                others[item.split, item.kind] += 1
        _check_some(self, found, others, rejects)
        return Benchmark(self.name, found[: self.settings.limit], rejects, self.local.stores)


def find_data(data: str | Path, settings: ScoreSettings, media: Sequence[Path] = ()) -> DataSource:
    """What `data` names.

    Args:
        data (`str` or `Path`): a dataset folder; a `.json`, `.jsonl` or `.csv` file of records, such as the authors'
            released test file, or a `.zip` with one; or a repository `OWNER/NAME` on the Hub, published by
            `videopath push dataset`.
        settings (`ScoreSettings`): split, kinds, limit and revision.
        media (`Sequence[Path]`): folders and zip files with the media; by default where the records are.

    Raises:
        UserError: nothing of the kind is there.
    """
    path = Path(data)
    if path.exists():
        if settings.data_revision:
            raise UserError(f"{data} is on this machine, and only data on the Hub have revisions; leave it out")
        if path.is_dir() and not (path / INSTRUCTIONS).is_file():
            raise UserError(
                f"{data} is not a dataset folder: it has no {INSTRUCTIONS}; make one with `videopath instruct`, or "
                f"give a file of records, and --media {data}"
            )
        source = open_source(path, media=[Path(place) for place in media])
        key = file_sha256(path / INSTRUCTIONS) if path.is_dir() else source.key()
        return DataSource(str(data), key, settings, source)
    if not _HUB_ID.fullmatch(str(data)) or path.suffix.lower() in (".json", ".jsonl", ".csv", ".zip", ".yaml"):
        raise UserError(
            f"{data} does not exist; data are a dataset folder, a .json, .jsonl, .csv or .zip file of records, or "
            "OWNER/NAME of what was published on the Hub"
        )
    commit = _data_commit(str(data), settings.data_revision)
    return DataSource(str(data), commit, settings, commit=commit)


def _read_local(source: Source, settings: ScoreSettings) -> Any:
    # A dataset folder is ours: a malformed record in it is an error, of other sources it is counted.
    if source.path.is_dir():
        return (record for _, record in scan_instructions(source.path, settings.kinds, settings.split))
    return source.read()


def _check_some(
    source: DataSource, found: list[InstructionRecord], others: Counter[tuple[str, str]], rejects: list[RecordReject]
) -> None:
    if found:
        return
    wanted = f"{source.name} holds no {source.settings.split} records of kind {', '.join(source.settings.kinds)}"
    if others:
        there = ", ".join(f"{count} {split} of kind {kind}" for (split, kind), count in sorted(others.items()))
        raise UserError(f"{wanted}, but {there}: set split and kinds")
    if rejects:
        reasons = Counter(reason_kind(reject.reason) for reject in rejects)
        raise UserError(f"{wanted}: none of its {len(rejects)} entries makes a record ({commonest(reasons)})")
    raise UserError(f"{wanted}; write it with a test_fraction above 0, or set split and kinds")


def _data_commit(name: str, revision: str | None) -> str:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        commit = HfApi().dataset_info(name, revision=revision).sha
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, ValueError) as error:
        shown = " ".join(str(error).split())[:120]
        raise UserError(
            f"{name} is not a folder or file, and no dataset of that id can be fetched from the Hub ({shown}): check "
            "the name and the network"
        ) from None
    return str(commit)


def _from_hub(source: DataSource, folder: Path) -> Benchmark:
    """The records of a repository, with its media as files in `folder`."""
    from videopath_hf.data.load import load_instruct

    settings = source.settings
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    for row in load_instruct(source.name, settings.split, settings.kinds, source.commit):
        shown: list[Media] = []
        messages = [_placed(message, folder, shown) for message in row.pop("messages")]
        fields = {name: value for name, value in row.items() if name in InstructionRecord.model_fields}
        records.append(InstructionRecord(**fields, split=settings.split, media=shown, messages=messages))
        if len(records) == settings.limit:
            break
    return Benchmark(source.name, records, [], MediaStores([folder]), source.commit)


def _placed(message: dict[str, Any], folder: Path, shown: list[Media]) -> dict[str, Any]:
    """A message whose media are files in `folder`, each under the hash of its content."""
    if isinstance(message["content"], str):
        return message
    blocks = []
    for block in message["content"]:
        if block["type"] in ("image", "video"):
            medium = _as_medium(block, folder)
            shown.append(medium)
            block = {"type": medium.type, "path": medium.path}
        blocks.append(block)
    return {**message, "content": blocks}


def _as_medium(block: dict[str, Any], folder: Path) -> Media:
    kind = block["type"]
    if "path" in block:
        path = Path(block["path"])
        name = f"{file_sha256(path)[:24]}{path.suffix.lower()}"
        if not (folder / name).exists():
            link_or_copy(path.resolve(), folder / name)
        return Media(type=kind, path=name)
    data = block[kind]
    name = f"{hashlib.sha256(data).hexdigest()[:24]}{'.jpg' if kind == 'image' else '.mp4'}"
    if not (folder / name).exists():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(data)
    return Media(type=kind, path=name)
