"""The check as a page: one file that opens without a network."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from videopath_hf.data.checks.survey import MediaProblem, Survey
from videopath_hf.files import iter_records, write_text
from videopath_hf.reporting.figures import label_bars, length_histograms
from videopath_hf.reporting.page import render, render_page

if TYPE_CHECKING:
    from videopath_hf.data.checks.run import CheckResult, CheckSettings

_ROWS = 50


def write_report(result: "CheckResult", survey: Survey, settings: "CheckSettings", out: Path) -> None:
    """Write `check.html`."""
    limit = result.max_length if survey.ruler.visual else None
    labels = {name: counts for name, parts in result.labels.items() if (counts := _by_label(parts))}
    bad = {
        state: sum(counts.get(state, 0) for counts in result.media.values())
        for state in ("missing", "empty", "broken", "refused")
    }
    problems = [problem for _, problem in islice(iter_records(out / "problems.jsonl", MediaProblem), _ROWS)]
    body = render(
        "check.html",
        result=result,
        allowed=[f"{name} {value:g}" for name, value in settings if name.startswith("max_") and 0 < value <= 1],
        records=_records(result),
        cards=_cards(result, sum(bad.values())),
        balance=_balance(result),
        histograms=Markup(
            length_histograms({kind: survey.lengths[kind] for kind in result.lengths}, survey.ruler.unit, limit)
        )
        if survey.lengths
        else "",
        bars=Markup(label_bars(labels)) if labels else "",
        problems=problems,
        more=max(0, sum(bad.values()) - len(problems)),
        leaks=result.leakage.leaks[:_ROWS],
    )
    write_text(out / "check.html", render_page("Data check", body))


def _cards(result: "CheckResult", bad: int) -> list[tuple[str, Any, bool]]:
    media = sum(sum(states.values()) for states in result.media.values())
    leakage = result.leakage
    leaks = "one split" if not min(result.splits.values()) else f"{leakage.share:.1%}"
    return [
        ("records for training", f"{result.splits['train']:,}", True),
        ("records for testing", f"{result.splits['test']:,}", True),
        ("entries rejected", f"{sum(result.rejects.values()):,}", not result.rejects),
        ("media", f"{media:,}", True),
        ("media that cannot be used", f"{bad:,}", not bad),
        ("of test seen in training", leaks, leakage.share == 0),
    ]


def _records(result: "CheckResult") -> list[tuple[str, str, int, int]]:
    """Source, kind, and the records of both in train and in test."""
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for row in result.records:
        counts.setdefault((row["source"], row["kind"]), {})[row["split"]] = row["records"]
    return [(*key, parts.get("train", 0), parts.get("test", 0)) for key, parts in counts.items()]


def _by_label(parts: dict[str, dict[str, int]]) -> dict[str, tuple[int, int]]:
    names = {name for counts in parts.values() for name in counts if name}
    return {name: (parts["train"].get(name, 0), parts["test"].get(name, 0)) for name in sorted(names)}


def _balance(result: "CheckResult") -> list[dict[str, Any]]:
    """Of each kind of label: how many there are, the share of the commonest, and which test has and train has not."""
    rows = []
    for name, parts in result.labels.items():
        counts = _by_label(parts)
        total = sum(map(sum, counts.values()))
        unlabelled = sum(part.get("", 0) for part in parts.values())
        commonest = max(counts, key=lambda label: sum(counts[label]), default=None)
        rows.append(
            {
                "name": name,
                "labels": len(counts),
                "records": total,
                "unlabelled": unlabelled,
                "commonest": commonest,
                "share": sum(counts[commonest]) / total if commonest else 0,
                "test_only": [label for label, (train, test) in counts.items() if test and not train],
            }
        )
    return rows
