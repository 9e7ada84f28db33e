"""Errors a user can act on: one clear sentence, no traceback."""

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

DISK_TROUBLES = frozenset({errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EMFILE})
"""System errors that are the fault of no file that is read: they end a run, which can go on once they are mended."""


class UserError(Exception):
    """A mistake in what the user gave us: the CLI prints its message and exits with `exit_code`.

    The message is one sentence that names the file or field, the value seen, what is accepted and how to fix it.
    """

    exit_code = 2


class MissingExtraError(UserError):
    """An optional dependency is asked for and is not installed.

    Args:
        package (`str`): import name of what is missing.
        extra (`str`): the extra of this package that brings it.
        purpose (`str`): what needs it, in a few words.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs `{package}`, which is not installed: pip install 'videopath-hf[{extra}]'")
        self._given = (package, extra, purpose)

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), self._given  # it may come out of a worker process


class TooManyRejectsError(UserError):
    """More was skipped than the configured threshold allows; what succeeded is saved."""

    exit_code = 3


def first_fault(error: "ValidationError") -> tuple[str, str]:
    """The first thing that pydantic finds wrong: its field, dotted, empty for the whole, and what is wrong with it."""
    first = error.errors()[0]
    return ".".join(map(str, first["loc"])), first["msg"]
