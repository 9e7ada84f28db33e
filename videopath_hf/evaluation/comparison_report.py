"""A comparison as text for a terminal and as a page that opens without a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videopath_hf.data.stores import MediaStores
from videopath_hf.errors import UserError
from videopath_hf.evaluation.cases import strips_of
from videopath_hf.evaluation.columns import NORM_AVERAGE, TOPS, is_judged, label
from videopath_hf.evaluation.comparison import Change, ComparisonResult, Difference, Side
from videopath_hf.evaluation.tables import aligned, number
from videopath_hf.files import write_json, write_text

_HEADER = ["column", "A", "B", "B - A", "95% interval", "p", "effect", "better", "equal", "worse", "records"]


def comparison_text(result: ComparisonResult) -> str:
    """A table for a terminal."""
    rows = [[label(found.column), *_cells(found)] for found in result.differences]
    notes = "".join(f"{note}\n" for note in result.notes)
    return f"A: {result.a}\nB: {result.b}\n\n{aligned(_HEADER, rows)}\n{result.method}\n{notes}"


def write_comparison(result: ComparisonResult, a: Side, b: Side, out: Path) -> Path:
    """Write `compare.json` and `compare.html` into `out` and return the page's path.

    Raises:
        UserError: `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; give a folder for compare.html and compare.json with --out")
    from markupsafe import Markup

    from videopath_hf.reporting.figures import difference_intervals
    from videopath_hf.reporting.page import render, render_page

    parts = (("B gains most", result.gains), ("B loses most", result.losses))
    body = render(
        "comparison.html",
        result=result,
        basis=_basis(result),
        rows=[_row(found) for found in result.differences],
        organs=[{"organ": found.organ, **_row(found)} for found in result.organs],
        intervals=Markup(difference_intervals(shown)) if (shown := _intervals(result)) else "",
        ranked_by=label(result.ranked_by),
        parts=[{"title": title, "cases": _cases(changes, a, b)} for title, changes in parts if changes],
    )
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "compare.html", render_page("Two evaluations compared", body))
    write_json(out / "compare.json", result.model_dump(mode="json"))
    return out / "compare.html"


def _intervals(result: ComparisonResult) -> dict[str, tuple[float, float, float]]:
    """Differences and their intervals in shares of the column's scale, so that all have one axis."""
    shown = {}
    for found in result.differences:
        if found.column == NORM_AVERAGE or found.difference is None or found.low is None or found.high is None:
            continue
        scale = TOPS[is_judged(found.column)]
        shown[label(found.column)] = (found.difference / scale, found.low / scale, found.high / scale)
    return shown


def _basis(result: ComparisonResult) -> str:
    basis: Mapping[str, Any] = result.basis
    judge = basis["judge"]
    judged = (
        f"judge {judge['model']}, protocol {judge['protocol']} ({judge['protocol_hash']})" if judge else "no judge"
    )
    return f"{basis['records']} records of {basis['videos']} source videos ({basis['data']}), {judged}"


def _row(found: Difference) -> dict[str, Any]:
    sure = found.p is not None and found.p < 0.05
    mark = ("good" if (found.difference or 0) > 0 else "bad") if sure else ""
    return {"name": label(found.column), "cells": _cells(found), "mark": mark}


def _cells(found: Difference) -> list[str]:
    interval = "-" if found.low is None or found.high is None else f"{found.low:+.3f} to {found.high:+.3f}"
    difference = "-" if found.difference is None else f"{found.difference:+.3f}"
    p = "-" if found.p is None else ("<0.001" if found.p < 0.001 else f"{found.p:.3f}")
    effect = "-" if found.effect is None else f"{found.effect:+.2f}"
    counts = [str(found.better), str(found.equal), str(found.worse), str(found.records)]
    return [number(found.a, 3), number(found.b, 3), difference, interval, p, effect, *counts]


def _cases(changes: Sequence[Change], a: Side, b: Side) -> list[dict[str, Any]]:
    records = {record.id: record for record in a.table.records}
    places = [Path(place) for place in a.result.data.places if Path(place).exists()]
    stores = MediaStores(places)
    cases = []
    for change in changes:
        record = records[change.id]
        said = [side.predictions.get(change.id) for side in (a, b)]
        strips, _ = strips_of(record, said[1] or said[0], stores)
        cases.append(
            {
                "id": record.id,
                "change": f"{change.difference:+.2f}",
                "about": ", ".join(text for text in (record.organ, record.diagnosis) if text),
                "question": record.question,
                "strips": strips,
                "a": said[0].answer if said[0] else "",
                "b": said[1].answer if said[1] else "",
                "a_score": number(change.a),
                "b_score": number(change.b),
                "reference": record.answer,
            }
        )
    return cases
