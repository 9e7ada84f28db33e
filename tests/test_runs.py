"""An output folder belongs to one run of one configuration, and finished steps are not done again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from videopath_hf.errors import UserError
from videopath_hf.runs import Steps, claim_output


def test_the_same_run_continues_and_another_configuration_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with claim_output(out, "key1", "curate"):
        (out / "clips.jsonl").touch()
    with claim_output(out, "key1", "curate"):
        pass
    with pytest.raises(UserError, match="another input or configuration"), claim_output(out, "key2", "curate"):
        pass
    assert (out / "clips.jsonl").exists()


def test_a_folder_of_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").touch()
    with pytest.raises(UserError, match="not of a curate run"), claim_output(tmp_path, "key", "curate"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


def test_a_run_that_fails_before_it_made_anything_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no tissue"), claim_output(tmp_path / "out", "key", "curate"):
        raise UserError("no tissue")
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_by_another_process_is_refused(tmp_path: Path) -> None:
    code = (
        "import sys; from videopath_hf.runs import claim_output\n"
        f"with claim_output({str(tmp_path / 'out')!r}, 'key', 'curate'): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        with pytest.raises(UserError, match="in use by another run"), claim_output(tmp_path / "out", "key", "curate"):
            pass
    finally:
        holder.communicate("")


def test_an_output_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(UserError, match="file"), claim_output(tmp_path / "out", "key", "curate"):
        pass


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o555)
    if os.geteuid() == 0:  # root may write everywhere
        tmp_path.chmod(0o755)
        for parent in tmp_path.parents[:2]:
            parent.chmod(0o755)
        os.seteuid(65534)
    try:
        with pytest.raises(UserError, match="cannot be written"), claim_output(out, "key", "curate"):
            pass
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
    assert list(out.iterdir()) == []


def test_a_finished_step_is_done_again_only_under_another_key(tmp_path: Path) -> None:
    calls: list[str] = []

    def work() -> dict[str, int]:
        calls.append("worked")
        return {"n": len(calls)}

    assert Steps(tmp_path).run("probe", "key1", work) == {"n": 1}
    assert Steps(tmp_path).run("probe", "key1", work) == {"n": 1}
    assert Steps(tmp_path).run("probe", "key2", work) == {"n": 2}


def test_a_step_that_fails_is_not_marked_as_done(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        Steps(tmp_path).run("probe", "key", fail)
    assert Steps(tmp_path).run("probe", "key", lambda: 5) == 5
