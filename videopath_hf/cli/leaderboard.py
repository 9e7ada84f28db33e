"""`videopath leaderboard`: results beside the published ones."""

from pathlib import Path
from typing import Annotated

import typer

from videopath_hf.cli.options import JsonOption
from videopath_hf.cli.output import emit

EXAMPLE = "Example: videopath leaderboard scores --out leaderboard.md"


def leaderboard(
    results: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RESULTS", help="Folders that `videopath evaluate` or `videopath score` wrote."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Markdown file to write; printed if omitted.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the paper's 15 rows and your results.

    The paper's are the authors' own figures with their judge. Results of different data, judges or protocols stand in
    tables of their own and are not ranked together.
    """
    from videopath_hf.errors import UserError
    from videopath_hf.evaluation.leaderboard import board, board_markdown
    from videopath_hf.evaluation.results import read_results
    from videopath_hf.files import write_text

    if out is not None and out.is_dir():
        raise UserError(f"{out} is a folder; give the name of a Markdown file with --out")
    tables = board([read_results(path)[0] for path in results or ()])
    if out is not None:
        write_text(out, board_markdown(tables))
    if as_json:
        emit({"tables": [table.model_dump(mode="json") for table in tables]}, True)
    elif out is None:
        typer.echo(board_markdown(tables), nl=False)
    else:
        typer.echo(f"{out}: {len(tables)} tables")
