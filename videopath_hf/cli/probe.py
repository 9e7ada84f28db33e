"""`videopath probe`: what of a model's answers depends on what it is shown."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videopath_hf.cli.options import ConfigOption, JsonOption, OutOption, OverrideOption
from videopath_hf.cli.output import emit

if TYPE_CHECKING:
    from videopath_hf.evaluation.probes.summary import ProbeResult

EXAMPLE = "Example: videopath probe --model merged --data data --out probes"


def probe(
    model: Annotated[str, typer.Option("--model", "-m", help="Checkpoint folder or Hub id.")],
    data: Annotated[Path, typer.Option("--data", "-d", help="Dataset folder with clips and questions.")],
    out: OutOption,
    config: ConfigOption = None,
    overrides: OverrideOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask about clips that are blacked, shuffled, reversed, thinned out, or hold a frame of another tissue.

    No judge is needed: answers are compared with the reference's diagnosis and with those to the unchanged clip.
    Writes probes.html with the curves, probes.json and answers.jsonl; a run that was interrupted goes on.
    """
    from videopath_hf.evaluation.probes.run import probe_model
    from videopath_hf.evaluation.probes.settings import ProbeSettings
    from videopath_hf.settings import load_settings

    result = probe_model(model, data, out, load_settings(ProbeSettings, config, overrides or ()))
    if as_json:
        emit(result.model_dump(mode="json"), True)
    else:
        typer.echo(as_table(result))


def as_table(result: "ProbeResult") -> str:
    """The figures as lines of a table for a terminal."""
    from videopath_hf.evaluation.probes.report import table

    header = ["shown", "frames", "right", "similar", "changed", "needle", "answers"]
    rows = [[row["label"], *row["cells"], f"{row['scored']}/{row['n']}"] for row in table(result)]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for name, *cells in (header, *rows):
        aligned = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *aligned]))
    if result.majority_accuracy is not None:
        lines.append(f"always naming the commonest diagnosis is right in {result.majority_accuracy:.0%}")
    return "\n".join(lines)
