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
    overrides: OverrideOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write questions and answers about clips.

    The output folder opens with plain `datasets.load_dataset`.
    """
    from videopath_hf.data.pipeline import write_instructions
    from videopath_hf.instructions.settings import InstructSettings
    from videopath_hf.settings import load_settings

    summary = write_instructions(curated, out, load_settings(InstructSettings, config, overrides or ()))
    emit(summary.model_dump(mode="json"), as_json)
