"""Progress on stderr: a bar in a terminal, nothing in a pipe; notes always."""

import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")


@cache
def console() -> "Console":
    """The one console of the process, on stderr: stdout carries data only."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


_listeners: list[Callable[[str], None]] = []


def send_notes_to(listener: Callable[[str], None]) -> None:
    """In a worker process: hand notes over instead of printing them beside those of the others."""
    _listeners[:] = [listener]


def note(message: str) -> None:
    """Say one thing to the user on stderr."""
    if _listeners:
        _listeners[0](message)
    else:
        console().print(message, markup=False)


def track(items: Iterable[T], description: str, total: float | None = None) -> Generator[T, None, None]:
    """Iterate with a progress bar on stderr when it is a terminal; silent otherwise."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.progress import track as rich_track

    yield from rich_track(items, description=description, total=total, console=console(), transient=True)


@contextmanager
def counter(description: str, total: int) -> Iterator[Callable[[], None]]:
    """As `track`, for work that ends in any order: call what the block gets once for each piece that is done."""
    with closing(track(range(total + 1), description, total)) as bar:
        next(bar)

        def done() -> None:
            next(bar, None)

        yield done
