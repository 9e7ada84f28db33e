"""Questions while training: they change no step, stop a run that gets no better, and choose what it leaves behind."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.training.synthetic import DIAGNOSES, break_clip, write_dataset
from videopath_hf.errors import UserError
from videopath_hf.evaluation.while_training import examine
from videopath_hf.files import read_json
from videopath_hf.records import InstructionRecord, Score
from videopath_hf.training.metering import SPEEDS
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.stages import run_stage

FULL = {"projector": True, "vision_tower": True, "language_model": "full"}


class Marks:
    """An examiner that gives the marks it was told to, round by round."""

    def __init__(self, *marks: float) -> None:
        self.marks = list(marks)
        self.asked: list[str] = []

    def __call__(
        self, model: Any, processor: Any, records: Sequence[InstructionRecord], root: Path, max_new_tokens: int
    ) -> list[tuple[str | None, Score]]:
        mark = self.marks.pop(0)
        self.asked += [record.id for record in records]
        right = [index < round(mark * len(records)) for index in range(len(records))]
        return [
            ("said <b>", Score(id=record.id, metric="diagnosis_exact", value=float(mark)))
            for record, mark in zip(records, right, strict=True)
        ]


def log_of(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in SPEEDS} for line in lines]


def rounds_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "evaluations.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("language_model", ["full", "lora"])
def test_asking_changes_no_step_and_answers_stand_beside_the_references(
    language_model: str, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    parts = {"trainable": {**FULL, "language_model": language_model}, "lora": {"dropout": 0.2}}
    plan = {"optimisation": {"max_steps": 3}}
    silent = run_stage(recipe(**parts, **plan, out=tmp_path / "silent"))
    questions = {"every": 1, "max_new_tokens": 6}
    asked = run_stage(recipe(**parts, **plan, evaluation=questions, out=tmp_path / "asked"), examine)
    assert log_of(silent.out) == log_of(asked.out)
    one, other = (load_file(result.model / "model.safetensors") for result in (silent, asked))
    assert all(torch.equal(one[name], other[name]) for name in one)
    rounds = rounds_of(asked.out)
    assert [found["step"] for found in rounds] == [1, 2, 3]
    for said in rounds[-1]["answers"]:
        assert said["id"].endswith("-video-0") and said["right"] in (True, False)
        assert any(f"Diagnosis: {name}" in said["reference"] for name in DIAGNOSES)
    page = (asked.out / "training.html").read_text()
    assert rounds[-1]["answers"][0]["id"] in page and "right diagnoses, held out" in page


@pytest.mark.parametrize("language_model", ["full", "lora"])
def test_a_run_that_gets_no_better_stops_and_leaves_the_weights_of_its_best_round(
    language_model: str, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    parts = {"trainable": {**FULL, "language_model": language_model}, "lora": {"dropout": 0.0}}
    steady = {"scheduler": "constant", "save_steps": 2}
    questions = {"every": 2, "patience": 2, "keep_best": True}
    marks = Marks(0.0, 1.0, 0.5, 0.5, 1.0)
    chosen = recipe(**parts, evaluation=questions, optimisation={"max_steps": 20, **steady}, out=tmp_path / "stopped")
    stopped = run_stage(chosen, marks)
    assert [found["accuracy"] for found in rounds_of(stopped.out)] == [0.0, 1.0, 0.5, 0.5]
    assert stopped.steps == 8
    assert read_json(stopped.out / "run.json")["evaluation"] == {
        **{"rounds": 4, "best_step": 4, "best_accuracy": 1.0, "last_step": 8, "last_accuracy": 0.5}
    }
    four = run_stage(recipe(**parts, optimisation={"max_steps": 4, **steady}, out=tmp_path / "four"))
    one, other = (load_file(result.model / "model.safetensors") for result in (stopped, four))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not [path for path in stopped.out.iterdir() if path.name in (".best", ".model", "checkpoints")]
    assert run_stage(chosen, Marks()).finished_before


def test_of_rounds_as_good_as_each_other_the_last_is_kept_and_patience_counts_from_the_first() -> None:
    from videopath_hf.training.evaluating import HeldOut, Round, best_round
    from videopath_hf.training.recipe import EvaluationSettings

    rounds = [Round(step=step, accuracy=accuracy, answers=[]) for step, accuracy in ((2, 0.0), (4, 0.5), (6, 0.5))]
    best = best_round(rounds)
    assert best is not None and best.step == 6
    for patience, exhausted in ((1, True), (2, False)):
        held_out = HeldOut.__new__(HeldOut)
        held_out.rounds, held_out.settings = rounds, EvaluationSettings(every=2, patience=patience)
        assert held_out.exhausted is exhausted


def test_a_held_out_clip_that_does_not_decode_is_told_of_and_counts_for_nothing(
    recipe: Callable[..., Recipe], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = write_dataset(tmp_path / "data", clips=2, held_out=2)
    for number, name in enumerate(("lecture_c00002", "lecture_c00003")):
        break_clip(broken / f"videos/test/{name}.mp4")
        plan = {"data": {"path": broken}, "evaluation": {"every": 1, "max_new_tokens": 4, "keep_best": True}}
        result = run_stage(recipe(**plan, trainable=FULL, out=tmp_path / f"out{number}"), examine)
        for found in rounds_of(result.out):
            missing = [said for said in found["answers"] if said["answer"] is None]
            assert len(missing) == number + 1 and {said["right"] for said in missing} == {None}
            assert "is damaged" in missing[0]["reason"]
            assert (found["accuracy"] is None) is (number == 1)
        told = " ".join(capfd.readouterr().err.split())
        assert told.count(f"{number + 1} of 2 held-out questions cannot be asked") == 1
        page = (result.out / "training.html").read_text()
        assert ("no score" in page) is (number == 1) and "not asked: " in page
    assert read_json(result.out / "run.json")["evaluation"] is None


def test_rounds_after_the_step_a_run_resumes_from_are_asked_again(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    class Interrupted(Marks):
        def __call__(self, *arguments: Any) -> list[tuple[str | None, Score]]:
            if not self.marks:
                raise KeyboardInterrupt
            return super().__call__(*arguments)

    questions = {"every": 1, "patience": 3, "keep_best": True}
    chosen = recipe(trainable=FULL, evaluation=questions, optimisation={"max_steps": 4, "save_steps": 2})
    with pytest.raises(KeyboardInterrupt):
        run_stage(chosen, Interrupted(0.5, 0.5, 1.0))
    assert [found["step"] for found in rounds_of(tmp_path / "out")] == [1, 2, 3]
    result = run_stage(chosen, Marks(1.0, 0.0))
    assert result.resumed_step == 2
    assert [(found["step"], found["accuracy"]) for found in rounds_of(result.out)] == [
        (1, 0.5),
        (2, 0.5),
        (3, 1.0),
        (4, 0.0),
    ]


@pytest.mark.parametrize(
    ("evaluation", "examiner", "message"),
    [
        ({"every": 1}, None, "no examiner is given"),
        ({"every": 1, "kinds": ["caption"]}, examine, "no record of kind caption in split test .* names a diagnosis"),
    ],
)
def test_an_exam_that_cannot_be_held_is_refused_before_training(
    evaluation: dict[str, Any], examiner: Any, message: str, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        run_stage(recipe(evaluation=evaluation), examiner)
    assert not (tmp_path / "out").exists()


def test_what_is_trained_on_is_not_asked_about(recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(ValueError, match="is what is trained on: name the other split"):
        recipe(evaluation={"every": 1, "split": "train"})


def test_only_an_exam_that_decides_makes_another_run(recipe: Callable[..., Recipe]) -> None:
    assert recipe().settings_hash() == recipe(evaluation={"every": 3}).settings_hash()
    assert recipe().settings_hash() != recipe(evaluation={"every": 3, "keep_best": True}).settings_hash()
