"""What models and media are known by: hashes of their content, read once for as long as a file does not change."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from videopath_hf.data.stores import Found, as_file
from videopath_hf.errors import UserError
from videopath_hf.files import content_hash, file_sha256
from videopath_hf.llm.log import AppendLog, read_log

_WEIGHTS = ("*.safetensors", "*config.json", "tokenizer*", "vocab.json", "merges.txt", "*.jinja", "*.py")


class _Known(BaseModel):
    key: str
    sha256: str


class Hashes:
    """SHA-256 of files, each read once for as long as its size and time do not change.

    Args:
        path (`Path`, *optional*): where they were kept by an earlier run.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._known = {entry.key: entry.sha256 for entry in read_log(path, _Known)} if path else {}
        self._new: list[_Known] = []
        self._log: AppendLog[_Known] | None = None

    @contextmanager
    def kept_in(self, path: Path) -> Iterator[None]:
        """Keep all that are new in a file; one process at a time may hold it."""
        with AppendLog(path, _Known) as self._log:
            for entry in self._new:
                self._log.append(entry)
            self._new = []
            yield
        self._log = None

    def of(self, found: Found, path: Path | None = None) -> str:
        """Hash of a medium, in a folder or in a zip file; `path` is the medium as a file, where that is at hand."""
        if found.key not in self._known:
            if path is not None:
                self._keep(found.key, file_sha256(path))
            else:
                with as_file(found) as unpacked:
                    self._keep(found.key, file_sha256(unpacked))
        return self._known[found.key]

    def of_file(self, path: Path) -> str:
        """Hash of a file."""
        state = path.stat()
        return self.of(Found(str(path), state.st_size, f"{path.resolve()}:{state.st_size}:{state.st_mtime_ns}", path))

    def _keep(self, key: str, sha256: str) -> None:
        entry = _Known(key=key, sha256=sha256)
        self._known[key] = sha256
        if self._log is not None:
            self._log.append(entry)
        else:
            self._new.append(entry)


class ModelIdentity(BaseModel):
    """Which model it is.

    Args:
        name (`str`): as it was given.
        kind (`str`): `"videopath"`, `"transformers"`, `"server"`, or `"file"` for answers made elsewhere.
        key (`str`): changes when the model does: hash of a folder's weights, settings and tokenizer, commit of a model
            on the Hub, name of a model behind an address, hash of a file of answers.
        details (`dict`): what else is known of it: class, commit, device, precision.
    """

    name: str
    kind: str
    key: str
    details: dict[str, Any] = {}


def checkpoint_key(model: str, revision: str | None, hashes: Hashes) -> tuple[str, str | None]:
    """Key of a checkpoint, and its commit if it is on the Hub.

    Raises:
        UserError: there is no such folder, and no such model on the Hub.
    """
    folder = Path(model)
    if folder.is_dir():
        files = sorted({path for pattern in _WEIGHTS for path in folder.glob(pattern)})
        return content_hash([(path.name, hashes.of_file(path)) for path in files]), None
    commit = _commit(model, revision)
    return commit, commit


def _commit(model: str, revision: str | None) -> str:
    from transformers.utils import cached_file, extract_commit_hash

    try:
        config = cached_file(model, "config.json", revision=revision)
        commit = extract_commit_hash(Path(config).as_posix(), None)
    except (OSError, ValueError):
        commit = None
    if commit is None:
        wanted = f"{model} (revision {revision})" if revision else model
        raise UserError(
            f"{wanted} is not a folder, and no model of that id can be fetched from the Hub: check the name and the "
            "network, or give a checkpoint folder, or an address that starts with http:// or https://"
        )
    return commit
