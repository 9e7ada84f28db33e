"""`videopath evaluate`: a model's answers on held-out records, scored."""

from typing import Annotated

import typer

from videopath_hf.cli.options import (
    ConfigOption,
    DataOption,
    DryRunOption,
    JsonOption,
    MinCoverageOption,
    OutOption,
    OverrideOption,
    PlacesOption,
)
from videopath_hf.cli.output import emit

EXAMPLE = "Example: videopath evaluate --model merged --data data --out scores"


def evaluate(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="Checkpoint folder or Hub id, of this family or any image-text-to-text model of transformers; or an "
            "OpenAI-compatible address, http://HOST/v1, with --set server.model=NAME.",
        ),
    ],
    data: DataOption,
    out: OutOption,
    name: Annotated[
        str | None, typer.Option("--name", help="What results call the model; as given if omitted.")
    ] = None,
    media: PlacesOption = None,
    config: ConfigOption = None,
    overrides: OverrideOption = None,
    min_coverage: MinCoverageOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Ask a model about held-out records and score its answers.

    Writes predictions.jsonl, scores.jsonl, results.json, report.html and row.md, a row for a table like the paper's. A
    judge scores the answers where one is set: --set judge.base_url=http://HOST/v1 --set judge.model=NAME. A run that
    was interrupted goes on, and asks nothing twice.
    """
    from videopath_hf.evaluation.predictors.opening import is_address
    from videopath_hf.evaluation.runner import EvaluateSettings, evaluate_model
    from videopath_hf.settings import load_settings

    values = [*(overrides or ()), *(() if min_coverage is None else (f"min_coverage={min_coverage}",))]
    if is_address(model):
        values.append(f"server.base_url={model}")
    settings = load_settings(EvaluateSettings, config, values)
    if dry_run:
        from videopath_hf.evaluation.forecast import forecast_evaluation

        emit(forecast_evaluation(model, data, out, settings, media or ()), as_json)
        return
    result = evaluate_model(model, data, out, settings, media or (), name)
    emit(result.model_dump(mode="json") if as_json else result.summary(), as_json)
