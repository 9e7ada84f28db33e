"""The tutorial's folder: made once by the page's own commands, and copied for every page that goes on from it."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, Block
from tests.docs.running import in_a_shell, in_this_process, is_ours, prepare, steps
from tests.hub.server import HubServer, serve_hub


class Tutorial:
    """The tutorial, gone through.

    Args:
        folder (`Path`): what it made.
        printed (`list[tuple[Step, str]]`): its blocks in order, and what each printed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = prepare(folder)
        self.printed = [(step, self._run(step.block)) for step in steps(DOCS / "tutorial.md")]

    def _run(self, block: Block) -> str:
        if not is_ours(block):
            return in_a_shell(block, self.folder)
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            with redirect_stdout(StringIO()) as printed, pytest.MonkeyPatch.context() as patch:
                in_this_process(block, patch.setenv)
        finally:
            os.chdir(before)
        return printed.getvalue()


@pytest.fixture(scope="session")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Tutorial:
    return Tutorial(tmp_path_factory.mktemp("tutorial"))


@pytest.fixture
def workspace(tutorial: Tutorial, tmp_path: Path) -> Callable[[], Path]:
    """Make a copy of the tutorial's folder, for a page that changes it."""

    def copied() -> Path:
        return Path(shutil.copytree(tutorial.folder, tmp_path / "work", symlinks=True))

    return copied


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    """A stand-in for the Hub, for processes of their own."""
    with serve_hub(tmp_path / "hub") as server:
        yield server
