import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from videopath_hf.errors import UserError
from videopath_hf.llm.log import AppendLog, read_log
from videopath_hf.records import Score


def entry(name: str) -> Score:
    return Score(id=name, metric="m", value=1.0, reason="two\u2028lines")


def test_what_was_appended_is_there_when_opened_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with AppendLog(tmp_path / "log.jsonl", Score) as log:
            log.append(entry(name))
    with AppendLog(tmp_path / "log.jsonl", Score) as log:
        assert log.entries == [entry("a"), entry("b")]


@pytest.mark.parametrize("half", ['{"id": "b', '{"id":"b","metric":"m","value":1.0}', "{\n{".rstrip("\n{")])
def test_a_line_cut_off_by_a_kill_is_dropped_and_the_log_goes_on(tmp_path: Path, half: str) -> None:
    path = tmp_path / "log.jsonl"
    with AppendLog(path, Score) as log:
        log.append(entry("a"))
    with path.open("a") as stream:
        stream.write(half)
    with AppendLog(path, Score) as log:
        assert log.entries == [entry("a")]
        log.append(entry("b"))
    with AppendLog(path, Score) as log:
        assert log.entries == [entry("a"), entry("b")]


def test_a_whole_line_that_is_no_entry_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"id": "a"}\n')
    with pytest.raises(UserError, match=r"log\.jsonl:1: not a Score"):
        AppendLog(path, Score)


def test_many_tasks_wait_together_and_each_goes_on_when_its_record_is_there(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    names = [f"n{number}" for number in range(200)]

    async def one(log: AppendLog[Score], name: str) -> None:
        await log.append_soon(entry(name))
        assert f'"id":"{name}"' in path.read_text()

    async def run() -> None:
        with AppendLog(path, Score) as log:
            await asyncio.gather(*(one(log, name) for name in names))

    asyncio.run(run())
    with AppendLog(path, Score) as log:
        assert sorted(item.id for item in log.entries) == sorted(names)


def test_what_is_waiting_to_be_written_is_kept_when_tasks_are_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"

    async def run() -> None:
        with AppendLog(path, Score) as log:
            tasks = [asyncio.ensure_future(log.append_soon(entry(f"n{number}"))) for number in range(50)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())
    assert {item.id for item in read_log(path, Score)} == {f"n{number}" for number in range(50)}


def test_a_log_is_read_while_its_last_line_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert read_log(path, Score) == []
    path.write_text(entry("a").model_dump_json() + "\n" + entry("b").model_dump_json()[:20])
    assert read_log(path, Score) == [entry("a")]
    assert path.read_text().endswith("\n" + entry("b").model_dump_json()[:20])


FULL = """
import resource, signal, sys
from pathlib import Path
from tests.llm.test_log import entry
from videopath_hf.llm.log import AppendLog
from videopath_hf.records import Score
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with AppendLog(Path(sys.argv[1]), Score) as log:
    log.append(entry("a"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(sys.argv[1]).stat().st_size + 20, resource.RLIM_INFINITY))
    try:
        log.append(entry("b"))
    except OSError as error:
        print(error.filename)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    log.append(entry("c"))
"""


def test_a_disk_that_was_full_for_a_while_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(path)
    assert [item.id for item in read_log(path, Score)] == ["a", "c"]


def test_a_record_is_kept_from_a_kill_before_the_disk_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    slow, syncs = threading.Event(), 0

    def fsync(number: int) -> None:
        nonlocal syncs
        syncs += 1
        assert slow.wait(60)

    async def run() -> None:
        with AppendLog(path, Score) as log:
            tasks = [asyncio.ensure_future(log.append_soon(entry(f"n{number}"))) for number in range(20)]
            await asyncio.sleep(0)
            try:
                assert len(read_log(path, Score)) == 20
                assert not any(task.done() for task in tasks)
                assert log.entries == []
            finally:
                slow.set()
            await asyncio.gather(*tasks)

    monkeypatch.setattr("videopath_hf.llm.log.os.fsync", fsync)
    asyncio.run(run())
    assert syncs == 2  # the first one's, and one for all that came meanwhile
