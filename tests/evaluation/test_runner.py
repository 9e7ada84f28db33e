import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.llm.chat_server import mark, said, serve
from videopath_hf.data.folder import read_instructions
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.evaluation.answering import Answerer
from videopath_hf.evaluation.results import EvaluationResult
from videopath_hf.evaluation.runner import EvaluateSettings, evaluate_model
from videopath_hf.files import read_records
from videopath_hf.records import Answer, Prediction, Score
from videopath_hf.settings import load_settings

SHORT = EvaluateSettings(max_new_tokens=6, blind=True)


@pytest.fixture
def asked(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Every question the model is asked: (record id, blind); with frames it knows each diagnosis, blind it guesses."""
    calls: list[tuple[str, bool]] = []
    ask = Answerer.ask
    right = {record.id: record.answer for record in read_instructions(dataset, ["video"], "test")}

    def answer(self: Answerer, *args: Any, **kwargs: Any) -> Answer:
        calls.append((kwargs["id"], kwargs["zero_frames"]))
        real = ask(self, *args, **kwargs)
        text = "Pigment.\nDiagnosis: melanosis coli" if kwargs["zero_frames"] else right[kwargs["id"]]
        return real.model_copy(update={"answer": text})

    monkeypatch.setattr(Answerer, "ask", answer)
    return calls


def accuracy(result: EvaluationResult) -> dict[str, float | None]:
    return {name: variant.columns["diagnosis_exact"].value for name, variant in result.variants.items()}


def test_both_variants_are_answered_scored_and_written(
    tiny: Path, dataset: Path, tmp_path: Path, asked: list[tuple[str, bool]]
) -> None:
    result = evaluate_model(tiny, dataset, tmp_path / "out", SHORT)
    assert accuracy(result) == {"full": 1.0, "blind": 0.5}
    assert result.majority_accuracy == 0.5
    assert result.variants["full"].columns["rougeL"].value == 1.0
    blind = result.variants["blind"].columns["rougeL"].value
    assert blind is not None and blind < 1
    assert {variant.coverage for variant in result.variants.values()} == {1.0}
    assert {(variant.n, variant.answered) for variant in result.variants.values()} == {(2, 2)}
    assert set(result.seconds) == {"decode", "preprocess", "vision", "prefill", "generate", "score"}
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert EvaluationResult.model_validate(written) == result
    records = read_instructions(dataset, ["video"], "test")
    for variant, end in (("full", ""), ("blind", "_blind")):
        answers = read_records(tmp_path / "out" / f"predictions{end}.jsonl", Prediction)
        assert [answer.id for answer in answers] == [record.id for record in records]
        assert [answer.media for answer in answers] == [[record.media[0].path] for record in records]
        assert {(answer.frames, len(answer.frame_times)) for answer in answers} == {(4, 4)}
        assert {answer.frames_zeroed for answer in answers} == {variant == "blind"}
        scores = read_records(tmp_path / "out" / f"scores{end}.jsonl", Score)
        assert {score.metric for score in scores} >= {"rougeL", "bleu", "diagnosis_exact", "diagnosis_synonym"}
        assert {score.id for score in scores} == {record.id for record in records}


def test_without_being_asked_to_nobody_is_questioned_blind(
    tiny: Path, dataset: Path, tmp_path: Path, asked: list[tuple[str, bool]]
) -> None:
    result = evaluate_model(tiny, dataset, tmp_path / "out", EvaluateSettings(max_new_tokens=6))
    assert list(result.variants) == ["full"]
    assert [blind for _, blind in asked] == [False, False]


def test_a_finished_evaluation_is_not_done_again_and_another_one_is_refused(
    tiny: Path, dataset: Path, tmp_path: Path, asked: list[tuple[str, bool]]
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny, model)
    first = evaluate_model(model, dataset, tmp_path / "out", SHORT)
    count = len(asked)
    assert evaluate_model(tmp_path / "." / "model", dataset, tmp_path / "out", SHORT) == first
    moved = tmp_path / "moved"
    model.rename(moved)
    assert evaluate_model(moved, dataset, tmp_path / "out", SHORT) == first
    moved.rename(model)
    assert len(asked) == count == 4
    with pytest.raises(UserError, match="another input or configuration"):
        evaluate_model(model, dataset, tmp_path / "out", EvaluateSettings(max_new_tokens=7, blind=True))
    weights = model / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(UserError, match="another input or configuration"):
        evaluate_model(model, dataset, tmp_path / "out", SHORT)


def test_after_a_kill_only_what_is_missing_is_asked(
    tiny: Path, dataset: Path, tmp_path: Path, asked: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluate_model(tiny, dataset, tmp_path / "whole", SHORT)
    asked.clear()
    ask = Answerer.ask

    def killed(self: Answerer, *args: Any, **kwargs: Any) -> Answer:
        if len(asked) == 3:
            raise KeyboardInterrupt
        return ask(self, *args, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Answerer, "ask", killed)
        evaluate_model(tiny, dataset, tmp_path / "out", SHORT)
    with (tmp_path / "out" / "predictions_blind.jsonl").open("a") as stream:
        stream.write('{"id": "half a li')
    again = evaluate_model(tiny, dataset, tmp_path / "out", SHORT)
    assert len(asked) == 4
    assert len(set(asked)) == 4
    assert again.variants == whole.variants


def test_a_clip_that_does_not_decode_is_null_never_zero_and_the_command_fails(
    tiny: Path, dataset: Path, tmp_path: Path, asked: list[tuple[str, bool]]
) -> None:
    shutil.copytree(dataset, tmp_path / "data")
    bad, good = read_instructions(dataset, ["video"], "test")
    (tmp_path / "data" / bad.media[0].path).write_bytes(b"not a video")
    with pytest.raises(TooManyRejectsError, match=r"only 50\.0% of the scores"):
        evaluate_model(tiny, tmp_path / "data", tmp_path / "out", SHORT)
    scores = read_records(tmp_path / "out" / "scores.jsonl", Score)
    assert {score.value for score in scores if score.id == bad.id} == {None}
    assert all("there is no answer: " in (score.reason or "") for score in scores if score.id == bad.id)
    assert {score.value for score in scores if score.id == good.id} == {1.0}
    allowed = SHORT.model_copy(update={"min_coverage": 0.5})
    result = evaluate_model(tiny, tmp_path / "data", tmp_path / "out", allowed)
    assert accuracy(result)["full"] == 1.0
    assert result.coverage == 0.5
    assert any(bad.id in note for note in result.notes)
    assert sum(result.failures.values()) == 1
    failed = [json.loads(line) for line in (tmp_path / "out" / "failures.jsonl").read_text().splitlines()]
    assert [(failure["id"], failure["variant"]) for failure in failed] == [(bad.id, "full"), (bad.id, "blind")]
    # What failed is tried again when the file is whole again; the rest is not.
    asked.clear()
    shutil.copyfile(dataset / bad.media[0].path, tmp_path / "data" / bad.media[0].path)
    assert evaluate_model(tiny, tmp_path / "data", tmp_path / "out", SHORT).coverage == 1
    assert asked == [(bad.id, False), (bad.id, True)]
    assert not (tmp_path / "out" / "failures.jsonl").exists()


def test_a_judge_scores_both_variants_and_its_failures_lower_coverage(
    tiny: Path, dataset: Path, tmp_path: Path, asked: list[tuple[str, bool]]
) -> None:
    def behave(request: dict[str, Any], _: int) -> Any:
        material = json.loads(request["messages"][1]["content"])
        return mark(5) if material["candidate_answer"] == material["reference_answer"] else mark(2)

    with serve(behave) as server:
        settings = load_settings(
            EvaluateSettings,
            None,
            [f"judge.base_url={server.url}", "judge.model=judge-1", "max_new_tokens=6", "blind=true"],
        )
        result = evaluate_model(tiny, dataset, tmp_path / "out", settings)
        full, blind = result.variants["full"].judge, result.variants["blind"].judge
        assert full is not None
        assert blind is not None
        assert (full.avg, full.norm_avg) == (5, 100)
        assert blind.correctness == 2
        assert result.variants["full"].columns["judge_norm_avg"].value == 100
        assert (result.spent["judge"].replies, result.spent["judge"].tokens_in) == (12, 12 * 90)
        assert result.judge is not None
        assert (result.judge.model, result.judge.protocol_hash) == ("judge-1", full.protocol_hash)
        sent = len(server.requests)
        assert evaluate_model(tiny, dataset, tmp_path / "out", settings) == result
        assert len(server.requests) == sent == 12
        server.behave = lambda request, _: said("prose")
        with pytest.raises(TooManyRejectsError):
            evaluate_model(tiny, dataset, tmp_path / "prose", settings)
    written = json.loads((tmp_path / "prose" / "results.json").read_text())
    assert written["variants"]["full"]["judge"]["norm_avg"] is None
    assert written["variants"]["full"]["columns"]["judge_norm_avg"]["value"] is None
    assert written["variants"]["full"]["columns"]["diagnosis_exact"]["value"] == 1.0


def test_how_a_judge_is_reached_does_not_make_it_another_evaluation(
    tiny: Path, dataset: Path, tmp_path: Path, asked: list[tuple[str, bool]]
) -> None:
    with serve(lambda request, _: mark(3)) as server:
        judge = {"base_url": server.url, "model": "judge-1"}
        evaluate_model(tiny, dataset, tmp_path / "out", load_settings(EvaluateSettings, max_new_tokens=6, judge=judge))
        faster = load_settings(EvaluateSettings, max_new_tokens=6, judge={**judge, "concurrency": 2, "timeout": 5})
        evaluate_model(tiny, dataset, tmp_path / "out", faster)
        with pytest.raises(UserError, match="another input or configuration"):
            other = load_settings(EvaluateSettings, max_new_tokens=6, judge={**judge, "model": "judge-2"})
            evaluate_model(tiny, dataset, tmp_path / "out", other)


def test_models_and_data_that_are_not_there_are_named_and_nothing_is_left_behind(
    tiny: Path, dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="nowhere"):
        evaluate_model(tmp_path / "nowhere", dataset, tmp_path / "out", SHORT)
    with pytest.raises(UserError, match="nothing does not exist; data are a dataset folder"):
        evaluate_model(tiny, tmp_path / "nothing", tmp_path / "out", SHORT)
    shutil.copytree(dataset, tmp_path / "data")
    path = tmp_path / "data" / "instructions.jsonl"
    path.write_text("".join(line for line in path.open() if '"split":"train"' in line))
    with pytest.raises(UserError, match="no test records of kind video"):
        evaluate_model(tiny, tmp_path / "data", tmp_path / "out", SHORT)
    assert not (tmp_path / "out").exists()
