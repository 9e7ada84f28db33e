"""The notebooks run in the tutorial's folder, and show what they were saved with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import DOCS
from tests.docs.running import difference

nbformat = pytest.importorskip("nbformat", reason="the extra docs is not installed")
nbclient = pytest.importorskip("nbclient", reason="the extra docs is not installed")
pytestmark = pytest.mark.slow

VARIES = "varies"
"""Tag of a cell that prints what a model says, which may be other words on another machine."""

NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def shown(cell: Any) -> list[str]:
    """The forms of what a cell shows, e.g. `text/html`; what goes to stderr is not kept."""
    return [
        form
        for output in cell.get("outputs", [])
        for form in sorted(output.get("data", {"stdout": ""}))
        if output.get("name") != "stderr"
    ]


def printed(cell: Any) -> str:
    return "".join(output["text"] for output in cell.get("outputs", []) if output.get("name") == "stdout")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_runs_and_shows_what_it_was_saved_with(path: Path, workspace: Callable[[], Path]) -> None:
    saved = read(path)
    run = nbclient.NotebookClient(
        read(path),
        timeout=120,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": str(workspace())}},
    ).execute()
    for before, after in zip(saved.cells, run.cells, strict=True):
        if before.cell_type == "code":
            assert shown(after) == shown(before), after.source
            if VARIES not in before.metadata.get("tags", []):
                assert not (found := difference(printed(before), printed(after))), f"{after.source}\n{found}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_is_saved_whole_and_small(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert path.stat().st_size < 300_000
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert any("text/html" in shown(cell) for cell in code)
    for cell in code:
        assert shown(cell) or cell is not code[-1]
        assert all(output.get("name") != "stderr" for output in cell.outputs), "it holds progress or warnings"
        assert str(Path.home()) not in str(cell.outputs) and "/tmp/" not in str(cell.outputs)
