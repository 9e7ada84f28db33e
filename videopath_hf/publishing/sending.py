"""Making a branch of a repository hold what it should, and sending nothing that it holds already."""

from collections.abc import Mapping
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from videopath_hf.data.card import MARK
from videopath_hf.data.hub import BLOB_DIGITS, HubRepo, blob_hash
from videopath_hf.data.publish_layouts import Ledger
from videopath_hf.files import file_sha256
from videopath_hf.publishing.facts import EXAMPLE

_OURS = ("*.safetensors", "*.json", "*.py", "*.jinja", "merges.txt", "requirements.txt", "training/*.yaml", EXAMPLE)


class Sent(NamedTuple):
    """What was sent: files and bytes of all that is shown, files that were new, files removed, whether anything
    changed."""

    files: int = 0
    bytes: int = 0
    sent: int = 0
    removed: int = 0
    changed: bool = False

    def plus(self, other: "Sent") -> "Sent":
        """Both together."""
        return Sent(
            self.files + other.files,
            self.bytes + other.bytes,
            self.sent + other.sent,
            self.removed + other.removed,
            self.changed or other.changed,
        )


def send(hub: HubRepo, files: Mapping[str, Path | bytes], ledger: Ledger) -> Sent:
    """Make a branch hold exactly these files, beside what nobody publishes here.

    Args:
        hub ([`HubRepo`]): connected, on that branch.
        files (`Mapping[str, Path | bytes]`): contents by path.
        ledger ([`Ledger`]): hashes of large files that were made before.

    Raises:
        UserError: the repository has a card of somebody else.
    """
    before = hub.files()
    hub.check_card(before, MARK)
    new = [(path, content) for path, content in sorted(files.items()) if not _shown(before.get(path), content, ledger)]
    old = sorted(path for path in before if path not in files and any(fnmatch(path, pattern) for pattern in _OURS))
    changed = bool(new or old) and hub.commit(hub.store(new), old, "Publish a model with videopath_hf")
    sizes = [len(content) if isinstance(content, bytes) else content.stat().st_size for content in files.values()]
    return Sent(len(files), sum(sizes), len(new), len(old), changed)


def _shown(digest: str | None, content: Path | bytes, ledger: Ledger) -> bool:
    """Whether the Hub has this content: by SHA-256 of large files, by git's hash of the others."""
    if digest is None:
        return False
    if len(digest) == BLOB_DIGITS:
        return digest == blob_hash(content if isinstance(content, bytes) else content.read_bytes())
    if isinstance(content, bytes):
        return digest == sha256(content).hexdigest()
    state = content.stat()
    key = sha256(f"{content.resolve()}\0{state.st_size}\0{state.st_mtime_ns}".encode()).hexdigest()
    made = ledger.get(key)
    if made is None:
        made = file_sha256(content), state.st_size
        ledger.add(key, *made)
    return digest == made[0]
