"""Repositories of the stand-in: commits in memory, contents on disk."""

import hashlib
import itertools
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STORED_LARGE = (".parquet", ".mp4", ".jpg", ".jpeg", ".png", ".safetensors", ".bin", ".zip")


class Refused(Exception):
    """A request that the Hub answers with an error."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass(frozen=True)
class Entry:
    """A file at a commit: `oid` of the git blob; `sha256` where the content is stored as a large file."""

    oid: str
    size: int
    sha256: str | None = None


@dataclass(frozen=True)
class Commit:
    oid: str
    title: str
    files: dict[str, Entry]


@dataclass
class Repo:
    """A repository of any type: its commits, oldest first, and what its refs name."""

    kind: str
    name: str
    private: bool
    commits: list[Commit] = field(default_factory=list)
    refs: dict[str, str] = field(default_factory=dict)

    def at(self, revision: str) -> Commit:
        oid = self.refs.get(revision, revision)
        for commit in self.commits:
            if commit.oid == oid:
                return commit
        raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def blob_oid(data: bytes) -> str:
    """What git calls a file of these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def pointer_oid(sha256: str, size: int) -> str:
    """What git calls the pointer of a large file."""
    return blob_oid(f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode())


class Store:
    """All repositories, under one lock.

    Args:
        folder (`Path`): where contents are kept, large ones by their SHA-256, others by their git oid.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.repos: dict[tuple[str, str], Repo] = {}
        self.lock = threading.RLock()
        self._numbers = itertools.count()

    def content(self, oid: str) -> Path:
        """Where the content that an oid or SHA-256 names is, or would be, kept."""
        return self.folder / oid

    def create(self, kind: str, name: str, private: bool) -> Repo:
        with self.lock:
            repo = self.repos[kind, name] = Repo(kind, name, private)
            self._append(repo, "main", "initial commit", {})
            return repo

    def delete(self, kind: str, name: str) -> None:
        with self.lock:
            self.find(kind, name)
            del self.repos[kind, name]

    def find(self, kind: str, name: str) -> Repo:
        repo = self.repos.get((kind, name))
        if repo is None:
            raise Refused(404, "Repository not found", "RepoNotFound")
        return repo

    def commit(self, repo: Repo, branch: str, lines: Iterable[dict[str, Any]]) -> Commit:
        """Apply the operations of a commit, all or none."""
        with self.lock:
            head = repo.at(branch)
            files, title = dict(head.files), ""
            for line in lines:
                value = line["value"]
                if line["key"] == "header":
                    title = value["summary"]
                    if value.get("parentCommit") not in (None, head.oid):
                        raise Refused(412, "A commit has happened since. Please refresh and try again.")
                elif line["key"] == "deletedFolder":
                    files = {path: entry for path, entry in files.items() if not path.startswith(value["path"])}
                elif line["key"] == "deletedFile":
                    if files.pop(value["path"], None) is None:
                        raise Refused(400, f"{value['path']} does not exist")
                else:
                    files[value["path"]] = self._entry(line["key"], value)
            return self._append(repo, branch, title, files)

    def _entry(self, key: str, value: dict[str, Any]) -> Entry:
        import base64

        if key == "file":
            data = base64.b64decode(value["content"])
            oid = blob_oid(data)
            self.content(oid).write_bytes(data)
            return Entry(oid, len(data))
        sha256 = value["oid"]
        if key != "lfsFile" or not self.content(sha256).is_file():
            raise Refused(400, f"LFS object {sha256} was never uploaded")
        size = self.content(sha256).stat().st_size
        return Entry(pointer_oid(sha256, size), size, sha256)

    def _append(self, repo: Repo, branch: str, title: str, files: dict[str, Entry]) -> Commit:
        seed = f"{repo.kind}/{repo.name}/{next(self._numbers)}/{title}"
        commit = Commit(hashlib.sha1(seed.encode()).hexdigest(), title, files)
        repo.commits.append(commit)
        repo.refs[branch] = commit.oid
        return commit
