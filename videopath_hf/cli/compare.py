"""`videopath compare`: two evaluations of the same records, pair by pair."""

from pathlib import Path
from typing import Annotated

import typer

from videopath_hf.cli.options import JsonOption, MinCoverageOption
from videopath_hf.cli.output import emit

EXAMPLE = "Example: videopath compare scores_before scores_after --out compared"

_RESULT = "Folder that `videopath evaluate` or `videopath score` wrote."


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help=_RESULT)],
    b: Annotated[Path, typer.Argument(metavar="B", help=_RESULT)],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for compare.html and compare.json; replaced.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Of the bootstrap and of the permutation test.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of both.")] = 0,
    min_coverage: MinCoverageOption = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Test whether model B scores better than model A on the same records.

    A paired permutation test and bootstrap intervals, by whole source videos; effect sizes; every column, and by
    organ; the records that changed most, side by side. Pairs of other data, judges or protocols are refused.
    """
    from videopath_hf.evaluation.comparison import check_coverage, read_side
    from videopath_hf.evaluation.comparison import compare as compare_sides
    from videopath_hf.evaluation.comparison_report import comparison_text, write_comparison

    first, second = read_side(a), read_side(b)
    result = compare_sides(first, second, resamples, seed)
    if out is not None:
        write_comparison(result, first, second, out)
    if as_json:
        emit(result.model_dump(mode="json"), True)
    else:
        typer.echo(comparison_text(result), nl=False)
    check_coverage(result, 1.0 if min_coverage is None else min_coverage)
