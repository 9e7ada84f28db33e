"""The picture in CONTRIBUTING.md is the code's own structure, and the command stays light."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "videopath_hf"


def imported_modules(path: Path) -> set[str]:
    """Absolute names a file imports, at its top or inside its functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def import_edges() -> set[tuple[str, str]]:
    """(imported, importing) pairs of the package's folders."""
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    edges = set()
    for folder in folders:
        for path in (PACKAGE / folder).rglob("*.py"):
            for name in imported_modules(path):
                parts = name.split(".")
                if parts[0] == "videopath_hf" and len(parts) > 1 and parts[1] in folders - {folder}:
                    edges.add((parts[1], folder))
    return edges


def test_the_picture_in_contributing_shows_exactly_the_imports_between_folders() -> None:
    picture = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("```mermaid")[1].split("```")[0]
    assert set(re.findall(r"(\w+) --> (\w+)", picture)) == import_edges()


def test_no_folder_imports_one_that_imports_it() -> None:
    importers: dict[str, set[str]] = {}
    for imported, importing in import_edges():
        importers.setdefault(imported, set()).add(importing)

    def reach(folder: str, seen: frozenset[str]) -> None:
        assert folder not in seen, f"{folder} is imported by what it imports: {sorted(seen)}"
        for importing in importers.get(folder, ()):
            reach(importing, seen | {folder})

    for folder in list(importers):
        reach(folder, frozenset())


HEAVY = (
    *("torch", "transformers", "trl", "datasets", "cv2", "av", "numpy", "matplotlib", "skimage", "huggingface_hub"),
    *("yaml", "jinja2", "fastapi", "uvicorn", "openai", "PIL", "rich"),  # pydantic comes with typer
)
LOADED = f"""
import sys
try:
    from videopath_hf.cli.main import main
    sys.argv[0] = "videopath"
    main()
except SystemExit:
    print([name for name in {HEAVY!r} if name in sys.modules])
"""


@pytest.mark.parametrize(
    "words", [["--version"], ["--help"], ["push", "--help"], ["push", "model", "--help"], ["serve", "--help"], []]
)
def test_what_only_tells_of_the_command_loads_no_heavy_library(words: list[str]) -> None:
    completing = (
        {} if words else {"_VIDEOPATH_COMPLETE": "complete_bash", "COMP_WORDS": "videopath se", "COMP_CWORD": "1"}
    )
    command = [sys.executable, "-c", LOADED, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **completing})
    assert done.stdout.splitlines()[-1] == "[]"
