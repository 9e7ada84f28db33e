"""Who is here, what they brought and what was said about it. A visit is one page that is open in one browser."""

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from videopath_hf.errors import UserError
from videopath_hf.modeling.evidence import Evidence
from videopath_hf.records import Answer
from videopath_hf.serving.app.medium import Medium
from videopath_hf.serving.app.settings import Limits
from videopath_hf.serving.app.storage import Storage

_SWEEP_SECONDS = 2.0
GONE = "this page's session is over and its files were deleted; load the page again"


@dataclass
class Said:
    """What one model says to a question, while and after it says it.

    Args:
        model (`str`): its name.
        text (`str`): of the answer up to now.
        answer (`Answer`, *optional*): once it is complete.
        tokens (`list[int]`): its ids, then.
        stopped (`str`, *optional*): why the answer ends where it ends, if not by itself.
    """

    model: str
    text: str = ""
    answer: Answer | None = None
    tokens: list[int] = field(default_factory=list)
    stopped: str | None = None


@dataclass
class Measured:
    """What one answer rests on.

    Args:
        turn (`int`): which question, from 0 on.
        side (`int`): which model.
        target (`str`): the words whose probability is measured.
        whole (`bool`): whether they are the whole answer, not its diagnosis.
        evidence (`Evidence`, *optional*): once something was measured.
        stopped (`str`, *optional*): why it is incomplete.
    """

    turn: int
    side: int
    target: str
    whole: bool
    evidence: Evidence | None = None
    stopped: str | None = None


@dataclass
class Turn:
    """One question and what each model says to it."""

    question: str
    said: list[Said]


@dataclass
class Case:
    """One file and all that was asked about it.

    Args:
        id (`str`): cannot be guessed.
        name (`str`): what its owner calls it; shown, and used for nothing else.
        folder (`Path`): where its files lie, alone.
        medium (`Medium`): what it is.
        turns (`list[Turn]`): in the order asked.
        measured (`list[Measured]`): evidence, the last measured last.
    """

    id: str
    name: str
    folder: Path
    medium: Medium
    turns: list[Turn] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)

    def add(self, measured: Measured) -> None:
        """Add evidence, in the place of older of the same."""
        key = (measured.turn, measured.side, measured.whole)
        self.measured = [old for old in self.measured if (old.turn, old.side, old.whole) != key] + [measured]

    def path(self, name: str) -> Path:
        """One of the files that browsers are given.

        Raises:
            UserError: for any other name.
        """
        if name not in (self.medium.played, *self.medium.thumbnails):
            raise UserError("there is no such file")
        return self.folder / name


@dataclass
class Visit:
    """One open page.

    Args:
        id (`str`): names it in addresses; cannot be guessed.
        session (`str`): Gradio's name of the page.
        user (`str`): the browser, by its cookie: several pages of one browser are one user.
        seen (`float`): when it was last heard of, on `time.monotonic`'s clock.
        left (`float`, *optional*): when the page was closed.
        case (`Case`, *optional*): what it is about.
        incoming (`tuple[Path, str]`, *optional*): folder and name of a file that came in and was not looked at.
    """

    id: str
    session: str
    user: str
    seen: float
    left: float | None = None
    case: Case | None = None
    incoming: tuple[Path, str] | None = None


class Visits:
    """All open pages. What a page brought is deleted soon after it was closed, or was not used for long.

    Args:
        storage (`Storage`): where files lie.
        limits (`Limits`): how many and for how long.
        forget (`Callable[[str], None]`): called with the id of every case that is deleted.
    """

    def __init__(self, storage: Storage, limits: Limits, forget: Callable[[str], None]) -> None:
        self.storage = storage
        self.limits = limits
        self._forget = forget
        self._visits: dict[str, Visit] = {}
        self._lock = threading.RLock()
        self._closed = threading.Event()
        threading.Thread(target=self._sweep_for_ever, name="videopath-sweep", daemon=True).start()

    def open(self, session: str, user: str) -> Visit:
        """Begin a visit, or go on with one that there is.

        Raises:
            UserError: too many pages are open.
        """
        with self._lock:
            known = self._visits.get(session)
            if known is not None and known.user == user:
                return self._touched(known)
            if len(self._visits) >= self.limits.visits:
                raise UserError(
                    f"{self.limits.visits} pages are open, which is all there is room for; try again in a minute"
                )
            visit = Visit(secrets.token_urlsafe(24), session, user, time.monotonic())
            self._visits[session] = visit
            return visit

    def of(self, session: str, user: str) -> Visit:
        """The visit of a page.

        Raises:
            UserError: it is over, or another browser's.
        """
        with self._lock:
            return self._owned(self._visits.get(session), user)

    def by_id(self, id: str, user: str) -> Visit:
        """The visit with an id.

        Raises:
            UserError: there is none, or it is another browser's; the message does not tell which.
        """
        with self._lock:
            return self._owned(next((visit for visit in self._visits.values() if visit.id == id), None), user)

    def leave(self, session: str) -> None:
        """Note that a page was closed. A page whose connection only broke comes back before its files are deleted."""
        with self._lock:
            if (visit := self._visits.get(session)) is not None:
                visit.left = time.monotonic()

    def hold(self, visit: Visit, incoming: tuple[Path, str]) -> None:
        """Note a file that came in, its folder and name; one that came in before and was not looked at is deleted.

        Raises:
            UserError: the visit ended meanwhile; the file is deleted.
        """
        with self._lock:
            there = self._visits.get(visit.session) is visit
            old = visit.incoming if there else incoming
            if there:
                visit.incoming = incoming
        if old is not None:
            shutil.rmtree(old[0], ignore_errors=True)
        if not there:
            raise UserError(GONE)

    def put(self, visit: Visit, case: Case | None) -> None:
        """Replace the case of a visit; what was there is deleted.

        Raises:
            UserError: the visit ended meanwhile; the case is deleted.
        """
        with self._lock:
            there = self._visits.get(visit.session) is visit
            old = visit.case if there else case
            if there:
                visit.case = case
        if old is not None:
            self._delete(old)
        if not there:
            raise UserError(GONE)

    def stored(self) -> int:
        """Bytes that all files take."""
        sizes = 0
        for path in self.storage.root.rglob("*"):
            with suppress(FileNotFoundError):  # it was deleted just now
                sizes += path.stat().st_size
        return sizes

    def sweep(self) -> None:
        """Delete what belongs to pages that were closed or are not used."""
        now = time.monotonic()
        idle = 60 * self.limits.idle_minutes
        with self._lock:
            over = [
                visit
                for visit in self._visits.values()
                if now - visit.seen >= idle
                or (visit.left is not None and now - visit.left >= self.limits.leave_seconds)
            ]
            for visit in over:
                del self._visits[visit.session]
        for visit in over:
            if visit.incoming is not None:
                shutil.rmtree(visit.incoming[0], ignore_errors=True)
            if visit.case is not None:
                self._delete(visit.case)

    def close(self) -> None:
        """Stop sweeping."""
        self._closed.set()

    def _owned(self, visit: Visit | None, user: str) -> Visit:
        if visit is None or visit.user != user:
            raise UserError(GONE)
        return self._touched(visit)

    def _touched(self, visit: Visit) -> Visit:
        visit.seen, visit.left = time.monotonic(), None
        return visit

    def _delete(self, case: Case) -> None:
        self._forget(case.id)
        shutil.rmtree(case.folder, ignore_errors=True)

    def _sweep_for_ever(self) -> None:
        while not self._closed.wait(_SWEEP_SECONDS):
            self.sweep()
