"""`videopath train`: one stage, or a chain of them, also under a launcher."""

from pathlib import Path
from typing import Annotated, Any

import typer

from videopath_hf.cli.options import JsonOption
from videopath_hf.cli.output import emit

EXAMPLE = "Example: videopath train recipes/tiny/stage1_image_sft.yaml model=stage0 data.path=data out=stage1"
_CHAIN = "all"


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="YAML recipe of one stage; or all, for the recipes that follow.")
    ],
    rest: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Values that win over the recipe's; after all, recipes too."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train one stage from its recipe, or several, each from the last one's model.

    The same command continues a run that was interrupted. Under accelerate launch or torchrun: -m videopath_hf train.
    """
    from videopath_hf.training.ranks import is_main

    words = rest or []
    result = _train_all(words, as_json) if recipe == _CHAIN else _train_one(Path(recipe), words)
    if is_main():
        emit(result, as_json)


def _train_one(recipe: Path, overrides: list[str]) -> dict[str, Any]:
    from videopath_hf.settings import load_settings
    from videopath_hf.training.recipe import Recipe

    loaded = load_settings(Recipe, recipe, overrides)
    from videopath_hf.evaluation.while_training import examine
    from videopath_hf.training.stages import run_stage

    return run_stage(loaded, examine).model_dump(mode="json")


def _train_all(words: list[str], as_json: bool) -> dict[str, Any]:
    from videopath_hf.evaluation.while_training import examine
    from videopath_hf.training.chain import run_chain

    overrides = [word for word in words if "=" in word]
    chain = run_chain([Path(word) for word in words if "=" not in word], overrides, examine)
    if as_json:
        return chain.model_dump(mode="json")
    stages = {
        f"stage {stage.stage}": f"{stage.name}, {stage.steps} steps, loss {stage.first_loss:.3f} to "
        f"{stage.last_loss:.3f}, {stage.model}" + (" (finished before)" if stage.finished_before else "")
        for stage in chain.stages
    }
    return {**stages, "model": chain.model}
