"""Several judges of the same answers: each judge's scores by themselves, and how far they agree."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from statistics import fmean

from pydantic import BaseModel

from videopath_hf.errors import UserError
from videopath_hf.evaluation.judge import Judge, JudgeSummary
from videopath_hf.evaluation.judging.protocol import Aspect, JudgeSample
from videopath_hf.llm.pool import run_coroutine
from videopath_hf.progress import counter
from videopath_hf.records import Score


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


class PanelResult(BaseModel):
    """Scores of all judges, each judge's summary by its name, and their agreement by aspect."""

    scores: list[Score]
    summaries: dict[str, JudgeSummary]
    agreement: dict[Aspect, AspectAgreement]


def score_with(judges: Sequence[Judge], samples: Sequence[JudgeSample]) -> PanelResult:
    """Judge the same answers with several judges, all at once.

    Args:
        judges (`Sequence[Judge]`): at least two, each with a name of its own and, if any, a log of its own; all by
            one protocol and on the same aspects.
        samples (`Sequence[JudgeSample]`): the answers.

    Raises:
        UserError: the judges do not go together, or one of them cannot go on; what all of them answered until then
            is in their logs.
    """
    _check(judges)

    total = len(judges) * len(samples) * len(judges[0].settings.aspects)
    given: dict[str, list[Score]] = {}
    with counter(f"judging ({len(judges)} judges)", total) as done:
        outcomes = run_coroutine(
            lambda: asyncio.gather(*(judge.score_async(samples, done) for judge in judges), return_exceptions=True)
        )
    for judge, scores in zip(judges, outcomes, strict=True):
        if isinstance(scores, BaseException):
            raise scores
        given[judge.settings.label] = scores
    return PanelResult(
        scores=[score for scores in given.values() for score in scores],
        summaries={judge.settings.label: judge.summarise(given[judge.settings.label]) for judge in judges},
        agreement={aspect: _agreement(aspect, given) for aspect in judges[0].settings.aspects},
    )


def _check(judges: Sequence[Judge]) -> None:
    names = [judge.settings.label for judge in judges]
    if len(judges) < 2:
        raise UserError(f"{len(judges)} judges are given; agreement is between two or more")
    if len(set(names)) < len(names):
        raise UserError(f"two judges have one name ({', '.join(names)}); their scores could not be told apart")
    if len({judge.protocol.hash for judge in judges}) > 1:
        raise UserError("the judges go by different protocols, and scores by different protocols are not comparable")
    if len({frozenset(judge.settings.aspects) for judge in judges}) > 1:
        raise UserError("the judges are asked for different aspects; give all of them the same")


def _agreement(aspect: Aspect, given: dict[str, list[Score]]) -> AspectAgreement:
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
