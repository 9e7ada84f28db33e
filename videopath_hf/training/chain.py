"""Stages one after the other, each from what the last one left: one command from base model to final one."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from videopath_hf.errors import UserError
from videopath_hf.settings import load_settings
from videopath_hf.training.evaluating import Examiner
from videopath_hf.training.extras import check_extras
from videopath_hf.training.ranks import world_size
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.stages import StageResult, run_stage


class ChainResult(BaseModel):
    """What a chain of stages left behind.

    Args:
        stages (`list[StageResult]`): in order.
        model (`Path`): the last one's checkpoint.
    """

    stages: list[StageResult]
    model: Path


class _Link(NamedTuple):
    path: Path
    recipe: Recipe


def run_chain(recipes: Sequence[Path], overrides: Sequence[str] = (), examiner: Examiner | None = None) -> ChainResult:
    """Train the stages of several recipes, the first from `model`, every other from the one before it.

    Each stage writes to a folder of its own in `out`, named as its recipe. The same call goes on where it was
    interrupted; a finished stage is not done again. All recipes are read, and their records looked for, before the
    first stage starts.

    Args:
        recipes (`Sequence[Path]`): in rising order of their stages.
        overrides (`Sequence[str]`): `key=value`, for every stage; `model` and `out` are the chain's.

    Raises:
        UserError: a recipe that cannot be used, before anything is done; or as of
            [`~videopath_hf.training.stages.run_stage`].
    """
    links = _load(recipes, overrides)
    model, _, out = links[0].recipe.places()
    results: list[StageResult] = []
    for link in links:
        stage = link.recipe.model_copy(update={"model": model, "out": out / link.path.stem})
        results.append(run_stage(stage, examiner))
        model = str(results[-1].model)
    return ChainResult(stages=results, model=results[-1].model)


def _load(recipes: Sequence[Path], overrides: Sequence[str]) -> list[_Link]:
    from videopath_hf.training.samples import choose_records

    if not recipes:
        raise UserError("no recipe to train: name them in order, e.g. recipes/tiny/stage*.yaml")
    links = [_Link(path, load_settings(Recipe, path, overrides)) for path in recipes]
    for before, after in pairwise(links):
        if before.recipe.stage >= after.recipe.stage:
            raise UserError(
                f"{after.path} is of stage {after.recipe.stage} and follows {before.path} of stage "
                f"{before.recipe.stage}: name one recipe a stage, in rising order"
            )
    for link in links:
        check_extras(link.recipe)
        link.recipe.optimisation.passes(world_size())
        choose_records(link.recipe, link.recipe.places()[1])
    return links
