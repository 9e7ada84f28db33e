"""The reference of Python names: each exists and is explained, and what the pages import is among them."""

import ast
import inspect
import json
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

import videopath_hf
from tests.docs.pages import DOCS, all_blocks

_DIRECTIVE = re.compile(r"^\.\. (auto(?:class|function|exception|data)|currentmodule):: ([\w.]+)$", re.MULTILINE)


def listed() -> Iterator[str]:
    """Full names in the reference."""
    for page in sorted((DOCS / "reference").rglob("*.*")):
        module = ""
        for directive, name in _DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            if directive == "currentmodule":
                module = name
            else:
                yield name if "." in name else f"{module}.{name}"


LISTED = list(listed())


def named(full: str) -> Any:
    module, _, name = full.rpartition(".")
    return getattr(import_module(module), name)


def imported(code: str) -> Iterator[tuple[str, str]]:
    """Module and name of what some code imports from this package."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in (
            "videopath_hf",
            "dataset_scripts",
        ):
            for alias in node.names:
                yield str(node.module), alias.name


def shown_code() -> Iterator[str]:
    """All Python of pages and notebooks."""
    yield from (block.text for block in all_blocks("python"))
    for path in sorted((DOCS / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        yield from ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_nothing_stands_in_the_reference_twice() -> None:
    assert len(set(LISTED)) == len(LISTED) > 100


@pytest.mark.parametrize("name", LISTED)
def test_a_name_in_the_reference_exists_and_is_explained(name: str) -> None:
    known = named(name)
    if inspect.isclass(known) or inspect.isroutine(known):
        text = inspect.getdoc(known) or ""
        assert text and not text.startswith("Create a model by parsing"), f"{name} has no docstring"
        for member, value in vars(known).items() if inspect.isclass(known) else ():
            if not member.startswith("_") and inspect.isfunction(value):
                assert inspect.getdoc(value), f"{name}.{member} has no docstring"


def test_what_pages_and_notebooks_import_is_in_the_reference() -> None:
    objects = {id(named(name)) for name in LISTED}
    used = sorted({pair for code in shown_code() for pair in imported(code)})
    assert len(used) > 10
    assert [f"{module}.{name}" for module, name in used if id(named(f"{module}.{name}")) not in objects] == []


def test_what_the_package_offers_at_its_top_is_in_the_reference() -> None:
    assert {f"videopath_hf.{name}" for name in videopath_hf.__all__ if name != "__version__"} <= set(LISTED)
