"""What is seen of a run while it goes on: a line for each lecture that is being curated, on stderr."""

import sys
import time
from collections.abc import Callable
from threading import Lock
from typing import Any

from videopath_hf.curation.inputs import Lecture
from videopath_hf.curation.lecture import LectureResult, Listener
from videopath_hf.progress import console, note


class Board:
    """Progress of several lectures at once: bars in a terminal; in a pipe one line for each lecture that is done.

    Args:
        total (`int`): how many lectures there are.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._said: set[str] = set()
        self._lock = Lock()
        self._progress: Any = None

    def __enter__(self) -> "Board":
        if sys.stderr.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
            self._progress = Progress(*columns, console=console(), transient=True)
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def follow(self, lecture: Lecture, work: Callable[[Listener], LectureResult]) -> LectureResult:
        """Do the work on one lecture in sight of the user."""
        line = _Line(lecture.source, self._progress)
        start = time.monotonic()
        try:
            result = work(line)
        finally:
            line.remove()
        with self._lock:
            self._done += 1
            for message in result.notes:
                if message not in self._said:
                    self._said.add(message)
                    note(message)
            note(f"[{self._done}/{self._total}] {_outcome(result, time.monotonic() - start)}")
        return result


def _outcome(result: LectureResult, seconds: float) -> str:
    if result.failed is not None:
        return f"skipped {result.source}: {result.failed.step}: {result.failed.reason}"
    length = result.info["duration"] if result.info else 0.0
    kept = f"{len(result.clips)} clips kept, {len(result.rejects)} rejects"
    return f"{result.source}: {length:.1f} s of video in {seconds:.1f} s: {kept}"


class _Line:
    """The line of one lecture; it is the listener of its work."""

    def __init__(self, name: str, progress: Any) -> None:
        self._name = name
        self._progress = progress
        self._task = progress.add_task(name, total=None) if progress is not None else None

    def step(self, name: str, watched: bool) -> None:
        if self._progress is not None:
            self._progress.reset(self._task, description=f"{self._name}: {name}", total=None)

    def beat(self, done: int, total: int | None) -> None:
        if self._progress is not None:
            self._progress.update(self._task, completed=done, total=total)

    def length(self, seconds: float) -> None:
        pass

    def remove(self) -> None:
        if self._progress is not None:
            self._progress.remove_task(self._task)
