"""What a notebook shows of evaluations and comparisons: their figures, and what these rest on."""

from videopath_hf.evaluation.comparison import ComparisonResult
from videopath_hf.evaluation.comparison_report import COMPARISON_HEADER, comparison_rows
from videopath_hf.evaluation.results import EvaluationResult
from videopath_hf.evaluation.tables import RESULT_HEADER, basis, result_rows
from videopath_hf.reporting.page import render


def result_card(result: EvaluationResult) -> str:
    """An evaluation as HTML: a row a column and variant, the notes, and what it rests on."""
    return render(
        "figures_card.html",
        title=result.model.name,
        header=RESULT_HEADER,
        rows=result_rows(result),
        lines=[basis(result), *result.notes, result.notice],
    )


def comparison_card(result: ComparisonResult) -> str:
    """A comparison as HTML: a row a column, the notes, and how it was made."""
    return render(
        "figures_card.html",
        title=f"A: {result.a}, B: {result.b}",
        header=COMPARISON_HEADER,
        rows=comparison_rows(result),
        lines=[*result.notes, result.method, result.notice],
    )
