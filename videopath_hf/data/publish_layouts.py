"""The two layouts of published data: which files they are, and which of them the Hub still lacks."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from videopath_hf.data.folder import MEDIA_FOLDERS
from videopath_hf.data.hub import HubRepo
from videopath_hf.data.messages import with_paths
from videopath_hf.data.publish_settings import PublishSettings
from videopath_hf.data.publish_survey import Part, Survey
from videopath_hf.files import file_sha256, resolve_inside
from videopath_hf.progress import track
from videopath_hf.records import InstructionRecord

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd

_FILES_A_COMMIT = 1000
_FILES_A_BATCH = 200
# The Hub lists at most 10,000 files a folder: https://huggingface.co/docs/hub/storage-limits
_FILES_A_FOLDER = 5000


class Ledger:
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


class Layout:
    """What both layouts share: what the Hub shows before and what it is to show.

    `additions` are stored and wait for a commit; `shown` are the paths of all data files, `bytes` their size,
    `written` counts those that were made or hashed, `sent` those that were not there; `changed` tells of commits.

    Args:
        survey (`Survey`): what is published.
        hub (`HubRepo`): where to, connected.
        settings (`PublishSettings`): how.
        work (`Path`): folder for what is made on the way.
        before (`Mapping[str, str]`): what the Hub shows, as `HubRepo.files` tells.
    """

    def __init__(
        self, survey: Survey, hub: HubRepo, settings: PublishSettings, work: Path, before: Mapping[str, str]
    ) -> None:
        self.survey, self.hub, self.settings, self.work, self.before = survey, hub, settings, work, before
        self.ledger = Ledger(work / "made.jsonl")
        self.shown: set[str] = set()
        self.additions: list[CommitOperationAdd] = []
        self.bytes = self.written = self.sent = 0
        self.changed = False

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

    def patterns(self) -> dict[str, str]:
        """A pattern of parquet files by configuration."""
        raise NotImplementedError


class ParquetLayout(Layout):
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


class FolderLayout(Layout):
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
    folder = f"{MEDIA_FOLDERS[media.type]}/{record.split}/"
    name = media.path.removeprefix(folder) if media.path.startswith(folder) else f"more/{media.path}"
    if deep:
        name = f"{sha256(name.encode()).hexdigest()[:2]}/{name}"
    path = folder + name
    return record if path == media.path else with_paths(record, lambda _: path)
