"""`videopath curate`: lectures in, clean clips out."""

from pathlib import Path
from typing import Annotated

import typer

from videopath_hf.cli.options import ConfigOption, JsonOption, OutOption, OverrideOption
from videopath_hf.cli.output import emit

EXAMPLE = "Example: videopath curate lectures/ --out curated --set clips.max_seconds=8"


def curate(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Video files, or folders of them.")],
    out: OutOption,
    config: ConfigOption = None,
    overrides: OverrideOption = None,
    decisions: Annotated[
        list[Path] | None,
        typer.Option(help="Segments as a person left them: a file of `videopath segments`, or a folder. Repeatable."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Cut lectures into clean, labelled clips.

    What is dropped is written out with its reason.
    """
    from videopath_hf.curation.pipeline import curate as run
    from videopath_hf.curation.settings import CurateSettings
    from videopath_hf.settings import load_settings

    summary = run(inputs, out, load_settings(CurateSettings, config, overrides or ()), decisions or ())
    emit(summary.model_dump(mode="json"), as_json)
