"""An evaluation as a page: one file that opens without a network. What a model said is escaped, like all text."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from videopath_hf.data.sources import reason_kind
from videopath_hf.data.stores import Found, MediaStores, as_file
from videopath_hf.errors import UserError
from videopath_hf.evaluation.columns import (
    AVERAGE,
    NORM_AVERAGE,
    TOPS,
    Column,
    Group,
    Table,
    column_order,
    is_judged,
    label,
)
from videopath_hf.evaluation.frames import image_strip, video_strip
from videopath_hf.evaluation.metrics import BLEU, DIAGNOSIS, ROUGE_L
from videopath_hf.evaluation.results import RECORDS, EvaluationResult, file_of
from videopath_hf.evaluation.tables import basis, interval, number, result_markdown
from videopath_hf.files import read_records, write_text
from videopath_hf.records import InstructionRecord, Prediction, Score

_CASES = 5
_GROUPS = 40
_NOT_BY_GROUP = (NORM_AVERAGE, BLEU, "encoder_precision", "encoder_recall")
_RANKED_BY = (AVERAGE, ROUGE_L)


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
    ranked = next((name for name in _RANKED_BY if name in (*table.metrics, *_average(table))), table.metrics[0])
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
        cases=_cases(table, ranked, {line.id: line for line in predictions}, scores, stores),
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


def _average(table: Table) -> list[str]:
    return [AVERAGE] if table.averages is not None else []


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

    shown = {name: known for name in table.metrics if len(known := _known(table.of(name)))}
    if not shown:
        return ""
    tops = {label(name): TOPS[is_judged(name)] for name in shown}
    return score_histograms({label(name): values for name, values in shown.items()}, tops)


def _known(values: Any) -> list[float]:
    return [float(value) for value in values[~np.isnan(values)]]


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


def _cases(
    table: Table,
    ranked: str,
    predictions: Mapping[str, Prediction],
    scores: Sequence[Score],
    stores: MediaStores,
) -> list[dict[str, Any]]:
    """The worst and the best records by a column, none of them twice and one a clip."""
    values = table.of(ranked)
    order = [int(row) for row in np.argsort(values, kind="stable") if not np.isnan(values[row])]
    worst = _one_a_clip(table, order)
    worst = worst[: min(_CASES, (len(worst) + 1) // 2)]
    best = [row for row in _one_a_clip(table, order[::-1]) if row not in worst][:_CASES]
    by_record: dict[str, list[Score]] = {}
    for score in scores:
        by_record.setdefault(score.id, []).append(score)
    return [
        {"title": title, "cases": [_case(table.records[row], predictions, by_record, stores) for row in rows]}
        for title, rows in (("Worst answers", worst), ("Best answers", best))
        if rows
    ]


def _one_a_clip(table: Table, order: Sequence[int]) -> list[int]:
    first: dict[tuple[str, ...], int] = {}
    for row in order:
        first.setdefault(tuple(medium.path for medium in table.records[row].media) or (table.records[row].id,), row)
    return list(first.values())


def _case(
    record: InstructionRecord,
    predictions: Mapping[str, Prediction],
    scores: Mapping[str, list[Score]],
    stores: MediaStores,
) -> dict[str, Any]:
    said = predictions.get(record.id)
    strips, faults = strips_of(record, said, stores)
    own = sorted(
        (score for score in scores.get(record.id, ()) if score.applies), key=lambda score: column_order(score.metric)
    )
    return {
        "id": record.id,
        "about": ", ".join(text for text in (record.organ, record.diagnosis) if text),
        "question": record.question,
        "answer": said.answer if said else "",
        "reference": record.answer,
        "strips": strips,
        "faults": faults,
        "explained": [
            {"name": label(score.metric), "value": number(score.value, 2), "reason": score.reason}
            for score in own
            if score.reason
        ],
        "plain": ", ".join(f"{label(score.metric)} {number(score.value, 2)}" for score in own if not score.reason),
    }


def strips_of(
    record: InstructionRecord, said: Prediction | None, stores: MediaStores
) -> tuple[list[dict[str, str]], list[str]]:
    """Pictures of a record's media with captions, and why others cannot be shown.

    Args:
        record (`InstructionRecord`): whose media.
        said (`Prediction`, *optional*): the answer, which knows the frames that the model saw.
        stores (`MediaStores`): where media are.
    """
    strips: list[dict[str, str]] = []
    faults: list[str] = []
    videos = [medium for medium in record.media if medium.type == "video"]
    # Times of several videos stand one after the other in an answer, and nobody knows where one ends.
    times = said.frame_times if said and len(videos) == 1 else []
    for medium in record.media:
        try:
            found = stores.find(medium.path)
            if found is None:
                faults.append(f"{medium.path} is not at hand")
                continue
            strips.append(_strip(found, medium.type == "video", times, medium.path))
        except UserError as error:
            faults.append(str(error))
    return strips, faults


def _strip(found: Found, is_video: bool, times: Sequence[float], name: str) -> dict[str, str]:
    with as_file(found) as path:
        if not is_video:
            from PIL import Image

            try:
                with Image.open(path) as picture:
                    return {"uri": image_strip(picture), "caption": name}
            except (OSError, ValueError, Image.DecompressionBombError) as error:
                raise UserError(f"{found.place} cannot be shown: {error}") from None
        uri, shown = video_strip(path, times)
    where = ", ".join(f"{time:.1f}" for time in shown)
    if not times:
        return {
            "uri": uri,
            "caption": f"{name}: evenly spaced frames, at {where} s; which ones the model saw is not known",
        }
    some = f"{len(shown)} of the {len(times)}" if len(shown) < len(times) else f"the {len(times)}"
    return {"uri": uri, "caption": f"{name}: {some} frames the model saw, at {where} s"}


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
