"""`videopath demo`: the whole road on a recording, ending in a report."""

from pathlib import Path
from typing import Annotated

import typer

from videopath_hf.cli.options import JsonOption
from videopath_hf.cli.output import emit

EXAMPLE = "Example: videopath demo --lecture mylecture.mp4 --out mydemo"


def demo(
    lecture: Annotated[
        list[Path] | None,
        typer.Option("--lecture", "-l", help="A lecture of your own instead of the sample. Repeatable."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything the demo makes.")] = Path("demo_out"),
    seed: Annotated[int, typer.Option(help="Seed of the data split, the model and the training.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Run the whole road on a lecture.

    Clips are cut, a tiny model is trained through the four stages on them and questioned; report.html shows it all.
    """
    from videopath_hf.demo.pipeline import run_demo

    summary = run_demo(lecture or None, out, seed)
    emit({"report": out / "report.html", **summary}, as_json)
