"""`videopath evaluate`: a model's answers on held-out records, scored."""

from pathlib import Path
from typing import Annotated

import typer

from videopath_hf.cli.options import ConfigOption, JsonOption, OutOption, OverrideOption
from videopath_hf.cli.output import emit

EXAMPLE = "Example: videopath evaluate --model merged --data data --out scores"


def evaluate(
    model: Annotated[str, typer.Option("--model", "-m", help="Checkpoint folder or Hub id.")],
    data: Annotated[Path, typer.Option("--data", "-d", help="Dataset folder made by `videopath instruct`.")],
    out: OutOption,
    config: ConfigOption = None,
    overrides: OverrideOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a model's answers on held-out clips.

    Every test question is asked with and without frames; a judge scores the answers where one is set.
    """
    from videopath_hf.evaluation.runner import EvaluateSettings, evaluate_model
    from videopath_hf.settings import load_settings

    result = evaluate_model(model, data, out, load_settings(EvaluateSettings, config, overrides or ()))
    emit(result.model_dump(mode="json"), as_json)
