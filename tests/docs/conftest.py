"""The tutorial's folder: made once by the page's own commands, and copied for every page that goes on from it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import DOCS
from tests.docs.running import Step, in_a_shell, prepare, steps


class Tutorial:
    """The tutorial, gone through.

    Args:
        folder (`Path`): what it made.
        printed (`list[tuple[Step, str]]`): its blocks in order, and what each printed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = prepare(folder)
        self.printed: list[tuple[Step, str]] = []
        for step in steps(DOCS / "tutorial.md"):
            self.printed.append((step, in_a_shell(step.block, folder)))


@pytest.fixture(scope="session")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Tutorial:
    return Tutorial(tmp_path_factory.mktemp("tutorial"))


@pytest.fixture
def workspace(tutorial: Tutorial, tmp_path: Path) -> Callable[[], Path]:
    """Make a copy of the tutorial's folder, for a page that changes it."""

    def copied() -> Path:
        return Path(shutil.copytree(tutorial.folder, tmp_path / "work", symlinks=True))

    return copied
