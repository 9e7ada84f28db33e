"""Where visitors' files lie: a folder of this run that nobody else may read, gone when the run is over.

A run that is killed cannot clean up; the next one does. Every run holds a lock beside its folder, so a folder whose
lock is free belongs to a run that is dead.
"""

import getpass
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from videopath_hf.errors import UserError


class Storage:
    """The folder of one run of the app.

    Args:
        parent (`Path`, *optional*): where it is made; a folder of this user's below the system's temporary one if
            omitted. What dead runs left there is deleted; `removed` says how many folders.

    Raises:
        UserError: `parent` is somebody else's.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self.parent = parent or Path(tempfile.gettempdir()) / f"videopath_app_{_user()}"
        self.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.parent.stat().st_uid != os.getuid():
            raise UserError(f"the folder for uploads, {self.parent}, belongs to another user; name one with --uploads")
        self.removed = _remove_dead(self.parent)
        self.root = self.parent / f"run_{secrets.token_hex(8)}"
        self._lock = FileLock(_lock(self.root))
        self._lock.acquire()
        self.root.mkdir(mode=0o700)

    def folder(self) -> Path:
        """A new, empty folder with a name that cannot be guessed."""
        path = self.root / secrets.token_hex(16)
        path.mkdir(mode=0o700)
        return path

    def close(self) -> None:
        """Delete everything. It may be called twice."""
        shutil.rmtree(self.root, ignore_errors=True)
        self._lock.release()
        _lock(self.root).unlink(missing_ok=True)


def _lock(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _remove_dead(parent: Path) -> int:
    """Delete the folders of runs that hold their lock no more, and return how many."""
    removed = 0
    for folder in [path for path in parent.glob("run_*") if path.is_dir()]:
        try:
            with FileLock(_lock(folder), timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except Timeout:  # it is alive
            continue
        _lock(folder).unlink(missing_ok=True)
        removed += 1
    return removed


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())
