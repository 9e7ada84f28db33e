"""Figures as text: numbers with their intervals, and Markdown rows in the paper's order of columns."""

from collections.abc import Mapping, Sequence

from videopath_hf.evaluation.columns import PAPER_COLUMNS, Column, label
from videopath_hf.evaluation.results import EvaluationResult

ABSENT = "-"
RESULT_HEADER = ("Column", "mean", "95% interval", "scored")


def number(value: float | None, places: int = 2) -> str:
    """A figure, or `-` where there is none."""
    return ABSENT if value is None else f"{value:.{places}f}"


def counted(count: int, thing: str) -> str:
    """A count and what is counted, in the right number."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def interval(column: Column, places: int = 2) -> str:
    """A 95% interval, or `-`."""
    if column.low is None or column.high is None:
        return ABSENT
    return f"{column.low:.{places}f} to {column.high:.{places}f}"


def cell(text: str) -> str:
    """Text inside a Markdown table: on one line, and no column of its own."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    lines = ["| " + " | ".join(header) + " |", "| --- |" + " ---: |" * (len(header) - 1)]
    lines += ["| " + " | ".join(cell(text) for text in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def paper_row(name: str, columns: Mapping[str, Column], intervals: bool = False) -> list[str]:
    """A model's name and the paper's columns."""
    cells = []
    for metric in PAPER_COLUMNS.values():
        column = columns.get(metric)
        text = number(column.value if column else None)
        cells.append(f"{text} ({interval(column)})" if intervals and column and column.low is not None else text)
    return [name, *cells]


def result_markdown(result: EvaluationResult) -> str:
    """`row.md`: the row for a table like the paper's, what it rests on, and all columns with their intervals."""
    full = result.variants["full"]
    parts = [markdown(["Model", *PAPER_COLUMNS], [paper_row(result.model.name, full.columns)]), basis(result)]
    parts.append(markdown(RESULT_HEADER, result_rows(result)))
    return "\n".join(parts)


def result_rows(result: EvaluationResult) -> list[list[str]]:
    """All columns of all variants with their intervals, under `RESULT_HEADER`."""
    return [
        [
            label(name) if variant == "full" else f"{label(name)} ({variant})",
            number(column.value, 3),
            interval(column, 3),
            f"{column.scored} of {column.n}",
        ]
        for variant, found in result.variants.items()
        for name, column in found.columns.items()
    ]


def basis(result: EvaluationResult) -> str:
    """One sentence on what a result's figures rest on."""
    judge = result.judge
    judged = f"judge {judge.model}, protocol {judge.protocol} ({judge.protocol_hash})" if judge else "no judge"
    asked = f"{counted(result.data.records, 'record')} of {counted(result.data.videos, 'source video')}"
    columns = [column for found in result.variants.values() for column in found.columns.values()]
    intervals = " 95% intervals: source videos resampled." if any(c.low is not None for c in columns) else ""
    return (
        f"{asked} ({result.data.name}, {result.data.hash}), {judged}, coverage {result.coverage:.1%}, "
        f"{result.date[:10]}.{intervals}\n"
    )


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for a terminal; all columns but the first are numbers."""
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]
    lines = []
    for row in (header, *rows):
        numbers = [text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *numbers]).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines) + "\n"
