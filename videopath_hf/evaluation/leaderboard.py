"""Results beside the published ones, and never ranked with what another judge, protocol or data gave."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.errors import UserError
from videopath_hf.evaluation.columns import NORM_AVERAGE, PAPER_COLUMNS, label
from videopath_hf.evaluation.results import EvaluationResult
from videopath_hf.evaluation.tables import ABSENT, counted, interval, markdown, number
from videopath_hf.files import content_hash, read_json

_FILE = Path(__file__).with_name("leaderboard.json")


class PublishedRow(BaseModel):
    """A row of the paper's table, as it was published: rounded to two places."""

    model: str
    context: float
    correctness: float
    detail: float
    avg: float
    norm_avg: float


class Published(BaseModel):
    """The paper's table: where it is from, and who judged what."""

    title: str
    source: str
    data: str
    judge: str
    rows: list[PublishedRow]


class BoardTable(BaseModel):
    """Results that may stand in one column.

    Args:
        title (`str`): what they have in common.
        basis (`str`): data, judge and protocol, and why the table stands by itself.
        header (`list[str]`), rows (`list[list[str]]`): its cells; the best of the ranked ones first.
    """

    title: str
    basis: str
    header: list[str]
    rows: list[list[str]]


@cache
def published() -> Published:
    """The 15 rows of arXiv 2505.04192."""
    return Published.model_validate(read_json(_FILE))


def board(results: Sequence[EvaluationResult]) -> list[BoardTable]:
    """The published table, and one for each data, judge and protocol of `results`.

    Args:
        results (`Sequence[EvaluationResult]`): in any order.

    Raises:
        UserError: one result is given twice.
    """
    seen: set[str] = set()
    groups: dict[str, list[EvaluationResult]] = {}
    for result in results:
        identity = content_hash(result.model_dump(mode="json"))
        if identity in seen:
            raise UserError(f"the result of {result.model.name} of {result.date} is given twice")
        seen.add(identity)
        groups.setdefault(_group_key(result), []).append(result)
    return [_published_table(), *(_table(part) for group in groups.values() for part in _by_media(group))]


def board_markdown(tables: Sequence[BoardTable]) -> str:
    """The tables as Markdown."""
    parts = [f"## {table.title}\n\n{table.basis}\n\n{markdown(table.header, table.rows)}" for table in tables]
    return "\n".join(parts) + f"\n{RESEARCH_NOTICE}\n"


def _group_key(result: EvaluationResult) -> str:
    judged: Any = result.judge.same_as if result.judge else result.metrics
    return content_hash(result.data.hash, judged)


def _by_media(group: Sequence[EvaluationResult]) -> list[list[EvaluationResult]]:
    """Results of one question each that saw different media part; those of unknown media go with a single other."""
    known = {result.data.media_hash for result in group if result.data.media_hash}
    if len(known) < 2:
        return [list(group)]
    parts: dict[str | None, list[EvaluationResult]] = {}
    for result in group:
        parts.setdefault(result.data.media_hash, []).append(result)
    return list(parts.values())


def _published_table() -> BoardTable:
    known = published()
    ordered = sorted(known.rows, key=lambda row: -row.norm_avg)
    rows = [
        [row.model, *(f"{getattr(row, name):.2f}" for name in ("context", "correctness", "detail", "avg", "norm_avg"))]
        for row in ordered
    ]
    basis = (
        f"Source: {known.source}. Data: {known.data}. Judge: {known.judge}. These are the authors' figures, not run "
        "again here."
    )
    return BoardTable(title=known.title, basis=basis, header=["Model", *PAPER_COLUMNS], rows=rows)


def _table(group: Sequence[EvaluationResult]) -> BoardTable:
    """One table; a result that lacks scores is not ranked, since its means are over other records."""
    first = group[0]
    media = next((result.data.media_hash for result in group if result.data.media_hash), "not known")
    data = f"{counted(first.data.records, 'record')} ({first.data.name}, {first.data.hash}; media {media})"
    if first.judge:
        title = f"Judged by {first.judge.model}, protocol {first.judge.protocol}"
        by = f"Judge: {first.judge.model}. Protocol: {first.judge.protocol} ({first.judge.protocol_hash})."
        metrics, rank_by = list(PAPER_COLUMNS.values()), NORM_AVERAGE
    else:
        title, by = "Scored without a judge", "No judge."
        metrics = [name for name in first.variants["full"].columns if name not in PAPER_COLUMNS.values()]
        rank_by = metrics[0]
    ordered = sorted(group, key=lambda result: (not _whole(result), -(_value(result, rank_by) or 0.0)))
    rows = []
    for place, result in enumerate(ordered, start=1):
        full = result.variants["full"].columns
        cells = [number(_value(result, metric), 2 if first.judge else 3) for metric in metrics]
        column = full.get(rank_by)
        rank = str(place) if _whole(result) and _value(result, rank_by) is not None else ABSENT
        ends = interval(column) if column else ABSENT
        rows.append([result.model.name, rank, *cells, ends, f"{result.coverage:.1%}", result.date[:10]])
    names = [label(name) for name in metrics]
    header = ["Model", "Rank", *names, f"95% interval of {label(rank_by)}", "Coverage", "Date"]
    basis = (
        f"Data: {data}. {by} Not ranked with the other tables: another judge, protocol or data makes another scale. "
        "Results with less than 100% coverage are not ranked: their means are over fewer records."
    )
    return BoardTable(title=title, basis=basis, header=header, rows=rows)


def _whole(result: EvaluationResult) -> bool:
    return result.coverage == 1


def _value(result: EvaluationResult, metric: str) -> float | None:
    column = result.variants["full"].columns.get(metric)
    return column.value if column else None
