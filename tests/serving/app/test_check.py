"""Looking at a file in another process: a decoder that hangs or crashes costs that file only."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from videopath_hf.errors import UserError
from videopath_hf.serving.app import check as module
from videopath_hf.serving.app.check import check
from videopath_hf.serving.app.settings import AppSettings, Limits


def test_a_good_file_is_taken(tmp_path: Path, make_clip: Callable[..., Path]) -> None:
    (tmp_path / "incoming").write_bytes(make_clip(20).read_bytes())
    medium = check(tmp_path, "incoming", "clip.mp4", AppSettings(frames=4))
    assert medium.frames == 20
    assert all((tmp_path / name).is_file() for name in (medium.file, medium.played, *medium.thumbnails))


@pytest.mark.parametrize("content", [b"", b"words", b"\x00\x00\x00\x18ftypmp42 and nothing more"])
def test_a_sentence_names_the_file_as_its_owner_does(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "incoming").write_bytes(content)
    with pytest.raises(UserError) as caught:
        check(tmp_path, "incoming", "my clip.mp4", AppSettings())
    assert str(caught.value).startswith("my clip.mp4 ")
    assert str(tmp_path) not in str(caught.value)


def test_a_file_that_takes_too_long_is_given_up(tmp_path: Path, make_clip: Callable[..., Path]) -> None:
    (tmp_path / "incoming").write_bytes(make_clip(20).read_bytes())
    with pytest.raises(UserError, match=r"clip\.mp4 could not be looked at within 0.01 s"):
        check(tmp_path, "incoming", "clip.mp4", AppSettings(limits=Limits(check_seconds=0.01)))


def test_a_file_that_crashes_the_decoder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = subprocess.run

    def crash(_: object, **options: object) -> object:
        return run([sys.executable, "-c", "import os; os.abort()"], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(module.subprocess, "run", crash)
    with pytest.raises(UserError, match=r"clip\.mp4 cannot be used: it makes the decoder crash"):
        check(tmp_path, "incoming", "clip.mp4", AppSettings())
