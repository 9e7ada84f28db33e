"""What may happen to a long evaluation: it is killed anywhere, the disk fills up, media change under it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.instructions.curated_folder import make_curated
from tests.llm.chat_server import ChatServer, Reply, mark, said, serve
from videopath_hf.data.folder import read_instructions
from videopath_hf.data.pipeline import write_instructions
from videopath_hf.errors import UserError
from videopath_hf.evaluation.results import EvaluationResult, read_results
from videopath_hf.evaluation.runner import EvaluateSettings, evaluate_model
from videopath_hf.files import read_records
from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.records import Prediction, Score
from videopath_hf.settings import load_settings
from videopath_hf.video.encode import write_clip

QUESTIONS = 12


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset folder with twelve test questions about two clips."""
    root = tmp_path_factory.mktemp("questions")
    make_curated(root / "curated")
    settings = InstructSettings(split_by="clip", test_fraction=0.3, test_questions_per_clip=6)
    write_instructions(root / "curated", root / "data", settings)
    assert len(read_instructions(root / "data", ["video"], "test")) == QUESTIONS
    return root / "data"


def behave(request: dict[str, Any], _: int) -> Reply:
    """Model and judge in one: the answer depends on the question, the mark on the answer."""
    if request["model"] == "model-1":
        words = request["messages"][0]["content"][-1]["text"]
        return said(f"About {len(words)} things.\nDiagnosis: Celiac disease")
    material = json.loads(request["messages"][1]["content"])
    return mark(sum(map(len, material.values())) % 6)


def words(server: ChatServer, data: Path, out: Path) -> list[str]:
    values = (
        "server.model=model-1", "server.concurrency=2", f"judge.base_url={server.url}", "judge.model=judge-1",
        "judge.concurrency=2", "num_frames=2", "resamples=100",
    )  # fmt: skip
    sets = [word for value in values for word in ("--set", value)]
    return ["evaluate", "--model", server.url, "--data", str(data), "--out", str(out), *sets]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from videopath_hf.cli.main import main; main()", *arguments]


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def asked(server: ChatServer, model: str) -> list[str]:
    return [json.dumps(request) for request in server.paid if request["model"] == model]


def same(result: EvaluationResult) -> Any:
    return result.model_dump(include={"variants", "data", "coverage", "failures", "tokens", "judge"})


@pytest.mark.slow
def test_killed_while_it_answers_judges_and_reports_it_goes_on_to_the_same_result_and_pays_nothing_twice(
    questions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    moments: list[Callable[[], bool]] = [
        lambda: lines(out / "predictions.jsonl") >= 3,
        lambda: lines(out / "judge.jsonl") >= 10,
        lambda: (out / "scores.jsonl").exists(),
    ]
    with serve(lambda request, tries: behave(request, tries)._replace(delay=0.05)) as server:
        for reached in moments:
            process = subprocess.Popen(command(*words(server, questions, out)), stderr=subprocess.DEVNULL)
            while not reached():
                assert process.poll() is None
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            assert not (out / "results.json").exists()
        done = subprocess.run(command(*words(server, questions, out)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        # Of what was under way when it was killed nobody knows the reply; all else is asked once.
        for model, wanted in (("model-1", QUESTIONS), ("judge-1", 3 * QUESTIONS)):
            paid = asked(server, model)
            assert len(set(paid)) <= wanted
            assert len(paid) <= len(set(paid)) + 2 * len(moments)
        whole = tmp_path / "whole"
        subprocess.run(command(*words(server, questions, whole)), check=True, capture_output=True)
    assert same(read_results(out)[0]) == same(read_results(whole)[0])
    for name in ("scores.jsonl", "records.jsonl", "row.md"):
        first, second = ((folder / name).read_text() for folder in (out, whole))
        if name == "scores.jsonl":  # all but the moment of judging
            first, second = (
                [score.model_copy(update={"date": None}) for score in read_records(folder / name, Score)]
                for folder in (out, whole)
            )
        assert first == second
    assert [line.id for line in read_records(out / "predictions.jsonl", Prediction)] == [
        record.id for record in read_instructions(questions, ["video"], "test")
    ]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("free", [20 << 10, 80 << 10])
def test_a_full_disk_is_one_sentence_and_once_there_is_space_the_run_goes_on(
    free: int, questions: Path, disk: Path
) -> None:
    (disk / "ballast").write_bytes(bytes((4 << 20) - free))
    out = disk / "out"
    with serve(behave) as server:
        done = subprocess.run(command(*words(server, questions, out)), capture_output=True, text=True)
        last = done.stderr.strip().splitlines()[-1]
        assert done.returncode == 2, done.stderr
        assert last.startswith("videopath: error: ") and "No space left on device" in last
        assert "Traceback" not in done.stderr
        assert not (out / "results.json").exists()
        (disk / "ballast").unlink()
        before = len(server.paid)
        done = subprocess.run(command(*words(server, questions, out)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert len(server.paid) - before <= 4 * QUESTIONS - before + 2  # what was under way may be asked again
    result, _ = read_results(out)
    assert (result.coverage, result.variants["full"].answered) == (1, QUESTIONS)
    assert not [path for path in out.rglob(".*") if path.is_file() and path.name not in (".lock", ".claim.json") and
                not path.name.endswith(".lock")]  # fmt: skip


def settings(server: ChatServer, *values: str) -> EvaluateSettings:
    given = [f"server.base_url={server.url}", "server.model=model-1", "resamples=100", *values]
    return load_settings(EvaluateSettings, None, given)


def test_an_answer_to_a_clip_that_was_changed_since_is_not_taken_for_its_new_one(
    questions: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(questions, data)
    with serve(behave) as server:
        first = evaluate_model(server.url, data, tmp_path / "out", settings(server))
        record = read_instructions(data, ["video"], "test")[0]
        path = data / record.media[0].path
        os.utime(path)  # only touched: the same content
        assert evaluate_model(server.url, data, tmp_path / "out", settings(server)) == first
        assert len(server.requests) == QUESTIONS
        import numpy as np

        path.unlink()
        write_clip(path, [np.full((48, 64, 3), 90 + number, np.uint8) for number in range(4)], 2.0)
        second = evaluate_model(server.url, data, tmp_path / "out", settings(server))
        assert len(server.requests) == QUESTIONS + QUESTIONS // 2
    assert second.data.media_hash != first.data.media_hash
    assert second.data.hash == first.data.hash


def test_media_that_are_missing_stop_the_run_before_anything_is_asked_unless_so_many_may_be(
    questions: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(questions, data)
    record = read_instructions(data, ["video"], "test")[0]
    (data / record.media[0].path).unlink()
    with serve(behave) as server:
        with pytest.raises(
            UserError, match=rf"the media of 6 of 12 records cannot be used: missing: {record.media[0].path}"
        ):
            evaluate_model(server.url, data, tmp_path / "out", settings(server))
        assert server.requests == []
        assert not (tmp_path / "out").exists()
        result = evaluate_model(server.url, data, tmp_path / "out", settings(server, "min_coverage=0.5"))
        assert len(server.requests) == 6
    assert result.failures == {"medium is missing": 6}
    assert result.data.media_hash is None


def test_a_judge_of_consistency_gets_the_answer_to_the_same_question_in_other_words(
    questions: Path, tmp_path: Path
) -> None:
    with serve(behave) as server:
        judge = (f"judge.base_url={server.url}", "judge.model=judge-1", "judge.aspects=[correctness, consistency]")
        result = evaluate_model(server.url, questions, tmp_path / "out", settings(server, *judge))
        about = [json.loads(request["messages"][1]["content"]) for request in server.requests
                 if request["model"] == "judge-1"]  # fmt: skip
        pairs = [material for material in about if "candidate_answer" not in material]
        assert len(pairs) == QUESTIONS
        asked_again = {
            line.id: line for line in read_records(tmp_path / "out" / "predictions_second.jsonl", Prediction)
        }
        for record in read_instructions(questions, ["video"], "test"):
            second = asked_again[record.id]
            assert second.question != record.question
            assert any({second.question, second.answer} <= set(material.values()) for material in pairs)
        sent = len(server.requests)
        assert evaluate_model(server.url, questions, tmp_path / "out", settings(server, *judge)) == result
        assert len(server.requests) == sent
    assert result.variants["full"].columns["judge_consistency"].scored == QUESTIONS
    assert "judge_norm_avg" not in result.variants["full"].columns
