"""`videopath score`: answers that were made elsewhere, scored."""

from pathlib import Path
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

EXAMPLE = "Example: videopath score predictions.jsonl --data data --out scores"


def score(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS",
            help=".jsonl, .json or .csv: entries with id, question_id or video_name, and pred, prediction or answer.",
        ),
    ],
    data: DataOption,
    out: OutOption,
    name: Annotated[
        str | None, typer.Option("--name", help="What the model is called; the file's name if omitted.")
    ] = None,
    media: PlacesOption = None,
    config: ConfigOption = None,
    overrides: OverrideOption = None,
    min_coverage: MinCoverageOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score answers that were made elsewhere, or score a model's answers with another judge.

    Writes what `videopath evaluate` does. Records without an answer, entries that belong to no record and ids that
    stand twice are in problems.jsonl; the exit is 3 where they are too many.
    """
    from videopath_hf.evaluation.runner import ScoreSettings, score_predictions
    from videopath_hf.settings import load_settings

    values = [*(overrides or ()), *(() if min_coverage is None else (f"min_coverage={min_coverage}",))]
    settings = load_settings(ScoreSettings, config, values)
    if dry_run:
        from videopath_hf.evaluation.forecast import forecast_scoring

        emit(forecast_scoring(predictions, data, out, settings, media or ()), as_json)
        return
    result = score_predictions(predictions, data, out, settings, name, media or ())
    emit(result.model_dump(mode="json") if as_json else result.summary(), as_json)
