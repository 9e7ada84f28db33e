"""Figures that need no judge: the diagnosis named, ROUGE-L of the whole answer, and how they are summed up."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from pydantic import BaseModel

from videopath_hf.instructions.answers import normalise_diagnosis, parse_answer
from videopath_hf.records import InstructionRecord, Score

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

DIAGNOSIS = "diagnosis_match"
ROUGE_L = "rougeL"


class Aggregate(BaseModel):
    """Mean of the scores that could be had.

    Args:
        value (`float`, *optional*): the mean; None where no score could be had.
        n (`int`): how many scores were asked for: those that do not apply to their record are not counted.
        scored (`int`): how many of them could be had.
    """

    value: float | None
    n: int
    scored: int

    @property
    def coverage(self) -> float:
        """Share of the scores that could be had; 1 where none were asked for."""
        return self.scored / self.n if self.n else 1.0


def diagnosis_match(name: str, prediction: str | None, reference: str | None) -> Score:
    """1 if the answer's `Diagnosis:` line is the reference's in normalised spelling, else 0.

    Args:
        name (`str`): id of the record.
        prediction (`str`, *optional*): the whole answer. One that names no diagnosis scores 0; None (there is no
            answer) scores null.
        reference (`str`, *optional*): the right diagnosis; null without one.
    """
    if prediction is None or reference is None:
        return _null(name, DIAGNOSIS, reference)
    named = parse_answer(prediction).diagnosis
    if named is None:
        return Score(id=name, metric=DIAGNOSIS, value=0.0, reason="the answer has no Diagnosis: line")
    same = normalise_diagnosis(named) == normalise_diagnosis(reference)
    return Score(id=name, metric=DIAGNOSIS, value=float(same))


def rouge_l(name: str, prediction: str | None, reference: str | None) -> Score:
    """ROUGE-L F-measure of the whole answer, 0 to 1, stemmed (package `rouge_score`); null where either is None."""
    if prediction is None or reference is None:
        return _null(name, ROUGE_L, reference)
    value = _scorer().score(reference, prediction)["rougeL"].fmeasure
    return Score(id=name, metric=ROUGE_L, value=float(value))


def score_without_judge(records: Sequence[InstructionRecord], predictions: Mapping[str, str | None]) -> list[Score]:
    """All scores of answers that need no judge, record by record; null where there is no answer.

    Args:
        records (`Sequence[InstructionRecord]`): what was asked.
        predictions (`Mapping[str, str | None]`): answers by id of their record.
    """
    scores = []
    for record in records:
        said = predictions.get(record.id)
        scores += [
            rouge_l(record.id, said, record.answer),
            diagnosis_match(record.id, said, record.diagnosis),
        ]
    return scores


def aggregate(scores: Iterable[Score]) -> Aggregate:
    """Mean of the scores that are not null, with how many of how many they are."""
    values = [score.value for score in scores if score.applies]
    known = [value for value in values if value is not None]
    return Aggregate(value=sum(known) / len(known) if known else None, n=len(values), scored=len(known))


def majority_accuracy(references: Sequence[str | None]) -> float | None:
    """Accuracy of the best constant answer: what seeing nothing can reach; None without references."""
    counts = Counter(normalise_diagnosis(reference) for reference in references if reference is not None)
    return max(counts.values()) / counts.total() if counts else None


def _null(name: str, metric: str, reference: str | None) -> Score:
    reason = "there is no reference" if reference is None else "there is no answer"
    return Score(id=name, metric=metric, value=None, reason=reason, applies=reference is not None)


@cache
def _scorer() -> "RougeScorer":
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)
