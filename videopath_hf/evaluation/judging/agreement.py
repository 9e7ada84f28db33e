"""How far several judges of the same answers agree."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from pydantic import BaseModel

from videopath_hf.errors import UserError
from videopath_hf.evaluation.judging.protocol import ALL_ASPECTS, Aspect
from videopath_hf.evaluation.results import EvaluationResult, JudgeInfo, file_of, read_results
from videopath_hf.evaluation.tables import aligned, number
from videopath_hf.files import read_records
from videopath_hf.records import Prediction, Score


class AspectAgreement(BaseModel):
    """What several judges make of one aspect.

    Args:
        by_judge (`dict[str, float]`): the mean of each judge, over the answers that all of them scored; null where
            there are none.
        mean (`float`, *optional*): the mean of these means. It is no judge's score, and is never put beside one's.
        spread (`float`, *optional*): mean absolute difference of two judges' scores of one answer, on the scale of 0
            to 5, over those answers and all pairs of judges.
        alpha (`float`, *optional*): Krippendorff's alpha for interval data, over all answers that at least two judges
            scored; 1 is agreement, 0 what chance gives. Null where it is not defined: all scores are the same.
        n (`int`): answers that all judges scored.
        asked (`int`): answers there are.
    """

    by_judge: dict[str, float | None]
    mean: float | None
    spread: float | None
    alpha: float | None
    n: int
    asked: int


class Agreement(BaseModel):
    """What several judges make of the same answers.

    Args:
        model (`str`): whose answers.
        judges (`list[str]`): in the order given.
        protocol (`str`), protocol_hash (`str`): what all of them were asked.
        aspects (`dict[str, AspectAgreement]`): by aspect, those that all of them looked at.
    """

    model: str
    judges: list[str]
    protocol: str
    protocol_hash: str
    aspects: dict[Aspect, AspectAgreement]

    def table(self) -> str:
        """For a terminal: a row an aspect, each judge's mean, and how far they are from each other."""
        header = ["aspect", *self.judges, "mean", "spread", "alpha", "scored by all"]
        rows = [
            [
                aspect,
                *(number(found.by_judge[judge]) for judge in self.judges),
                *(number(value) for value in (found.mean, found.spread, found.alpha)),
                f"{found.n} of {found.asked}",
            ]
            for aspect, found in self.aspects.items()
        ]
        return aligned(header, rows)


def read_agreement(places: Sequence[Path]) -> Agreement:
    """How far judges agree that each scored the same answers into a folder of its own.

    Args:
        places (`Sequence[Path]`): folders that `videopath evaluate` or `videopath score` wrote, one for each judge.

    Raises:
        UserError: fewer than two folders, one without a judge, or they do not go together: other answers, another
            protocol, the same judge twice, no aspect that all of them looked at.
    """
    if len(places) < 2:
        raise UserError(f"{len(places)} folder is given; agreement is between two judges or more, each with its own")
    first, *others = judged = [_read(place) for place in places]
    given = {first.judge.model: first.scores}
    for other in others:
        if (fault := _fault(first, other, other.judge.model in given)) is not None:
            raise UserError(f"{first.place} and {other.place} do not go together: {fault}")
        given[other.judge.model] = other.scores
    asked = [{score.metric for score in one.scores} for one in judged]
    aspects = [aspect for aspect in ALL_ASPECTS if all(f"judge_{aspect}" in metrics for metrics in asked)]
    if not aspects:
        raise UserError(f"there is no aspect that all of {', '.join(given)} looked at; set judge.aspects alike")
    return Agreement(
        model=first.result.model.name,
        judges=list(given),
        protocol=first.judge.protocol,
        protocol_hash=first.judge.protocol_hash,
        aspects={aspect: agreement_on(aspect, given) for aspect in aspects},
    )


class _Judged(NamedTuple):
    """A folder of answers that a judge scored."""

    place: Path
    result: EvaluationResult
    judge: JudgeInfo
    answers: dict[str, str]
    scores: list[Score]


def _read(place: Path) -> _Judged:
    result, folder = read_results(place)
    if result.judge is None:
        raise UserError(f"{place} holds no judge's scores; set one: videopath score ... --set judge.model=NAME")
    lines = read_records(folder / file_of("predictions", "full"), Prediction)
    scores = read_records(folder / file_of("scores", "full"), Score)
    return _Judged(place, result, result.judge, {line.id: line.answer for line in lines}, scores)


def _fault(first: _Judged, other: _Judged, known: bool) -> str | None:
    if first.result.data.hash != other.result.data.hash:
        return "they are about different data; have the judges score the same records"
    if first.answers != other.answers:
        return "the answers differ; have the judges score one file: videopath score predictions.jsonl"
    if first.judge.protocol_hash != other.judge.protocol_hash:
        return f"the protocols differ ({first.judge.protocol} and {other.judge.protocol}); set judge.protocol alike"
    return f"{other.judge.model} has scored both; agreement is between different judges" if known else None


def agreement_on(aspect: Aspect, given: Mapping[str, Sequence[Score]]) -> AspectAgreement:
    """How far judges agree on one aspect; `given` are the scores of each judge, by its name."""
    by_answer: dict[str, dict[str, float]] = defaultdict(dict)
    asked = set()
    for name, scores in given.items():
        for score in scores:
            if score.metric == f"judge_{aspect}":
                asked.add(score.id)
                if score.value is not None:
                    by_answer[score.id][name] = score.value
    common = [marks for marks in by_answer.values() if len(marks) == len(given)]
    means = {name: fmean(marks[name] for marks in common) if common else None for name in given}
    known = [value for value in means.values() if value is not None]
    differences = [abs(a - b) for marks in common for a, b in combinations(marks.values(), 2)]
    return AspectAgreement(
        by_judge=means,
        mean=fmean(known) if known else None,
        spread=fmean(differences) if differences else None,
        alpha=interval_alpha(marks.values() for marks in by_answer.values()),
        n=len(common),
        asked=len(asked),
    )


def interval_alpha(units: Iterable[Iterable[float]]) -> float | None:
    """Krippendorff's alpha for interval data (Content Analysis, 2004, chapter 11): 1 - observed / expected
    disagreement, with squared differences.

    Written out: the package `krippendorff` is under the GPL and needs Python 3.11.

    Args:
        units (`Iterable[Iterable[float]]`): of each unit the values that it was given, by any number of observers;
            units with fewer than two say nothing and are left out.

    Returns:
        `float`, *optional*: None where no unit has two values, or all values are the same.
    """
    paired = [values for unit in units if len(values := list(unit)) > 1]
    every = [value for values in paired for value in values]
    expected = _squares(every) / (len(every) - 1) if every else 0.0
    if expected == 0:
        return None
    observed = sum(_squares(values) / (len(values) - 1) for values in paired)
    return 1 - observed / expected


def _squares(values: Sequence[float]) -> float:
    """Sum of the squared differences of all ordered pairs of values."""
    middle = fmean(values)
    return 2 * len(values) * sum((value - middle) ** 2 for value in values)
