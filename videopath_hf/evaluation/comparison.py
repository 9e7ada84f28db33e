"""Two evaluations of the same records, compared pair by pair: B against A."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.errors import TooManyRejectsError
from videopath_hf.evaluation.columns import AVERAGE, NORM_AVERAGE, PAPER_ASPECTS, Table, label
from videopath_hf.evaluation.comparable import check_comparable, common_columns
from videopath_hf.evaluation.metrics import ROUGE_L
from videopath_hf.evaluation.results import RECORDS, EvaluationResult, file_of, read_results
from videopath_hf.evaluation.statistics import Values, paired_test
from videopath_hf.files import read_records
from videopath_hf.instructions.answers import normalise_diagnosis
from videopath_hf.records import InstructionRecord, Prediction, Score

METHOD = (
    "Differences are B - A on the records that both have a score for. p: two-sided permutation test that flips the "
    "sign of whole source videos (all flips of up to 14 videos, else a sample). Interval: 95% percentile bootstrap of "
    "whole source videos. Effect: mean difference in standard deviations of the differences (Cohen's d of paired "
    "samples). p values are not adjusted for the number of columns."
)


class Difference(BaseModel):
    """One column compared.

    Args:
        column (`str`): the metric.
        a (`float`, *optional*), b (`float`, *optional*): means over the records that both have a score for.
        difference (`float`, *optional*), low (`float`, *optional*), high (`float`, *optional*): B - A and its 95%
            interval.
        p (`float`, *optional*): of the paired test; None with fewer than two source videos.
        effect (`float`, *optional*): Cohen's d of paired samples; None where the differences do not vary.
        records (`int`), videos (`int`): pairs compared.
        left_out (`int`): records that the metric applies to and that one of the two has no score for.
        better (`int`), equal (`int`), worse (`int`): records in which B has more, as much, or less.
    """

    column: str
    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    effect: float | None
    records: int
    videos: int
    left_out: int
    better: int
    equal: int
    worse: int


class GroupDifference(Difference):
    """One column compared in the records of one organ."""

    organ: str


class Change(BaseModel):
    """A record and how much its score changed."""

    id: str
    a: float
    b: float
    difference: float


class ComparisonResult(BaseModel):
    """What a comparison found.

    Args:
        a (`str`), b (`str`): the models.
        method (`str`): how it was compared.
        differences (`list[Difference]`): by column.
        organs (`list[GroupDifference]`): by organ and column.
        ranked_by (`str`): column of the changes.
        gains (`list[Change]`), losses (`list[Change]`): records that changed most.
        coverage (`float`): the least share of records that could be compared in any column.
        notes (`list[str]`): what a reader must know.
    """

    schema_version: int = 1
    notice: str = RESEARCH_NOTICE
    a: str
    b: str
    method: str = METHOD
    basis: dict[str, Any]
    differences: list[Difference]
    organs: list[GroupDifference]
    ranked_by: str
    gains: list[Change]
    losses: list[Change]
    coverage: float
    notes: list[str]


class Side(NamedTuple):
    """One of two evaluations, read.

    Args:
        result (`EvaluationResult`): its figures.
        table (`Table`): its scores.
        predictions (`dict[str, Prediction]`): its answers.
    """

    result: EvaluationResult
    table: Table
    predictions: dict[str, Prediction]


def read_side(place: str | Path) -> Side:
    """Read an evaluation; raises `UserError` where there is none."""
    result, folder = read_results(place)
    records = sorted(read_records(folder / RECORDS, InstructionRecord), key=lambda record: record.id)
    scores = read_records(folder / file_of("scores", "full"), Score)
    lines = read_records(folder / file_of("predictions", "full"), Prediction)
    return Side(result, Table(records, scores), {line.id: line for line in lines})


def compare(a: Side, b: Side, resamples: int = 10_000, seed: int = 0, changes: int = 10) -> ComparisonResult:
    """Compare B with A.

    Args:
        a (`Side`), b (`Side`): the evaluations.
        resamples (`int`, defaults to 10000): of bootstrap and permutation.
        seed (`int`, defaults to 0): of both.
        changes (`int`, defaults to 10): so many gains and losses are listed.

    Raises:
        UserError: they are of different data, judges or protocols.
    """
    check_comparable(a.result, b.result)
    metrics, left_out = common_columns(a.result, a.table, b.result, b.table)
    everything = list(range(len(a.table.records)))
    differences = [_difference(a, b, metric, everything, resamples, seed) for metric in metrics]
    if AVERAGE in metrics:
        place = metrics.index(AVERAGE)
        differences.insert(place + 1, _times(differences[place], 20, NORM_AVERAGE))
    organs = [
        GroupDifference(organ=organ, **_difference(a, b, metric, rows, resamples, seed).model_dump())
        for organ, rows in _organs(a.table.records)
        for metric in metrics
    ]
    ranked = next((name for name in (AVERAGE, ROUGE_L) if name in metrics), metrics[0])
    gains, losses = _changes(a, b, ranked, changes)
    shares = [found.records / (found.records + found.left_out) for found in differences if found.records]
    return ComparisonResult(
        a=a.result.model.name,
        b=b.result.model.name,
        basis=_basis(a.result, b.result),
        differences=differences,
        organs=organs,
        ranked_by=ranked,
        gains=gains,
        losses=losses,
        coverage=min(shares, default=0.0),
        notes=[*left_out, *_notes(a.result, b.result, differences)],
    )


def check_coverage(result: ComparisonResult, least: float) -> None:
    """Raise `TooManyRejectsError` where fewer records could be compared than the share `least`."""
    if result.coverage < least:
        raise TooManyRejectsError(
            f"only {result.coverage:.1%} of the records could be compared in every column (min-coverage is "
            f"{least:.1%}); the others lack a score in one of the two evaluations"
        )


def _pair(a: Side, b: Side, metric: str, rows: Sequence[int]) -> tuple[Values, Values]:
    first, second = a.table.of(metric)[rows], b.table.of(metric)[rows]
    missing = np.isnan(first) | np.isnan(second)
    return np.where(missing, np.nan, first), np.where(missing, np.nan, second)


def _difference(a: Side, b: Side, metric: str, rows: Sequence[int], resamples: int, seed: int) -> Difference:
    first, second = _pair(a, b, metric, rows)
    videos = [a.table.records[row].video_id for row in rows]
    found = paired_test(second - first, videos, resamples, seed)
    wanted = _applies(a.table, metric)[rows]
    return Difference(
        column=metric,
        a=_mean(first),
        b=_mean(second),
        difference=found.difference,
        low=found.interval.low,
        high=found.interval.high,
        p=found.p,
        effect=found.effect,
        records=found.records,
        videos=found.videos,
        left_out=int(wanted.sum()) - found.records,
        better=found.better,
        equal=found.equal,
        worse=found.worse,
    )


def _applies(table: Table, metric: str) -> Any:
    if metric == AVERAGE:
        return table.applies[:, [table.metrics.index(name) for name in PAPER_ASPECTS]].all(axis=1)
    return table.applies[:, table.metrics.index(metric)]


def _mean(values: Values) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _times(found: Difference, factor: float, column: str) -> Difference:
    """The same difference on another scale: its test and effect do not change."""
    scaled = {
        name: None if (value := getattr(found, name)) is None else factor * value
        for name in ("a", "b", "difference", "low", "high")
    }
    return found.model_copy(update={**scaled, "column": column})


def _organs(records: Sequence[InstructionRecord]) -> list[tuple[str, list[int]]]:
    members: dict[str, list[int]] = {}
    for row, record in enumerate(records):
        members.setdefault(normalise_diagnosis(record.organ) if record.organ else "not stated", []).append(row)
    return sorted(members.items(), key=lambda item: (-len(item[1]), item[0]))


def _changes(a: Side, b: Side, metric: str, most: int) -> tuple[list[Change], list[Change]]:
    first, second = _pair(a, b, metric, range(len(a.table.records)))
    differences = second - first
    order = [int(row) for row in np.argsort(differences, kind="stable") if not np.isnan(differences[row])]
    changes = [
        Change(
            id=a.table.records[row].id, a=float(first[row]), b=float(second[row]), difference=float(differences[row])
        )
        for row in order
    ]
    gains = [change for change in reversed(changes) if change.difference > 0][:most]
    return gains, [change for change in changes if change.difference < 0][:most]


def _basis(a: EvaluationResult, b: EvaluationResult) -> dict[str, Any]:
    return {
        "data": a.data.hash,
        "media": a.data.media_hash if a.data.media_hash == b.data.media_hash else None,
        "records": a.data.records,
        "videos": a.data.videos,
        "judge": a.judge.model_dump(mode="json") if a.judge else None,
        "models": [a.model.model_dump(mode="json"), b.model.model_dump(mode="json")],
        "dates": [a.date, b.date],
    }


def _notes(a: EvaluationResult, b: EvaluationResult, differences: Sequence[Difference]) -> list[str]:
    notes = []
    for found in differences:
        if found.left_out:
            lacking = f"{found.left_out} records lack a score in one of the two and are left out"
            notes.append(f"{label(found.column)}: {lacking}")
    if None in (a.data.media_hash, b.data.media_hash):
        notes.append("it is not known of both which media the model saw")
    addresses = {result.judge.settings.get("base_url") for result in (a, b) if result.judge}
    if len(addresses) > 1:
        notes.append(f"the judge stood behind different addresses: {', '.join(sorted(map(str, addresses)))}")
    if a.data.videos < 2:
        notes.append("all records are of one source video: nothing can be said about others, and there is no test")
    elif a.data.videos < 10:
        notes.append(f"{a.data.videos} source videos only: a test of so few finds little, intervals are too narrow")
    return notes
