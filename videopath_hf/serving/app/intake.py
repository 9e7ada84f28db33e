"""Files that visitors bring: taken in, looked at, and made the case that is asked about."""

import shutil
import threading
import unicodedata
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from videopath_hf.errors import UserError
from videopath_hf.serving.app.check import check
from videopath_hf.serving.app.examples import Example
from videopath_hf.serving.app.settings import AppSettings
from videopath_hf.serving.app.visits import Case, Visit, Visits

_INCOMING = "incoming"
_NAME_LENGTH = 80


class Intake:
    """Takes files in.

    Args:
        visits (`Visits`): whose they are.
        settings (`AppSettings`): see there.
        examples (`Sequence[Example]`): what may be picked instead.
    """

    def __init__(self, visits: Visits, settings: AppSettings, examples: Sequence[Example]) -> None:
        self.visits = visits
        self.settings = settings
        self.limits = settings.limits
        self.examples = examples
        self._checks = threading.Semaphore(settings.limits.checks)
        self._lock = threading.Lock()
        self._coming = 0  # bytes on their way

    @contextmanager
    def receive(self, length: int) -> Generator[Path, None, None]:
        """Where the bytes of a file are to be written while it comes in; its room is kept until then.

        Args:
            length (`int`): bytes, as the browser says.

        Raises:
            UserError: the file is empty or too large, or all files together would be.
        """
        if length == 0:
            raise UserError("the file is empty (0 bytes)")
        if length > self.limits.file_mb * 1e6:
            raise UserError(
                f"the file has {length / 1e6:.1f} MB, more than the {self.limits.file_mb:g} MB accepted; cut it, or "
                "compress it further"
            )
        with self._lock:
            if self.visits.stored() + self._coming + length > self.limits.stored_mb * 1e6:
                raise UserError("there is no room for another file just now; try again in some minutes")
            self._coming += length
        path = self.visits.storage.folder() / _INCOMING
        try:
            yield path
        except BaseException:
            shutil.rmtree(path.parent, ignore_errors=True)
            raise
        finally:
            with self._lock:
                self._coming -= length

    def accept(self, visit: Visit) -> None:
        """Look at the file that came in last, and make it the visit's case.

        Raises:
            UserError: there is none, or it is not taken; what was there before stays.
        """
        if visit.incoming is None:
            raise UserError("no file came in; choose it again")
        folder, name = visit.incoming
        visit.incoming = None
        try:
            with self._checks:
                medium = check(folder, _INCOMING, name, self.settings)
        except UserError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self.visits.put(visit, Case(folder.name, name, folder, medium))

    def take_example(self, visit: Visit, number: int) -> None:
        """Make an example the visit's case.

        Raises:
            UserError: there is no such example.
        """
        if not 0 <= number < len(self.examples):
            raise UserError("there is no such example")
        example = self.examples[number]
        path = self.visits.storage.folder() / _INCOMING
        shutil.copyfile(example.path, path)
        self.visits.hold(visit, (path.parent, example.title))
        self.accept(visit)


def clean_name(name: str) -> str:
    """What a file is called in messages: the last part of its name, without what cannot be seen, not too long."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    seen = "".join(char for char in last if unicodedata.category(char)[0] != "C").strip()
    return (seen if len(seen) <= _NAME_LENGTH else f"{seen[: _NAME_LENGTH - 1]}…") or "the file"
