"""Files are nobody else's, and do not outlive their run."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from videopath_hf.errors import UserError
from videopath_hf.serving.app.storage import Storage


def test_folders_are_private_and_gone_at_the_end(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "uploads")
    folder = storage.folder()
    (folder / "clip").write_text("a patient's")
    for path in (storage.parent, storage.root, folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    storage.close()
    assert list((tmp_path / "uploads").iterdir()) == []


def test_what_a_killed_run_left_is_deleted_and_a_living_ones_is_not(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from videopath_hf.serving.app.storage import Storage;"
        "storage = Storage(Path(sys.argv[1])); (storage.folder() / 'clip').touch(); print('there', flush=True);"
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"there\n"
    beside = Storage(tmp_path)
    assert beside.removed == 0
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    after = Storage(tmp_path)
    assert after.removed == 1
    assert {path for path in tmp_path.iterdir() if path.is_dir()} == {beside.root, after.root}
    for storage in (beside, after):
        storage.close()


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(UserError, match="belongs to another user"):
        Storage(tmp_path)
