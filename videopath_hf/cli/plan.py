"""`videopath plan`: what a stage takes, before it starts."""

import re
from typing import Annotated

import typer

from videopath_hf.cli.options import JsonOption, RecipeArgument, RecipeOverrides
from videopath_hf.cli.output import emit
from videopath_hf.errors import UserError

EXAMPLE = "Example: videopath plan recipes/stage3_video_lora_1gpu.yaml --samples video=500 --gpu rtx4090-24gb"


def plan(
    recipe: RecipeArgument,
    overrides: RecipeOverrides = None,
    gpus: Annotated[int, typer.Option(help="How many GPUs.")] = 1,
    gpu: Annotated[str, typer.Option(help="Which, e.g. h100-80gb; another name lists the known ones.")] = "a100-80gb",
    sharded: Annotated[
        bool | None, typer.Option(help="Whether FSDP2 or ZeRO-3 divides the weights; so for several GPUs.")
    ] = None,
    samples: Annotated[
        list[str] | None, typer.Option(help="Records, as kind=number, instead of those at data.path. Repeatable.")
    ] = None,
    image_size: Annotated[str, typer.Option(help="Width x height of an image in pixels.")] = "1024x768",
    language_model: Annotated[
        str, typer.Option(help="qwen2.5-7b or qwen2.5-0.5b, where the recipe's model is not there to be read.")
    ] = "qwen2.5-7b",
    utilisation: Annotated[float, typer.Option(help="Share of the GPUs' peak speed that training reaches.")] = 0.4,
    as_json: JsonOption = False,
) -> None:
    """Estimate steps, tokens, memory and hours of a stage.

    No medium is opened and no weight is read; the hours are those of the GPU's work alone.
    """
    from videopath_hf.settings import load_settings
    from videopath_hf.training.plan import PlanOptions, plan_stage
    from videopath_hf.training.recipe import Recipe

    loaded = load_settings(Recipe, recipe, overrides or ())
    counts = _counts(samples) if samples else None
    options = PlanOptions(gpus, gpu, sharded, utilisation, counts, _size(image_size), language_model)
    found = plan_stage(loaded, options)
    if as_json:
        emit(found.model_dump(mode="json"), True)
        return
    learns = sum(part["trainable"] for part in found.parameters.values())
    total = sum(part["total"] for part in found.parameters.values())
    memory = ", ".join(f"{name} {value:g}" for name, value in found.memory.items() if name != "total")
    emit(
        {
            "stage": f"{found.stage} ({found.name}) of {found.model}",
            "records": ", ".join(f"{kind.samples:,} {name}" for name, kind in found.kinds.items()),
            "steps": f"{found.steps:,} of {found.global_batch} samples",
            "tokens": f"{found.tokens:,}, of them visual {found.visual_tokens:,}; a sample up to {found.longest:,}",
            "parameters": f"{learns:,} learn of {total:,}",
            "memory": f"{found.memory['total']:g} GiB a GPU ({memory})",
            "fits": f"{'yes' if found.fits else 'no'}, on {found.gpus} x {found.gpu}"
            + (" with sharded weights" if found.sharded else ""),
            "hours": f"{found.hours:g} ({found.exaflops:g} EFLOP)",
            "assumed": "; ".join(found.assumptions),
        },
        False,
    )


def _counts(samples: list[str]) -> dict[str, int]:
    found = [re.fullmatch(r"(\w+)=(\d+)", text) for text in samples]
    if wrong := [text for text, match in zip(samples, found, strict=True) if match is None or not int(match[2])]:
        raise UserError(f"--samples {wrong[0]!r} is not of the form kind=number, e.g. --samples video=500")
    return {match[1]: int(match[2]) for match in found if match is not None}


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        raise UserError(f"--image-size {text!r} is not of the form WIDTHxHEIGHT, e.g. 1024x768")
    return int(match[1]), int(match[2])
