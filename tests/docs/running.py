"""Blocks of pages run as they stand there, and what they print held against what the page shows."""

import difflib
import glob
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from tests.docs.commands import shell_commands
from tests.docs.pages import ROOT, Block, blocks
from videopath_hf.cli.main import main

RUN = ("bash", "python")
_DECIMAL = re.compile(r"-?\d+\.\d+")
_PATTERNS = {"...": ".*?", " ": r"\s+", "\n": r"\s+"}


class Step(NamedTuple):
    """A block to run, and what the page says it prints, with `...` for what differs from machine to machine."""

    block: Block
    shown: str | None


def steps(page: Path) -> Iterator[Step]:
    """The blocks of a page that are run, in order; a `text` block is what the block before it prints."""
    found = list(blocks(page))
    for block, after in zip_longest(found, found[1:]):
        if block.language in RUN and block.not_run is None:
            yield Step(block, after.text if after is not None and after.language == "text" else None)


def prepare(folder: Path) -> Path:
    """Make a folder look like a clone of the repository to the commands of a page."""
    for name in ("recipes", "videopath_hf"):
        (folder / name).symlink_to(ROOT / name, target_is_directory=True)
    return folder


def in_a_shell(block: Block, folder: Path, **variables: str) -> str:
    """What a block prints on stdout in processes of its own; raises `AssertionError` where it fails."""
    words = [sys.executable, "-c"] if block.language == "python" else ["bash", "-euo", "pipefail", "-c"]
    return printed_by([*words, block.text], folder, **variables)


def printed_by(words: Sequence[str], folder: Path, **variables: str) -> str:
    """What a program prints on stdout, with further variables; raises `AssertionError` where it fails."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **variables}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)} ends with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def is_ours(block: Block) -> bool:
    """Whether a block is Python, or `videopath` commands and exports alone."""
    return block.language == "python" or {words[0] for words in shell_commands(block.text)} <= {"videopath", "export"}


def is_set_aside(words: Sequence[str]) -> bool:
    """Whether a command installs something, asks for a token, or is a server that tests of their own start."""
    if words[0] == "videopath":
        return words[1] in ("serve", "app") and "--show-command" not in words
    return words[0] in ("make", "pip", ".") or list(words[:3]) in (["python", "-m", "venv"], ["hf", "auth", "login"])


def in_this_process(
    block: Block, set_variable: Callable[[str, str], None], run: Callable[[Sequence[str]], None] | None = None
) -> None:
    """Run a block here, in the working directory, without the seconds that a new process takes to start.

    Args:
        block (`Block`): Python, or commands of `videopath` and exports alone.
        set_variable (`Callable[[str, str], None]`): sets a variable of the environment.
        run (`Callable[[Sequence[str]], None]`, *optional*): types a command; [`run_videopath`] if omitted.
    """
    if block.language == "python":
        exec(compile(block.text, block.name, "exec"), {"__name__": "__main__"})
        return
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.startswith("export "):
            for name, _, value in (word.partition("=") for word in line.split("#")[0].split()[1:]):
                set_variable(name, value)
    for words in shell_commands(block.text):
        if words[0] != "export":
            (run or run_videopath)(words)


def run_videopath(words: Sequence[str]) -> None:
    """Type a command of `videopath`; what a shell would expand is expanded. Raises `AssertionError` where it fails."""
    assert words[0] == "videopath", f"say why {words[0]} is not run"
    before = sys.argv
    sys.argv = [part for word in words for part in (sorted(glob.glob(word)) or [word])]
    code = 0
    try:
        main()
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    finally:
        sys.argv = before
    assert code == 0, f"{' '.join(words)} ends with {code}"


def difference(shown: str, printed: str) -> str:
    """What differs between what a page shows and what was printed; empty where nothing does.

    `...` stands for anything, and numbers with a decimal point may be off by a fourth: machines and versions of
    libraries compute differently.
    """
    parts = re.split(r"(\.\.\.|-?\d+\.\d+|\s+)", shown.strip())
    pattern = "".join(_PATTERNS.get(part[:1] if part.isspace() else part) or _number_or_text(part) for part in parts)
    found = re.fullmatch(pattern, printed.strip(), flags=re.DOTALL)
    numbers = [float(part) for part in parts if _DECIMAL.fullmatch(part)]
    if found and all(math.isclose(float(b), a, rel_tol=0.25) for a, b in zip(numbers, found.groups(), strict=True)):
        return ""
    return "".join(difflib.ndiff(shown.splitlines(keepends=True), printed.splitlines(keepends=True)))


def _number_or_text(part: str) -> str:
    return r"(-?\d+\.\d+)" if _DECIMAL.fullmatch(part) else re.escape(part)
