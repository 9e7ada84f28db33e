"""Answers made elsewhere: matched with their records, and everything that does not match named and counted."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, run  # noqa: F401  # a fixture
from tests.llm.chat_server import mark, serve
from videopath_hf.data.folder import read_instructions
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.evaluation.elsewhere import Problem, read_answers
from videopath_hf.evaluation.results import read_results
from videopath_hf.evaluation.runner import ScoreSettings, score_predictions
from videopath_hf.files import read_records
from videopath_hf.records import InstructionRecord, Prediction, Score


@pytest.fixture
def records(dataset: Path) -> list[InstructionRecord]:
    return read_instructions(dataset, ["video"], "test")


def write(path: Path, entries: list[Any]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def right(records: list[InstructionRecord]) -> list[dict[str, Any]]:
    return [{"id": record.id, "answer": record.answer} for record in records]


def texts(path: Path, records: list[InstructionRecord]) -> dict[str, str]:
    return {name: line.answer for name, line in read_answers(path, records, "m").answers.items()}


def test_an_entry_may_name_its_record_by_id_or_by_its_video_and_its_answer_in_three_ways(
    records: list[InstructionRecord], tmp_path: Path
) -> None:
    first, second = records
    video = Path(second.media[0].path).stem
    entries = [
        {"question_id": first.id, "answer": "the reference", "pred": "said 1"},
        {"id": "0", "video_name": f"Test_Videos/{video}.mp4", "prediction": "said 2"},
    ]
    assert texts(write(tmp_path / "a.jsonl", entries), records) == {first.id: "said 1", second.id: "said 2"}
    (tmp_path / "a.json").write_text(json.dumps(entries))
    assert texts(tmp_path / "a.json", records) == {first.id: "said 1", second.id: "said 2"}
    with (tmp_path / "a.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, ["id", "answer"])
        table.writeheader()
        table.writerows([{"id": first.id, "answer": 'quoted, "x"'}, {"id": second.id, "answer": ""}])
    assert texts(tmp_path / "a.csv", records) == {first.id: 'quoted, "x"', second.id: ""}


def test_all_right_answers_score_one_and_what_is_written_is_what_evaluate_writes(
    records: list[InstructionRecord], dataset: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "mine.jsonl", right(records))
    result = score_predictions(path, dataset, tmp_path / "out", ScoreSettings())
    assert (result.model.name, result.model.kind, result.coverage) == ("mine", "file", 1)
    assert result.variants["full"].columns["diagnosis_exact"].value == 1
    assert result.data.media_hash is None  # nobody knows what the model saw
    again, folder = read_results(tmp_path / "out")
    assert again == result
    names = {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}
    assert names == {"predictions.jsonl", "scores.jsonl", "records.jsonl", "results.json", "report.html", "row.md"}
    assert [line.reference for line in read_records(folder / "predictions.jsonl", Prediction)] == [
        record.answer for record in records
    ]
    assert score_predictions(path, dataset, tmp_path / "out", ScoreSettings()) == result
    write(path, [{**entry, "answer": "x"} for entry in right(records)])
    with pytest.raises(UserError, match="another input or configuration"):
        score_predictions(path, dataset, tmp_path / "out", ScoreSettings())


def test_media_need_not_be_at_hand(records: list[InstructionRecord], dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "records.jsonl"
    copy.write_bytes((dataset / "instructions.jsonl").read_bytes())
    score_predictions(write(tmp_path / "a.jsonl", right(records)), copy, tmp_path / "out", ScoreSettings())
    assert f"{records[0].media[0].path} is not at hand" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("change", "kind", "coverage", "note"),
    [
        (lambda entries: entries[:1], "missing", 0.5, "1 records have no answer in the file"),
        (lambda entries: [*entries, entries[0]], "duplicate", 0.5, "answered several times"),
        (lambda entries: [*entries, {"id": "x", "answer": "y"}], "unmatched", 2 / 3, "belong to no record: x;"),
        (lambda entries: [entries[0], {**entries[1], "answer": None}], "unreadable", 0.5, "cannot be read"),
        (lambda entries: [*entries, {"answer": "y"}], "unreadable", 2 / 3, "cannot be read: line 3"),
        (lambda entries: [*entries, ["y"]], "unreadable", 2 / 3, "cannot be read"),
    ],
)
def test_what_does_not_match_is_named_counted_and_fails_below_min_coverage(
    change: Any,
    kind: str,
    coverage: float,
    note: str,
    records: list[InstructionRecord],
    dataset: Path,
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.jsonl", change(right(records)))
    with pytest.raises(TooManyRejectsError, match=f"only {coverage:.1%}"):
        score_predictions(path, dataset, tmp_path / "out", ScoreSettings())
    problems = read_records(tmp_path / "out" / "problems.jsonl", Problem)
    assert kind in {problem.kind for problem in problems}
    result, _ = read_results(tmp_path / "out")
    assert any(note in text for text in result.notes), result.notes
    exact = result.variants["full"].columns["diagnosis_exact"]
    assert exact.value == 1  # what was answered was right; what was not is no 0
    assert exact.scored == len({entry["id"] for entry in right(records)}) - (coverage == 0.5)
    scores = read_records(tmp_path / "out" / "scores.jsonl", Score)
    assert all(score.reason for score in scores if score.value is None)
    allowed = ScoreSettings(min_coverage=0.5)
    assert score_predictions(path, dataset, tmp_path / "out", allowed).coverage == pytest.approx(coverage)


def test_a_video_with_several_questions_does_not_name_one(records: list[InstructionRecord], tmp_path: Path) -> None:
    twin = records[0].model_copy(update={"id": "another"})
    path = write(
        tmp_path / "a.jsonl",
        [{"video_name": records[0].clip_id, "pred": "x"}, {"id": "another", "pred": "y"}],
    )
    found = read_answers(path, [*records, twin], "m")
    assert list(found.answers) == ["another"]
    assert "2 records show this video: give their ids" in {problem.reason for problem in found.problems}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "answers none of the 2 records"),
        ('{"id": "x", "answer": "y"}\n', "answers none of the 2 records: line 1: no record has this id"),
        ('{"id": "x"}\n', "line 1: it has none of pred, prediction, answer"),
        ("\x00\xff not json\n", "line 1: it is not JSON"),
    ],
)
def test_a_file_that_answers_nothing_is_an_error_and_leaves_nothing_behind(
    content: str, message: str, dataset: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(UserError, match=message):
        score_predictions(tmp_path / "a.jsonl", dataset, tmp_path / "out", ScoreSettings())
    assert not (tmp_path / "out").exists()


def test_answers_of_an_evaluation_can_be_judged_again_with_what_is_known_of_them(
    records: list[InstructionRecord], dataset: Path, tmp_path: Path
) -> None:
    line = {
        **{"question": "q", "description": "d", "diagnosis": None, "media": ["m"], "frame_times": [0.5, 1.0]},
        **{"model": "old", "tokens": 7, "seconds": {"generate": 2.0}, "asked": "key", "frames": 2, "cut": True},
    }
    path = write(tmp_path / "a.jsonl", [{**line, **entry} for entry in right(records)])
    with serve(lambda request, _: mark(4)) as server:
        judge = {"base_url": server.url, "model": "judge-1"}
        settings = ScoreSettings.model_validate({"judge": judge})
        result = score_predictions(path, dataset, tmp_path / "out", settings, name="new")
    assert result.variants["full"].columns["judge_norm_avg"].value == 80
    assert (result.tokens["out"], result.seconds["generate"], result.variants["full"].cut) == (14, 4.0, 2)
    assert "2 frames the model saw, at 0.5, 1.0 s" in (tmp_path / "out" / "report.html").read_text()
    row, *_ = [text for text in (tmp_path / "out" / "row.md").read_text().splitlines() if text.startswith("| new")]
    assert row == "| new | 4.00 | 4.00 | 4.00 | 4.00 | 80.00 |"


def test_the_command_scores_a_file_and_its_mistakes_are_one_sentence(
    run: Run,  # noqa: F811
    records: list[InstructionRecord],
    dataset: Path,
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.jsonl", right(records)[:1])
    code, out, err = run("score", path, "--data", dataset, "--out", tmp_path / "out", "--min-coverage", "0.5")
    assert code == 0, err
    assert "diagnosis exact: 1.000" in out
    assert records[1].id in err
    code, out, err = run("score", path, "--data", dataset, "--out", tmp_path / "out")
    assert code == 3
    assert err.strip().splitlines()[-1].startswith("videopath: error: only 50.0% of the scores could be had")
    code, out, err = run("score", tmp_path / "none.jsonl", "--data", dataset, "--out", tmp_path / "new")
    assert (code, out) == (2, "")
    assert "none.jsonl is not a file of answers" in err
    assert not (tmp_path / "new").exists()
