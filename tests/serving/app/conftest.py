"""A desk with a tiny model, visitors at it, and files that they bring."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.modeling.conftest import checkpoint, loaded, make_clip  # noqa: F401
from videopath_hf.modeling.loading import load_model
from videopath_hf.serving.app import intake
from videopath_hf.serving.app.desk import Desk
from videopath_hf.serving.app.examples import Example, cut_examples
from videopath_hf.serving.app.medium import look_at
from videopath_hf.serving.app.readers import Reader
from videopath_hf.serving.app.settings import AppSettings, Limits
from videopath_hf.serving.app.storage import Storage
from videopath_hf.serving.app.visits import Visit

MakeDesk = Callable[..., Desk]


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """The app's examples, cut once."""
    return cut_examples(tmp_path_factory.mktemp("examples"))


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at in this process, which is faster; `test_check` tries the other one."""
    monkeypatch.setattr(intake, "check", lambda folder, incoming, _, settings: look_at(folder, incoming, settings))


@pytest.fixture
def make_desk(checkpoint: Path, tmp_path: Path, examples: list[Example]) -> Iterator[MakeDesk]:  # noqa: F811
    """Makes a desk of one or two tiny models that answer until they are cut off; `limits` as of `Limits`."""
    desks = []

    def make(models: int = 1, settings: dict[str, Any] | None = None, **limits: Any) -> Desk:
        made = AppSettings(**{"frames": 4, "max_new_tokens": 8, "limits": Limits(**limits), **(settings or {})})
        readers = []
        for number in range(models):
            model, processor = load_model(checkpoint)
            model.generation_config.eos_token_id = None
            readers.append(Reader(f"tiny{number}", model, processor, made))
        desks.append(Desk(readers, made, Storage(tmp_path / "uploads"), examples))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


def bring(desk: Desk, path: Path, user: str = "ann", session: str = "page", name: str | None = None) -> Visit:
    """A visitor brings a file, as the page's routes do it."""
    visit = desk.visits.open(session, user)
    content = path.read_bytes()
    with desk.intake.receive(len(content)) as place:
        place.write_bytes(content)
    desk.visits.hold(visit, (place.parent, name or path.name))
    desk.intake.accept(visit)
    return visit


@contextmanager
def served(command: Sequence[Any], cwd: Path, **variables: str) -> Iterator[str]:
    """The address that a command of the app prints when it is ready; at the end the app is told to end, and does."""
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None, process.stderr.read()
        yield found[0]
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0
