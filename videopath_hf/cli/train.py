"""`videopath train` and `videopath merge`."""

from pathlib import Path
from typing import Annotated

import typer

from videopath_hf.cli.options import JsonOption, OutOption
from videopath_hf.cli.output import emit

TRAIN_EXAMPLE = "Example: videopath train recipes/tiny/stage1_image_sft.yaml model=stage0 data.path=data out=stage1"
MERGE_EXAMPLE = "Example: videopath merge stage3/adapter --out merged"


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML recipe of one stage.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Values that win over the recipe's.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train one stage from its recipe.

    The same command continues a run that was interrupted.
    """
    from videopath_hf.settings import load_settings
    from videopath_hf.training.recipe import Recipe

    loaded = load_settings(Recipe, recipe, overrides or ())
    from videopath_hf.training.stages import run_stage

    emit(run_stage(loaded).model_dump(mode="json"), as_json)


def merge(
    adapter: Annotated[Path, typer.Argument(metavar="ADAPTER", help="Adapter folder of a LoRA stage.")],
    out: OutOption,
    as_json: JsonOption = False,
) -> None:
    """Merge a LoRA adapter into its base.

    The merged model is checked to answer as the adapter did.
    """
    from videopath_hf.training.merge import merge_adapter

    emit(merge_adapter(adapter, out).model_dump(mode="json"), as_json)
