"""`videopath instruct`: clips in, question-answer records out."""

from pathlib import Path
from typing import Annotated

import typer

from videopath_hf.cli.options import ConfigOption, JsonOption, OutOption, OverrideOption
from videopath_hf.cli.output import emit

EXAMPLE = "Example: videopath instruct curated --out data --set test_fraction=0.2"


def instruct(
    curated: Annotated[Path, typer.Argument(metavar="CURATED", help="Output folder of `videopath curate`.")],
    out: OutOption,
    config: ConfigOption = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print what a server would be asked for and the price, at most; send nothing."),
    ] = False,
    overrides: OverrideOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write questions and answers about clips.

    The output folder opens with plain `datasets.load_dataset`. writer=template works offline; writer=clippath and
    writer=vidrip ask an OpenAI-compatible server (server.base_url, server.model, and a key in
    $VIDEOPATH_WRITER_API_KEY).
    """
    from videopath_hf.data.pipeline import estimate_instructions, write_instructions
    from videopath_hf.instructions.settings import InstructSettings
    from videopath_hf.settings import load_settings

    settings = load_settings(InstructSettings, config, overrides or ())
    if dry_run:
        emit(estimate_instructions(curated, out, settings).model_dump(mode="json"), as_json)
        return
    summary = write_instructions(curated, out, settings)
    emit(summary.model_dump(mode="json"), as_json)
