"""Scores of records as a table, and its columns summed up: means, intervals, coverage, the paper's averages."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import BaseModel

from videopath_hf.evaluation.metrics import DIAGNOSIS, DIAGNOSIS_SYNONYM, ROUGE_L
from videopath_hf.evaluation.metrics.findings import FINDING_RECALL
from videopath_hf.evaluation.statistics import Values, bootstrap, means
from videopath_hf.instructions.answers import normalise_diagnosis
from videopath_hf.records import InstructionRecord, Score

PAPER_COLUMNS = {
    "Context": "judge_context",
    "Correctness": "judge_correctness",
    "Detail": "judge_detail",
    "Avg": "judge_avg",
    "Norm-Avg": "judge_norm_avg",
}
"""The columns of the paper's table (arXiv 2505.04192) in its order, and what they are called here."""

AVERAGE, NORM_AVERAGE = "judge_avg", "judge_norm_avg"
PAPER_ASPECTS = ("judge_context", "judge_correctness", "judge_detail")
TOPS = {True: 5.0, False: 1.0}
"""The best score of a metric, by whether a judge gave it."""

_JUDGED = "judge_"
_FIRST = (DIAGNOSIS, DIAGNOSIS_SYNONYM, FINDING_RECALL, ROUGE_L)


class Column(BaseModel):
    """One figure of an evaluation.

    Args:
        value (`float`, *optional*): the mean of the scores that could be had; None where none could.
        low (`float`, *optional*), high (`float`, *optional*): its 95% interval, source videos resampled; None with
            fewer than two of them.
        n (`int`): records that the metric applies to.
        scored (`int`): how many of them have a score.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    scored: int

    @property
    def coverage(self) -> float:
        """Share of the records with a score; 1 where the metric applies to none."""
        return self.scored / self.n if self.n else 1.0


class Group(BaseModel):
    """The columns of the records of one organ or diagnosis."""

    name: str
    records: int
    videos: int
    columns: dict[str, Column]


class Table:
    """Scores as a matrix.

    Args:
        records (`Sequence[InstructionRecord]`): its rows.
        scores (`Sequence[Score]`): its cells, in any order.

    `values` is float64 [records, metrics] with NaN where there is no score; `applies` says where one was asked for.
    """

    def __init__(self, records: Sequence[InstructionRecord], scores: Sequence[Score]) -> None:
        self.records = list(records)
        self.metrics = sorted({score.metric for score in scores}, key=column_order)
        rows = {record.id: row for row, record in enumerate(self.records)}
        places = {metric: column for column, metric in enumerate(self.metrics)}
        self.values: Values = np.full((len(rows), len(places)), np.nan)
        self.applies = np.zeros((len(rows), len(places)), dtype=bool)
        for score in scores:
            if score.id in rows and score.applies:
                cell = rows[score.id], places[score.metric]
                self.applies[cell] = True
                if score.value is not None:
                    self.values[cell] = score.value

    @cached_property
    def averages(self) -> Values | None:
        """Mean of the paper's three aspects by record, float64 [records], NaN where one of them is missing; None where
        they were not judged."""
        if not set(PAPER_ASPECTS) <= set(self.metrics):
            return None
        return np.asarray(self.values[:, [self.metrics.index(name) for name in PAPER_ASPECTS]].mean(axis=1))

    def of(self, metric: str) -> Values:
        """Scores of one metric by record, float64 [records]; `judge_avg` too."""
        if metric == AVERAGE and self.averages is not None:
            return self.averages
        return np.asarray(self.values[:, self.metrics.index(metric)])

    def rows(self, kept: Sequence[int]) -> "Table":
        """Some of its rows."""
        part = Table([self.records[row] for row in kept], [])
        part.metrics, part.values, part.applies = self.metrics, self.values[kept], self.applies[kept]
        return part

    def columns(self, resamples: int, seed: int) -> dict[str, Column]:
        """Every metric summed up, and the paper's averages where its three aspects were judged."""
        names = [*self.metrics]
        if self.averages is not None:
            names += [AVERAGE, NORM_AVERAGE]
        videos = [record.video_id for record in self.records]
        intervals = bootstrap(self.values, videos, resamples, seed, self._with_averages)
        values = self._with_averages(means(self.values)[None])[0]
        columns = {}
        for name, value, interval in zip(names, values, intervals, strict=True):
            wanted, known = self._counts(name)
            columns[name] = Column(
                value=None if np.isnan(value) else float(value), low=interval.low, high=interval.high, n=wanted,
                scored=known,
            )  # fmt: skip
        return {name: columns[name] for name in sorted(columns, key=column_order)}

    def _with_averages(self, replicates: Values) -> Values:
        """Means [rows, metrics] with two more columns: the average of the aspects' means, and 20 times it."""
        if self.averages is None:
            return replicates
        return np.concatenate([replicates, paper_averages(replicates[:, self._aspects])], axis=1)

    @cached_property
    def _aspects(self) -> list[int]:
        return [self.metrics.index(name) for name in PAPER_ASPECTS]

    def _counts(self, name: str) -> tuple[int, int]:
        if name in (AVERAGE, NORM_AVERAGE):
            applies = self.applies[:, self._aspects].all(axis=1)
            known = ~np.isnan(self.of(AVERAGE))
        else:
            place = self.metrics.index(name)
            applies, known = self.applies[:, place], ~np.isnan(self.values[:, place])
        return int(applies.sum()), int(known.sum())

    def groups(self, field: str, resamples: int, seed: int) -> list[Group]:
        """The columns by a field of the records, `organ` or `diagnosis`; the largest group first."""
        members: dict[str, list[int]] = {}
        shown: dict[str, str] = {}
        for row, record in enumerate(self.records):
            value = getattr(record, field)
            key = normalise_diagnosis(value) if value else ""
            shown.setdefault(key, value or "not stated")
            members.setdefault(key, []).append(row)
        found = []
        for key, rows in sorted(members.items(), key=lambda item: (-len(item[1]), item[0])):
            part = self.rows(rows)
            videos = len({record.video_id for record in part.records})
            columns = part.columns(resamples, seed)
            found.append(Group(name=shown[key], records=len(rows), videos=videos, columns=columns))
        return found


def paper_averages(aspects: Any) -> Values:
    """Avg, the mean of three aspects, and Norm-Avg, 20 times it before rounding: [rows, 2] of [rows, 3]."""
    average = np.asarray(aspects, dtype=np.float64).mean(axis=1)
    return np.stack([average, 20 * average], axis=1)


def label(metric: str) -> str:
    """What a metric is called in tables: the paper's names of a judge's, the others as they are."""
    paper = {name: shown for shown, name in PAPER_COLUMNS.items()}
    if metric in paper:
        return paper[metric]
    return metric.removeprefix(_JUDGED).capitalize() if is_judged(metric) else metric


def is_judged(metric: str) -> bool:
    """Whether a judge gave it: 0 to 5, where all others are 0 to 1."""
    return metric.startswith(_JUDGED)


def column_order(metric: str) -> tuple[int, int, str]:
    """The paper's columns first and in its order, then a judge's others, then what needs none: diagnoses, findings,
    words."""
    paper = list(PAPER_COLUMNS.values())
    if metric in paper:
        return 0, paper.index(metric), metric
    if is_judged(metric):
        return 1, 0, metric
    return 2, _FIRST.index(metric) if metric in _FIRST else len(_FIRST), metric
