"""Scores of answers: those that need no judge, and a judge's where one is set."""

from collections.abc import Mapping, Sequence
from typing import cast

from videopath_hf.evaluation.judge import Judge, JudgeSample, JudgeSettings
from videopath_hf.evaluation.metrics import MetricSettings, score_without_judge
from videopath_hf.instructions.questions import Medium, write_questions
from videopath_hf.records import InstructionRecord, Score

CONSISTENCY = "judge_consistency"
_PARAPHRASED = ("clip", "video")


def looks_at_consistency(judge: JudgeSettings | None) -> bool:
    """Whether a judge compares the answers to one question in two wordings."""
    return CONSISTENCY.removeprefix("judge_") in getattr(judge, "aspects", ())


def second_questions(records: Sequence[InstructionRecord], seed: int) -> dict[str, str]:
    """The question of each record in other words, by its id, for a judge that looks at consistency.

    The wordings ask for a description or a diagnosis: records of images, which may ask for anything, have none.

    Args:
        records (`Sequence[InstructionRecord]`): what is asked.
        seed (`int`): of the choice among the wordings.
    """
    found = {}
    for record in records:
        if record.kind not in _PARAPHRASED:
            continue
        named = record.organ is not None and record.organ.casefold() in record.question.casefold()
        organ = record.organ if named else None
        asks_diagnosis = record.diagnosis is not None
        wordings = write_questions(cast(Medium, record.kind), 2, record.id, seed, organ, asks_diagnosis)
        found[record.id] = next(wording for wording in wordings if wording != record.question)
    return found


def judge_samples(
    records: Sequence[InstructionRecord],
    answers: Mapping[str, str],
    second: Mapping[str, str],
    second_answers: Mapping[str, str],
) -> list[JudgeSample]:
    """What a judge is given, one sample a record.

    Args:
        records (`Sequence[InstructionRecord]`): what was asked.
        answers (`Mapping[str, str]`): answers by id of their record.
        second (`Mapping[str, str]`): second questions, for consistency; empty without it.
        second_answers (`Mapping[str, str]`): the answers to them.
    """
    return [
        JudgeSample(
            id=record.id,
            question=record.question,
            reference=record.answer,
            prediction=answers.get(record.id),
            second_question=second.get(record.id),
            second_prediction=second_answers.get(record.id),
        )
        for record in records
    ]


def score_answers(
    records: Sequence[InstructionRecord],
    answers: Mapping[str, str],
    failures: Mapping[str, str],
    metrics: MetricSettings,
    judge: Judge | None,
    samples: Sequence[JudgeSample],
) -> tuple[list[Score], list[Score]]:
    """Score answers with and without a judge.

    Args:
        records (`Sequence[InstructionRecord]`): what was asked.
        answers (`Mapping[str, str]`): answers by id of their record.
        failures (`Mapping[str, str]`): why others have none.
        metrics (`MetricSettings`): encoder and synonyms.
        judge (`Judge`, *optional*): none if omitted.
        samples (`Sequence[JudgeSample]`): what the judge is given.

    Returns:
        `tuple[list[Score], list[Score]]`: without and with the judge, each null with its reason.

    Raises:
        UserError: the judge can never answer.
    """

    def explained(score: Score) -> Score:
        if score.value is None and score.applies and score.id in failures:
            return score.model_copy(update={"reason": f"there is no answer: {failures[score.id]}"})
        return score

    plain = score_without_judge(records, answers, metrics)
    judged = judge.score(samples) if judge else []
    asked_once = {sample.id for sample in samples if sample.second_question is None}
    judged = [
        score.model_copy(update={"applies": False})
        if score.metric == CONSISTENCY and score.id in asked_once
        else score
        for score in judged
    ]
    return [explained(score) for score in plain], [explained(score) for score in judged]
