"""The figures of a check of a judge, out of its scores of the calibration set."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from pydantic import BaseModel

from videopath_hf.evaluation.judge import Judge, JudgeSummary
from videopath_hf.evaluation.judging.calibration import KINDS, CalibrationItem, relations
from videopath_hf.evaluation.judging.protocol import Aspect
from videopath_hf.records import Score

Values = dict[str, dict[Aspect, float]]
"""By the id of an answer, its score in each aspect that has one."""


class Order(BaseModel):
    """Pairs of answers of known order, in one aspect: how many could be compared, and how many are in order."""

    pairs: int
    kept: int


class Violation(BaseModel):
    """A pair that is not in order: `worse` got at least as much as `better`, or more."""

    case: str
    aspect: Aspect
    better: str
    worse: str
    better_score: float
    worse_score: float


class Gain(BaseModel):
    """What an answer got with words around it, over what it got without; null where one of them has no score."""

    kind: str
    case: str
    gain: float | None
    by_aspect: dict[Aspect, float]
    gained: bool


class Repetition(BaseModel):
    """The scores of one answer that was judged several times."""

    id: str
    aspect: Aspect
    scores: list[float | None]

    @property
    def range(self) -> float | None:
        """The highest less the lowest, of at least two."""
        known = [score for score in self.scores if score is not None]
        return max(known) - min(known) if len(known) > 1 else None


class Cost(BaseModel):
    """What judging 100 answers takes, on average of this set: requests, tokens, and money where prices are set."""

    requests: float
    tokens_in: float
    tokens_out: float
    cost: float | None


class JudgeCheck(BaseModel):
    """What a check found.

    Args:
        summary (`JudgeSummary`): judge, version, protocol, dates; its scores are of the whole set and mean nothing.
        means (`dict`): mean score of each kind of answer, by aspect.
        cells (`dict`): by case and kind, the mean over the aspects.
        order (`dict[str, Order]`), violations (`list[Violation]`): pairs of known order.
        injections (`list[Gain]`): answers that address the judge.
        repetitions (`list[Repetition]`), shifts (`dict[str, float]`): sameness, over time and over form.
        nulls (`dict[str, int]`): reasons of scores that could not be had.
        per_100 (`Cost`): what 100 answers take.
    """

    summary: JudgeSummary
    calibration: str
    answers: int
    means: dict[str, dict[Aspect, float | None]]
    cells: dict[str, dict[str, float | None]]
    order: dict[Aspect, Order]
    violations: list[Violation]
    injections: list[Gain]
    repetitions: list[Repetition]
    shifts: dict[str, float | None]
    nulls: dict[str, int]
    per_100: Cost

    @property
    def order_share(self) -> float | None:
        """Share of the pairs, of all aspects, that are in order."""
        pairs = sum(order.pairs for order in self.order.values())
        return sum(order.kept for order in self.order.values()) / pairs if pairs else None

    @property
    def injected_share(self) -> float | None:
        """Share of the injected answers that gained, of those that could be compared."""
        known = [injection for injection in self.injections if injection.gain is not None]
        return sum(injection.gained for injection in known) / len(known) if known else None

    @property
    def mean_range(self) -> float | None:
        """Mean range of the repeated answers."""
        return _mean(repetition.range for repetition in self.repetitions)

    @property
    def mean_shift(self) -> float | None:
        """Mean change by form."""
        return _mean(self.shifts.values())

    def figures(self) -> dict[str, Any]:
        """The figures that have a threshold, for people."""
        names = ("order_share", "injected_share", "mean_range", "mean_shift")
        figures = {name: getattr(self, name) for name in names}
        rounded = {name: None if value is None else round(value, 3) for name, value in figures.items()}
        return {
            "judge": self.summary.judge_version or self.summary.judge,
            "protocol": f"{self.summary.protocol} {self.summary.protocol_hash}",
            "answers": self.answers,
            "coverage": round(self.summary.coverage, 3),
            **rounded,
            "per_100": self.per_100.model_dump(),
        }


def measure(
    judge: Judge, calibration: str, items: Sequence[CalibrationItem], scores: Sequence[Score], tolerance: float
) -> JudgeCheck:
    """The figures of a check.

    Args:
        judge (`Judge`): which has scored.
        calibration (`str`): the set's version and hash.
        items (`Sequence[CalibrationItem]`), scores (`Sequence[Score]`): what it scored, and how.
        tolerance (`float`): what an injected answer may get more, over the mean of the aspects, without gaining.
    """
    values: Values = defaultdict(dict)
    for score in scores:
        if score.value is not None:
            aspect: Any = score.metric.removeprefix("judge_")
            values[score.id][aspect] = score.value
    aspects = judge.settings.aspects
    order, violations = _order(items, values, aspects)
    usage = judge.usage
    hundred = 100 / len(items)
    return JudgeCheck(
        summary=judge.summarise(scores),
        calibration=calibration,
        answers=len(items),
        means=_means(items, values, aspects),
        cells=_cells(items, values),
        order=order,
        violations=violations,
        injections=_gains(items, values, tolerance),
        repetitions=_repetitions(items, values, aspects),
        shifts=_shifts(items, values),
        nulls=dict(Counter(score.reason or "" for score in scores if score.value is None).most_common()),
        per_100=Cost(
            requests=usage.replies * hundred,
            tokens_in=usage.tokens_in * hundred,
            tokens_out=usage.tokens_out * hundred,
            cost=None if usage.cost is None else usage.cost * hundred,
        ),
    )


def _order(
    items: Sequence[CalibrationItem], values: Values, aspects: Sequence[Aspect]
) -> tuple[dict[Aspect, Order], list[Violation]]:
    order = {aspect: Order(pairs=0, kept=0) for aspect in aspects}
    violations = []
    for case in dict.fromkeys(item.case for item in items):
        for aspect, better, worse, strict in relations():
            high, low = (values.get(f"{case}: {kind}", {}).get(aspect) for kind in (better, worse))
            if high is None or low is None:
                continue
            order[aspect].pairs += 1
            if high > low or (high == low and not strict):
                order[aspect].kept += 1
                continue
            violations.append(
                Violation(case=case, aspect=aspect, better=better, worse=worse, better_score=high, worse_score=low)
            )
    return order, violations


def _gains(items: Iterable[CalibrationItem], values: Values, tolerance: float) -> list[Gain]:
    gains = []
    for item in items:
        if item.kind != "injection" or item.base is None:
            continue
        with_it, without = values.get(item.sample.id, {}), values.get(item.base, {})
        by_aspect = {aspect: with_it[aspect] - without[aspect] for aspect in with_it if aspect in without}
        gain = fmean(by_aspect.values()) if by_aspect else None
        gained = gain is not None and gain > tolerance
        kind = item.sample.id.removeprefix(f"{item.case}: ")
        gains.append(Gain(kind=kind, case=item.case, gain=gain, by_aspect=by_aspect, gained=gained))
    return gains


def _repetitions(items: Sequence[CalibrationItem], values: Values, aspects: Sequence[Aspect]) -> list[Repetition]:
    asked: dict[str, list[str]] = defaultdict(list)
    for item in items:
        if item.kind == "repeat" and item.base is not None:
            asked[item.base].append(item.sample.id)
    return [
        Repetition(id=base, aspect=aspect, scores=[values.get(name, {}).get(aspect) for name in (base, *again)])
        for base, again in asked.items()
        for aspect in aspects
    ]


def _shifts(items: Iterable[CalibrationItem], values: Values) -> dict[str, float | None]:
    """By form, the mean change of a score, whichever way it goes."""
    shifts: dict[str, list[float]] = defaultdict(list)
    for item in items:
        if item.kind == "form" and item.base is not None:
            here, base = values.get(item.sample.id, {}), values.get(item.base, {})
            form = item.sample.id.removeprefix(f"{item.case}: ")
            shifts[form] += [abs(here[aspect] - base[aspect]) for aspect in here if aspect in base]
    return {form: _mean(changes) for form, changes in shifts.items()}


def _means(
    items: Sequence[CalibrationItem], values: Values, aspects: Sequence[Aspect]
) -> dict[str, dict[Aspect, float | None]]:
    names = {kind: [item.sample.id for item in items if item.kind == kind] for kind in KINDS}
    return {
        kind: {aspect: _mean(values.get(name, {}).get(aspect) for name in ids) for aspect in aspects}
        for kind, ids in names.items()
    }


def _cells(items: Iterable[CalibrationItem], values: Values) -> dict[str, dict[str, float | None]]:
    cells: dict[str, dict[str, float | None]] = defaultdict(dict)
    for item in items:
        if item.kind in KINDS:
            cells[item.case][item.kind] = _mean(values.get(item.sample.id, {}).values())
    return dict(cells)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
