"""Packages that a recipe asks for beyond the core: looked for before anything is read, written or trained."""

from importlib.util import find_spec

from videopath_hf.errors import MissingExtraError
from videopath_hf.training.recipe import Recipe


def check_extras(recipe: Recipe) -> None:
    """Raise `MissingExtraError` where a package is missing that the recipe needs."""
    if recipe.lora.base in ("4bit", "8bit") and find_spec("bitsandbytes") is None:
        raise MissingExtraError("bitsandbytes", "qlora", f"lora.base = {recipe.lora.base!r}")
    for tracker in recipe.report_to:
        if find_spec(tracker) is None:
            raise MissingExtraError(tracker, tracker, f"report_to: {tracker}")
