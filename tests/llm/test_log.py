from pathlib import Path

import pytest

from videopath_hf.errors import UserError
from videopath_hf.llm.log import AppendLog
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
