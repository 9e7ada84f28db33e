"""Publishing a dataset folder: what plain `datasets` opens from the Hub without any code of ours."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, Field

from videopath_hf.data.card import MARK, Published, render_card
from videopath_hf.data.hub import HubRepo
from videopath_hf.data.survey import Part, Survey, survey_dataset
from videopath_hf.errors import UserError
from videopath_hf.files import file_sha256, read_json, resolve_inside
from videopath_hf.progress import note, track
from videopath_hf.records import InstructionKind, InstructionRecord, Split
from videopath_hf.runs import installed_versions
from videopath_hf.settings import Settings

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd

WORK = ".publish"
"""Folder of a dataset folder that holds what is being published."""

_OURS = re.compile(r"(data|images)/(train|test)-\d{5}-of-\d{5}\.parquet|(videos|images)/(train|test)/.+")
_FILES_A_COMMIT = 1000
_FILES_A_BATCH = 200
# The Hub lists at most 10,000 files a folder: https://huggingface.co/docs/hub/storage-limits
_FILES_A_FOLDER = 5000


class PublishSettings(Settings):
    """Settings of `videopath push dataset`.

    Args:
        layout (`str`, defaults to `"parquet"`): `"parquet"` shards with embedded media, or a `"folder"` of media with
            `metadata.parquet`.
        private (`bool`, defaults to `False`): make the repository private.
        kinds (`tuple[str, ...]`): kinds of records to publish; all if omitted.
        licence (`str`, *optional*): licence of the records whose own is unknown, stated by whoever holds the rights.
        shard_mb (`float`, defaults to 500.0): megabytes of media after which a shard ends.
        group_mb (`float`, defaults to 32.0): megabytes of media in a row group; the Hub's viewer reads at most 300.
        timeout (`float`, defaults to 60.0): seconds to wait for any answer of the Hub.
        patience (`float`, defaults to 900.0): seconds for which a Hub that fails or limits is tried again.
    """

    layout: Literal["parquet", "folder"] = "parquet"
    private: bool = False
    kinds: Annotated[tuple[InstructionKind, ...], Field(min_length=1)] = ("caption", "image", "clip", "video")
    licence: str | None = None
    shard_mb: Annotated[float, Field(gt=0)] = 500.0
    group_mb: Annotated[float, Field(gt=0, le=300)] = 32.0
    timeout: Annotated[float, Field(gt=0)] = 60.0
    patience: Annotated[float, Field(ge=0)] = 900.0


class PublishSummary(BaseModel):
    """What a run of `videopath push dataset` did.

    `files` counts data files, `written` those whose bytes had to be made or looked at, `sent` those that the
    repository did not show yet, `removed` those of an earlier state; `changed` says whether a commit was made.
    """

    repo: str
    url: str
    layout: str
    records: dict[str, dict[str, int]]
    files: int
    bytes: int
    written: int
    sent: int
    removed: int
    changed: bool
    notes: list[str]


def publish_dataset(root: str | Path, repo: str, settings: PublishSettings) -> PublishSummary:
    """Publish a dataset folder, its card last; the same call goes on where a run was interrupted.

    Shards are made one at a time, stored on the Hub and shown by one commit together with the card, so nobody loads
    half a dataset. Of the folder layout, media come in commits of their own before the metadata that name them.

    Args:
        root (`str` or `Path`): a dataset folder.
        repo (`str`): `owner/name`, or `name` in one's own account.
        settings (`PublishSettings`): how.

    Raises:
        UserError: anything wrong with the folder, found before the Hub is asked for anything; licences that are
            unknown or forbid it; a repository that holds a card of someone else; no login, no right, no network.
    """
    root = Path(root)
    survey = survey_dataset(root, settings.kinds, settings.licence, int(settings.shard_mb * 1e6), _salt(settings))
    hub = HubRepo(repo, "dataset", settings.timeout, settings.patience)
    with _claimed(root) as work, hub.connected(settings.private):
        run = (_Folder if settings.layout == "folder" else _Parquet)(survey, hub, settings, work)
        return run.publish()


def check_publishable(root: str | Path, settings: PublishSettings) -> dict[str, object]:
    """What `publish_dataset` would publish; nothing is sent and nothing written. Raises as it does."""
    survey = survey_dataset(Path(root), settings.kinds, settings.licence, int(settings.shard_mb * 1e6))
    files = [part.files if settings.layout == "folder" else len(part.shards) for part in survey.parts]
    return {
        "layout": settings.layout,
        "records": _counts(survey),
        "files": sum(files),
        "bytes": sum(shard.bytes for part in survey.parts for shard in part.shards),
        "licences": dict(survey.census.licences),
        "notes": _notes(survey, settings),
    }


def _salt(settings: PublishSettings) -> str:
    versions = installed_versions(["pyarrow", "datasets"])
    return f"{settings.group_mb}:{versions}"


@contextmanager
def _claimed(root: Path) -> Iterator[Path]:
    work = root / WORK
    try:
        work.mkdir(exist_ok=True)
        with FileLock(work / ".lock", timeout=0):
            for left in work.glob("tmp*"):
                shutil.rmtree(left)  # a killed run was writing it
            yield work
    except Timeout:
        raise UserError(f"{root} is being published by another run; wait for it") from None


def _counts(survey: Survey) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (kind, split), number in sorted(survey.census.records.items()):
        counts.setdefault(kind, {"train": 0, "test": 0})[split] = number
    return counts


def _notes(survey: Survey, settings: PublishSettings) -> list[str]:
    notes = []
    if settings.layout == "parquet" and (large := max(part.largest for part in survey.parts)) > 300_000_000:
        notes.append(f"the largest clip has {large / 1e6:.0f} MB: the Hub's viewer shows no row groups above 300 MB")
    if settings.licence is not None and settings.licence in survey.census.licences:
        notes.append(f"licence {settings.licence!r} is stated for the records that name none")
    return notes


class _Ledger:
    """SHA-256 and size of files that were made before, by a key of all that decides their bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, tuple[str, int]] = {}
        self._torn = False
        if path.exists():
            text = path.read_text(encoding="utf-8")
            self._torn = bool(text) and not text.endswith("\n")
            for line in text.splitlines():
                try:
                    key, digest, size = json.loads(line)
                except ValueError:  # the line that a killed run was writing
                    continue
                self._known[key] = digest, size

    def get(self, key: str) -> tuple[str, int] | None:
        """What was made under a key."""
        return self._known.get(key)

    def add(self, key: str, digest: str, size: int) -> None:
        """Write down what was made."""
        if self._known.get(key) == (digest, size):
            return
        self._known[key] = digest, size
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(("\n" if self._torn else "") + json.dumps([key, digest, size]) + "\n")
        self._torn = False


class _Run:
    """What both layouts share: what the Hub shows before, what it is to show, and the commit that changes it."""

    def __init__(self, survey: Survey, hub: HubRepo, settings: PublishSettings, work: Path) -> None:
        self.survey, self.hub, self.settings, self.work = survey, hub, settings, work
        self.ledger = _Ledger(work / "made.jsonl")
        self.before = hub.files()
        self.shown: set[str] = set()
        self.additions: list[CommitOperationAdd] = []
        self.bytes = self.written = self.sent = 0
        self.changed = False

    def publish(self) -> PublishSummary:
        """Send what is missing and show it."""
        self._check_card()
        self.send_data()
        removed = sorted(path for path in self.before if _OURS.fullmatch(path) and path not in self.shown)
        self._send_card()
        count = sum(self.survey.census.records.values())
        self.changed |= self.hub.commit(self.additions, removed, f"Publish {count} records with videopath_hf")
        for text in (notes := _notes(self.survey, self.settings)):
            note(text)
        return PublishSummary(
            repo=self.hub.name,
            url=self.hub.url,
            layout=self.settings.layout,
            records=_counts(self.survey),
            files=len(self.shown),
            bytes=self.bytes,
            written=self.written,
            sent=self.sent,
            removed=len(removed),
            changed=self.changed,
            notes=notes,
        )

    def send_data(self) -> None:
        """Store the data files."""
        raise NotImplementedError

    def take(self, path: str, size: int, digest: str | None) -> bool:
        """Count a data file; whether the Hub shows this content at its path already."""
        self.shown.add(path)
        self.bytes += size
        return digest is not None and self.before.get(path) == digest

    def send(self, files: Sequence[tuple[str, Path | bytes]]) -> None:
        """Store files, to be shown by the next commit."""
        self.additions += self.hub.store(files)
        self.sent += len(files)

    def _check_card(self) -> None:
        if "README.md" in self.before and not re.search(rf"^- {MARK}$", self.hub.read("README.md"), re.MULTILINE):
            raise UserError(
                f"{self.hub.name} has a README.md that videopath did not write; publish to a new repository, or "
                "delete that file on the Hub if nobody needs it"
            )

    def _send_card(self) -> None:
        from videopath_hf.data.croissant import croissant
        from videopath_hf.data.published import COLUMN_NAMES, dataset_info

        splits: dict[str, set[Split]] = {"video": set(), "image": set()}
        for part in self.survey.parts:
            splits[part.media_type].add(part.split)
        published = Published(
            self.hub.name,
            self.settings.layout,
            dataset_info(self.survey.parts, self.settings.layout, self.bytes),
            self.bytes,
            len(self.shown),
        )
        run = self.survey.root / "run.json"
        notes = read_json(run).get("notes", []) if run.is_file() else []
        card = render_card(self.survey.census, splits, notes, published)
        summary = card.split("\n# ", 1)[1].split("\n\n")[1]
        described = croissant(
            self.hub.name, self.hub.url, summary, list(self.survey.census.licences), self.patterns(), COLUMN_NAMES
        )
        text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
        self.additions += self.hub.store([("croissant.json", text.encode()), ("README.md", card.encode())])

    def patterns(self) -> dict[str, str]:
        """A pattern of parquet files by configuration."""
        raise NotImplementedError


class _Parquet(_Run):
    """Shards whose rows hold their medium."""

    def send_data(self) -> None:
        shards = [(part, number) for part in self.survey.parts for number in range(len(part.shards))]
        for part, number in track(shards, "Publishing shards"):
            self._send_shard(part, number)

    def _send_shard(self, part: Part, number: int) -> None:
        from videopath_hf.data.shards import write_shard

        shard = part.shards[number]
        folder = "data" if part.media_type == "video" else "images"
        path = f"{folder}/{part.split}-{number:05d}-of-{len(part.shards):05d}.parquet"
        made = self.ledger.get(shard.key)
        if made is not None and self.before.get(path) == made[0]:
            self.take(path, made[1], made[0])
            return
        with tempfile.TemporaryDirectory(dir=self.work) as folder_name:
            local = Path(folder_name) / Path(path).name
            rows = self.survey.records(part, shard.first, shard.rows)
            media = ((resolve_inside(self.survey.root, record.media[0].path), published(record)) for record in rows)
            write_shard(local, part.media_type, media, int(self.settings.group_mb * 1e6))
            digest, size = file_sha256(local), local.stat().st_size
            self.written += 1
            if not self.take(path, size, digest):
                self.send([(path, local)])
            self.ledger.add(shard.key, digest, size)

    def patterns(self) -> dict[str, str]:
        found = {}
        for part in self.survey.parts:
            name, folder = ("default", "data") if part.media_type == "video" else ("images", "images")
            found[name] = f"{folder}/*.parquet"
        return found


class _Folder(_Run):
    """Media as files, and the metadata that name them."""

    def send_data(self) -> None:
        for part in self.survey.parts:
            self._send_media(part)
        for part in self.survey.parts:
            self._send_metadata(part)

    def _send_media(self, part: Part) -> None:
        waiting: list[tuple[str, Path | bytes]] = []
        for record in track(self.survey.records(part), "Publishing media", len(part.offsets)):
            local = resolve_inside(self.survey.root, record.media[0].path)
            path = published(record, part.files > _FILES_A_FOLDER).media[0].path
            if path in self.shown:
                continue
            state = local.stat()
            key = sha256(f"{path}\0{state.st_size}\0{state.st_mtime_ns}".encode()).hexdigest()
            made = self.ledger.get(key)
            if made is None:
                made = file_sha256(local), state.st_size
                self.ledger.add(key, *made)
                self.written += 1
            if not self.take(path, made[1], made[0]):
                waiting.append((path, local))
            if len(waiting) == _FILES_A_BATCH:
                self._send_batch(waiting)
                waiting = []
        self._send_batch(waiting)

    def _send_batch(self, files: Sequence[tuple[str, Path | bytes]]) -> None:
        if files:
            self.send(files)
        if len(self.additions) >= _FILES_A_COMMIT:
            self.changed |= self.hub.commit(self.additions, [], f"Add {len(self.additions)} media files")
            self.additions = []

    def _send_metadata(self, part: Part) -> None:
        from videopath_hf.data.table import write_metadata

        path = f"{part.folder}/metadata.parquet"
        deep = part.files > _FILES_A_FOLDER
        with tempfile.TemporaryDirectory(dir=self.work) as folder_name:
            local = Path(folder_name) / "metadata.parquet"
            rows = (published(record, deep) for record in self.survey.records(part))
            write_metadata(local, ((row.media[0].path.removeprefix(f"{part.folder}/"), row) for row in rows))
            self.written += 1
            if not self.take(path, local.stat().st_size, file_sha256(local)):
                self.send([(path, local)])

    def patterns(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for part in self.survey.parts:
            name = "default" if part.media_type == "video" else "images"
            found[name] = f"{part.folder.split('/')[0]}/*/metadata.parquet"
        return found


def published(record: InstructionRecord, deep: bool = False) -> InstructionRecord:
    """The record as it is published: its medium at a path of the folder layout, in its messages too.

    Args:
        record (`InstructionRecord`): shows one medium.
        deep (`bool`, defaults to `False`): part the files of one split among 256 folders.
    """
    media = record.media[0]
    folder = f"{'videos' if media.type == 'video' else 'images'}/{record.split}/"
    name = media.path.removeprefix(folder) if media.path.startswith(folder) else f"more/{media.path}"
    if deep:
        name = f"{sha256(name.encode()).hexdigest()[:2]}/{name}"
    path = folder + name
    if path == media.path:
        return record
    messages = [{**message, "content": _with_path(message.get("content"), path)} for message in record.messages]
    return record.model_copy(update={"media": [media.model_copy(update={"path": path})], "messages": messages})


def _with_path(content: object, path: str) -> object:
    if not isinstance(content, list):
        return content
    return [{**block, "path": path} if block.get("type") in ("video", "image") else block for block in content]
