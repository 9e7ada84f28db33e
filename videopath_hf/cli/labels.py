"""`videopath labels`."""

from typing import TYPE_CHECKING, Annotated

import typer

from videopath_hf.cli.options import JsonOption, RecipeArgument, RecipeOverrides
from videopath_hf.cli.output import emit

if TYPE_CHECKING:
    from videopath_hf.training.labelled import LabelledSample

EXAMPLE = "Example: videopath labels recipes/tiny/stage3_video_sft.yaml --sample 3 model=stage2 data.path=data"


def labels(
    recipe: RecipeArgument,
    overrides: RecipeOverrides = None,
    sample: Annotated[int, typer.Option("--sample", help="Which sample, counted from 0.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Show which tokens of a sample are trained on.

    They are green in a terminal, and stand between « and » everywhere.
    """
    from videopath_hf.settings import load_settings
    from videopath_hf.training.recipe import Recipe

    loaded = load_settings(Recipe, recipe, overrides or ())  # before torch is loaded: a mistake is told at once
    from videopath_hf.training.labelled import labelled_sample

    found = labelled_sample(loaded, sample)
    if as_json:
        emit(found.model_dump(mode="json"), as_json)
    else:
        _show(found, loaded.label_mask)


def _show(found: "LabelledSample", mask: str) -> None:
    from rich.console import Console
    from rich.text import Text

    shown = Text()
    for span in found.spans:
        shown.append(f"«{span.text}»" if span.trained else span.text, style="bold green" if span.trained else "dim")
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"sample {found.id} ({found.number} of {found.samples}): {found.tokens} tokens, {found.visual} of media, "
        f"{found.trained} trained on (label_mask {mask})",
        markup=False,
    )
    console.print(shown)
