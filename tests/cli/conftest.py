"""Typing commands in tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from videopath_hf.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Type a command; gives exit code, stdout and stderr."""

    def typed(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["videopath", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return typed
