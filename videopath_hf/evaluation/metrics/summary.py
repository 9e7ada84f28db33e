"""Scores and how they are summed up."""

from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import BaseModel

from videopath_hf.instructions.answers import normalise_diagnosis
from videopath_hf.records import Score


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


def aggregate(scores: Iterable[Score]) -> Aggregate:
    """Mean of the scores that are not null, with how many of how many they are."""
    values = [score.value for score in scores if score.applies]
    known = [value for value in values if value is not None]
    return Aggregate(value=sum(known) / len(known) if known else None, n=len(values), scored=len(known))


def majority_accuracy(references: Sequence[str | None]) -> float | None:
    """Accuracy of the best constant answer: what seeing nothing can reach; None without references."""
    counts = Counter(normalise_diagnosis(reference) for reference in references if reference is not None)
    return max(counts.values()) / counts.total() if counts else None


def no_answer(name: str, metric: str) -> Score:
    """The score of a record without an answer: null."""
    return Score(id=name, metric=metric, value=None, reason="there is no answer")


def not_applicable(name: str, metric: str, reason: str) -> Score:
    """The score of a record whose reference gives a metric nothing to compare with: null, and not missed."""
    return Score(id=name, metric=metric, value=None, reason=reason, applies=False)
