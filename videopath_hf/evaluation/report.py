"""An evaluation as a page: one file that opens without a network. What a model said is escaped, like all text."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videopath_hf.data.sources import reason_kind
from videopath_hf.data.stores import MediaStores
from videopath_hf.evaluation.cases import known_values, ranking_column, worst_and_best
from videopath_hf.evaluation.columns import (
    NORM_AVERAGE,
    TOPS,
    Column,
    Group,
    Table,
    is_judged,
    label,
)
from videopath_hf.evaluation.metrics import BLEU, DIAGNOSIS, ROUGE_L
from videopath_hf.evaluation.results import RECORDS, EvaluationResult, file_of
from videopath_hf.evaluation.tables import basis, interval, number, result_markdown
from videopath_hf.files import read_records, write_text
from videopath_hf.records import InstructionRecord, Prediction, Score

_GROUPS = 40
_NOT_BY_GROUP = (NORM_AVERAGE, BLEU, "encoder_precision", "encoder_recall")


def write_report(out: Path, result: EvaluationResult, stores: MediaStores) -> None:
    """Write `report.html` and `row.md` from the other files of a folder.

    Args:
        out (`Path`): holds records, predictions and scores.
        result (`EvaluationResult`): what stands in its `results.json`.
        stores (`MediaStores`): where the media are; those that are not there are not shown.
    """
    from markupsafe import Markup

    from videopath_hf.reporting.page import render, render_page

    records = read_records(out / RECORDS, InstructionRecord)
    predictions = _read(out / file_of("predictions", "full"), Prediction)
    scores = read_records(out / file_of("scores", "full"), Score)
    table = Table(records, scores)
    ranked = ranking_column(table)
    body = render(
        "evaluation.html",
        result=result,
        basis=basis(result),
        cards=_cards(result),
        variants=["mean" if name == "full" else name for name in result.variants],
        figures=_figures(result),
        resamples=f"{result.settings['resamples']:,}",
        histograms=Markup(_histograms(table)),
        groups=_groups(result),
        cases=worst_and_best(table, ranked, {line.id: line for line in predictions}, scores, stores),
        ranked_by=label(ranked),
        answered=result.variants["full"].answered,
        nulls=_nulls(out, result),
        spent=_spent(result),
        manifest=_manifest(result),
    )
    write_text(out / "report.html", render_page(f"Evaluation of {result.model.name}", body))
    write_text(out / "row.md", result_markdown(result))


def _read(path: Path, cls: Any) -> list[Any]:
    return read_records(path, cls) if path.exists() else []


def _cards(result: EvaluationResult) -> list[tuple[str, str]]:
    full = result.variants["full"]
    shown = [(NORM_AVERAGE, 1), (DIAGNOSIS, 3), (ROUGE_L, 3)]
    cards = [(number(full.columns[name].value, places), label(name)) for name, places in shown if name in full.columns]
    cards += [
        (f"{full.answered} of {full.n}", "records answered"),
        (f"{result.coverage:.1%}", "coverage"),
        (str(result.data.videos), "source videos"),
        (f"{sum(result.seconds.values()):.0f} s", "of work"),
    ]
    costs = [spent.cost for spent in result.spent.values() if spent.cost is not None]
    return [*cards, (f"{sum(costs):.2f}", "cost")] if costs else cards


def _figures(result: EvaluationResult) -> list[dict[str, Any]]:
    names = list(result.variants["full"].columns)
    return [
        {
            "name": label(name),
            "scale": _scale(name),
            "cells": [_cell(variant.columns.get(name)) for variant in result.variants.values()],
        }
        for name in names
    ]


def _scale(name: str) -> str:
    if name == NORM_AVERAGE:
        return "0 to 100"
    return f"0 to {TOPS[is_judged(name)]:.0f}"


def _cell(column: Column | None) -> dict[str, Any]:
    if column is None:
        return {"value": "-", "interval": "-", "scored": "-", "short": False}
    return {
        "value": number(column.value, 3),
        "interval": interval(column, 3),
        "scored": f"{column.scored} of {column.n}",
        "short": column.scored < column.n,
    }


def _histograms(table: Table) -> str:
    from videopath_hf.reporting.figures import score_histograms

    shown = {name: known for name in table.metrics if len(known := known_values(table.of(name)))}
    if not shown:
        return ""
    tops = {label(name): TOPS[is_judged(name)] for name in shown}
    return score_histograms({label(name): values for name, values in shown.items()}, tops)


def _groups(result: EvaluationResult) -> list[dict[str, Any]]:
    full = result.variants["full"]
    header = [name for name in full.columns if name not in _NOT_BY_GROUP]
    parts = (("By organ", "organ", full.organs), ("By diagnosis", "diagnosis", full.diagnoses))
    return [
        {
            "title": title,
            "field": field,
            "header": [label(name) for name in header],
            "rows": [_group_row(group, header) for group in groups[:_GROUPS]],
            "more": len(groups) - _GROUPS if len(groups) > _GROUPS else 0,
        }
        for title, field, groups in parts
    ]


def _group_row(group: Group, header: Sequence[str]) -> dict[str, Any]:
    cells = [_cell(group.columns.get(name)) for name in header]
    return {"name": group.name, "records": group.records, "videos": group.videos, "cells": cells}


def _nulls(out: Path, result: EvaluationResult) -> list[dict[str, Any]]:
    rows = []
    for variant in result.variants:
        scores = read_records(out / file_of("scores", variant), Score)
        counts = Counter(
            (label(score.metric), reason_kind(_after_no_answer(score.reason or "")))
            for score in scores
            if score.applies and score.value is None
        )
        where = "" if variant == "full" else f" ({variant})"
        rows += [
            {"name": name + where, "reason": reason, "count": count} for (name, reason), count in counts.most_common()
        ]
    return rows


def _after_no_answer(reason: str) -> str:
    return reason.removeprefix("there is no answer: ")


def _spent(result: EvaluationResult) -> list[dict[str, Any]]:
    rows = [
        {
            "name": name,
            "replies": f"{spent.replies:,}",
            "tokens_in": f"{spent.tokens_in:,}",
            "tokens_out": f"{spent.tokens_out:,}",
            "cost": "no prices set" if spent.cost is None else f"{spent.cost:.4f}",
        }
        for name, spent in result.spent.items()
    ]
    if "model" not in result.spent:
        tokens = {name: f"{count:,}" if count else "not counted" for name, count in result.tokens.items()}
        own = {"name": "model", "replies": str(result.variants["full"].answered), "cost": "-"}
        rows.insert(0, {**own, "tokens_in": tokens["in"], "tokens_out": tokens["out"]})
    return rows


def _manifest(result: EvaluationResult) -> list[tuple[str, str]]:
    data, judge = result.data, result.judge
    rows = [
        ("model", f"{result.model.name} ({result.model.kind})"),
        ("model's hash or commit", result.model.key),
        *((f"model: {name}", str(value)) for name, value in result.model.details.items() if value is not None),
        ("data", f"{data.name}, split {data.split}, kinds {', '.join(data.kinds)}"),
        ("data: hash of questions and answers", data.hash),
        ("data: hash of media", data.media_hash or "not known"),
        *([("data: commit", data.commit)] if data.commit else []),
        ("judge", f"{judge.model}, protocol {judge.protocol}" if judge else "none"),
        *([("judge: version that answered", judge.version)] if judge and judge.version else []),
        *([("judge: protocol's hash", judge.protocol_hash)] if judge else []),
        *((f"metrics: {name}", str(value)) for name, value in result.metrics.items() if value is not None),
        ("settings", json.dumps(result.settings, ensure_ascii=False)),
        ("versions", ", ".join(f"{name} {version}" for name, version in result.versions.items())),
        ("date", result.date),
    ]
    return rows
