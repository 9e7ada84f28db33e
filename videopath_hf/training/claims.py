"""What an output folder was begun with, and which settings are others now."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from videopath_hf.errors import UserError
from videopath_hf.files import read_json, write_json
from videopath_hf.training.recipe import Recipe

BEGUN = ".recipe.json"


def write_begun(out: Path, recipe: Recipe, model_hash: str, data_hash: str) -> None:
    """Keep what decides the trained weights beside them, so that a later call can say what it changed."""
    write_json(out / BEGUN, {"recipe": recipe.decisive(), "model": model_hash, "data": data_hash})


def check_begun(out: Path, recipe: Recipe, model_hash: str, data_hash: str) -> None:
    """Refuse to go on with another recipe, model or data than `out` was begun with.

    Raises:
        UserError: it names every key that is another, with both values.
    """
    if not (out / BEGUN).is_file():
        return
    begun = read_json(out / BEGUN)
    before, now = dict(_leaves(begun["recipe"])), dict(_leaves(recipe.decisive()))
    changes = [
        f"{key} was {before.get(key, 'not set')!r} and is {now.get(key, 'not set')!r}"
        for key in {**before, **now}
        if before.get(key, ...) != now.get(key, ...)
    ]
    if begun["model"] != model_hash:
        changes.append("the content of the model it starts from has changed")
    if begun["data"] != data_hash:
        changes.append("its data have changed")
    if changes:
        raise UserError(
            f"{out} was begun with other settings: {'; '.join(changes)}; put them back to go on, give another out, "
            "or delete it"
        )


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
