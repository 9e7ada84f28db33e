"""What a stage will take, before any of it is paid for: steps, tokens, parameters, memory and hours.

Nothing is decoded and no weight is read: the model stands on the meta device, and the records, or a given number of
them, say how much there is to learn from.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

from pydantic import BaseModel

from videopath_hf.data.messages import message_text
from videopath_hf.errors import UserError
from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
from videopath_hf.modeling.packing_videopath_llava import Layout, num_image_tokens, num_tiles, num_video_tokens
from videopath_hf.records import InstructionRecord
from videopath_hf.training.gpus import find_gpu
from videopath_hf.training.memory import Batch, training_memory
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.shapes import Part, build_on_meta, config_of, count_parts, published_config

VIDEO_KINDS = ("clip", "video")
_CHARACTERS = 4.0
"""Characters a token of English text takes with Qwen2.5's tokenizer, about."""
_CHAT = 25
"""Tokens of ChatML's system turn and its marks."""
_TEXT_TOKENS = {"caption": 60, "image": 250, "clip": 250, "video": 250}
"""Text of a record where only the number of records is known: an assumption, not a measurement."""
_GIB = 2**30
_USABLE = 0.95
"""Share of a GPU's memory that an allocator can use before it is too fragmented."""


_Count = tuple[int, float, float | None]
"""Records of a kind, and what one has on average: tokens of text, and frames or None for as many as there may be."""


class KindPlan(BaseModel):
    """Records of one kind: how many, and what each takes on average."""

    samples: int
    tiles: float
    visual_tokens: float
    tokens: float


class Plan(BaseModel):
    """What one stage will take.

    Args:
        model (`str`): whose shapes were counted.
        steps (`int`): optimiser steps of all epochs; `global_batch` samples each.
        tokens (`int`): of all epochs, without padding; `visual_tokens` of them images and clips.
        parameters (`dict`): weights by part: `trainable` and `total`.
        memory (`dict[str, float]`): GiB on one GPU by purpose, and their `total`.
        fits (`bool`): whether that is below the GPU's memory with a margin of 5%.
        exaflops (`float`): 10^18 operations of the whole stage, recomputation included.
        hours (`float`): at `utilisation` of the GPUs' peak; without decoding, evaluation and saving.
        assumptions (`list[str]`): what was not known and is assumed.
    """

    stage: int
    name: str
    model: str
    kinds: dict[str, KindPlan]
    steps: int
    global_batch: int
    tokens: int
    visual_tokens: int
    longest: int
    parameters: dict[str, dict[str, int]]
    gpu: str
    gpus: int
    sharded: bool
    memory: dict[str, float]
    fits: bool
    exaflops: float
    utilisation: float
    hours: float
    assumptions: list[str]


class PlanOptions(NamedTuple):
    """What the recipe does not say.

    Args:
        gpus (`int`, defaults to 1), gpu (`str`, defaults to `"a100-80gb"`): how many of which.
        sharded (`bool`, *optional*): whether weights and optimizer are divided among them; so for several, if omitted.
        utilisation (`float`, defaults to 0.4): share of the GPU's peak that training reaches.
        samples (`Mapping[str, int]`, *optional*): records by kind, instead of those at `data.path`.
        image_size (`tuple[int, int]`, defaults to (1024, 768)): width and height of an image.
        language_model (`str`, defaults to `"qwen2.5-7b"`): of the model, where the recipe's is not there to be read.
    """

    gpus: int = 1
    gpu: str = "a100-80gb"
    sharded: bool | None = None
    utilisation: float = 0.4
    samples: Mapping[str, int] | None = None
    image_size: tuple[int, int] = (1024, 768)
    language_model: str = "qwen2.5-7b"


def plan_stage(recipe: Recipe, options: PlanOptions = PlanOptions()) -> Plan:  # noqa: B008
    """Estimate what a stage takes.

    Raises:
        UserError: no data and no number of records, a GPU that is not known, or a recipe that does not fit its model.
    """
    gpu = find_gpu(options.gpu)
    if options.gpus < 1 or not 0 < options.utilisation <= 1:
        raise UserError(f"gpus = {options.gpus}, utilisation = {options.utilisation}: at least 1, and above 0 up to 1")
    assumptions: list[str] = []
    named, config = _config(recipe, options, assumptions)
    model = build_on_meta(recipe, config)
    config, parts = model.config, count_parts(model)
    kinds = _kinds(recipe, config.layout, options, assumptions)
    batch = _batch(recipe, kinds)
    sharded = options.gpus > 1 if options.sharded is None else options.sharded
    memory = training_memory(recipe, config, parts, batch, gpus=options.gpus, sharded=sharded)
    epochs = _epochs(recipe, kinds, options.gpus)
    flops = epochs * sum(kind.samples * sample_flops(recipe, config, parts, kind) for kind in kinds.values())
    assumptions.append(f"{options.utilisation:.0%} of the peak of {options.gpu}, {gpu.tflops:g} TFLOP/s, is used")
    return Plan(
        stage=recipe.stage,
        name=recipe.name,
        model=named,
        kinds=kinds,
        steps=count_steps(recipe, {name: kind.samples for name, kind in kinds.items()}, options.gpus),
        global_batch=recipe.optimisation.batch_size * recipe.optimisation.passes(options.gpus) * options.gpus,
        tokens=round(epochs * sum(kind.samples * kind.tokens for kind in kinds.values())),
        visual_tokens=round(epochs * sum(kind.samples * kind.visual_tokens for kind in kinds.values())),
        longest=batch.tokens,
        parameters=_table(parts, recipe),
        gpu=options.gpu,
        gpus=options.gpus,
        sharded=sharded,
        memory={name: round(value / _GIB, 2) for name, value in (*memory._asdict().items(), ("total", memory.total))},
        fits=memory.total <= _USABLE * gpu.memory * _GIB,
        exaflops=round(flops / 1e18, 3),
        utilisation=options.utilisation,
        hours=round(flops / (options.gpus * gpu.tflops * 1e12 * options.utilisation) / 3600, 2),
        assumptions=assumptions,
    )


def _config(recipe: Recipe, options: PlanOptions, assumptions: list[str]) -> tuple[str, VideoPathLlavaConfig]:
    """Whose shapes are counted, and its configuration: the recipe's model where it can be read, else the published."""
    config = config_of(recipe.model) if recipe.model else None
    if recipe.model and config is not None:
        return recipe.model, config
    name = f"SigLIP so400m and {options.language_model}"
    assumptions.append(f"the model is not there to be read: shapes of {name}")
    return name, published_config(options.language_model)


def count_steps(recipe: Recipe, samples: Mapping[str, int], processes: int) -> int:
    """Optimiser steps of a stage, by the trainer's own arithmetic.

    Batches are of one modality, so each modality has a short last batch, which `drop_last` leaves out; an epoch's
    last step may have fewer forward passes than the others.
    """
    settings = recipe.optimisation
    if settings.max_steps is not None:
        return settings.max_steps
    passes = _passes_an_epoch(recipe, samples, processes)
    return ceil(settings.epochs * max(1, ceil(passes / settings.passes(processes))))


def _passes_an_epoch(recipe: Recipe, samples: Mapping[str, int], processes: int) -> int:
    settings = recipe.optimisation
    together = settings.batch_size * processes
    modalities = {"video": 0, "image": 0}
    for kind, count in samples.items():
        modalities["video" if kind in VIDEO_KINDS else "image"] += count
    return sum(count // together if settings.drop_last else ceil(count / together) for count in modalities.values())


def _epochs(recipe: Recipe, kinds: Mapping[str, KindPlan], processes: int) -> float:
    if recipe.optimisation.max_steps is None:
        return recipe.optimisation.epochs
    samples = {name: kind.samples for name, kind in kinds.items()}
    an_epoch = _passes_an_epoch(recipe, samples, processes) / recipe.optimisation.passes(processes)
    return recipe.optimisation.max_steps / max(1.0, an_epoch)


def sample_flops(recipe: Recipe, config: Any, parts: Mapping[str, Part], kind: KindPlan) -> float:
    """Operations of one sample, forward and backward: two for each weight and token, and those of attention.

    A weight that learns takes three times its forward pass, one that gradients only pass through twice, and once more
    where activations are recomputed; a tower that does not learn is passed forward only.
    """
    again = 1 if recipe.optimisation.gradient_checkpointing else 0
    text, tower = config.text_config, config.vision_config
    attention = 2 * kind.tokens**2 * text.hidden_size * text.num_hidden_layers  # causal: half of the square
    base = parts["language_model"]
    decoder = (2 * kind.tokens * base.multiplied + attention) * (2 + again)
    decoder += 2 * kind.tokens * base.multiplied if base.learns else 0
    decoder += attention  # gradients of both factors
    adapters = 2 * kind.tokens * parts["lora"].learns * (3 + again) if "lora" in parts else 0
    seen = kind.tiles * (tower.image_size // tower.patch_size) ** 2
    patches = (tower.image_size // tower.patch_size) ** 2
    look = 2 * seen * parts["vision_tower"].multiplied
    look += 4 * seen * patches * tower.hidden_size * tower.num_hidden_layers
    look *= 3 + again if recipe.trainable.vision_tower else 1
    project = 2 * seen * parts["projector"].multiplied * (3 if recipe.trainable.projector else 2)
    head = 2 * kind.tokens * text.vocab_size * text.hidden_size * 3
    return float(decoder + adapters + look + project + head)


def _kinds(recipe: Recipe, layout: Layout, options: PlanOptions, assumptions: list[str]) -> dict[str, KindPlan]:
    if options.samples is not None:
        if wrong := set(options.samples) - set(recipe.data.kinds):
            raise UserError(
                f"the recipe of {recipe.label} has no records of kind {', '.join(sorted(wrong))}; its kinds are "
                f"{', '.join(recipe.data.kinds)}"
            )
        texts = ", ".join(f"{_TEXT_TOKENS[kind]} of a {kind}" for kind in options.samples)
        assumptions.append(f"tokens of text: {texts}")
        counted: dict[str, _Count] = {
            kind: (ceil(recipe.data.fraction * count), float(_TEXT_TOKENS[kind]), None)
            for kind, count in options.samples.items()
        }
    else:
        counted = _count_records(recipe, assumptions)
    if any(kind not in VIDEO_KINDS for kind in counted):
        width, height = options.image_size
        assumptions.append(f"an image has {width} x {height} pixels")
    return {kind: _kind_plan(recipe, layout, options, kind, *row) for kind, row in counted.items()}


def _kind_plan(
    recipe: Recipe, layout: Layout, options: PlanOptions, kind: str, count: int, text: float, frames: float | None
) -> KindPlan:
    if kind in VIDEO_KINDS:
        tiles = recipe.frames.num_frames if frames is None else frames
        visual = num_video_tokens(1, layout) + (tiles - 1) * (
            num_video_tokens(2, layout) - num_video_tokens(1, layout)
        )
    else:
        size = (options.image_size[1], options.image_size[0])
        tiles = num_tiles(size, layout)
        visual = num_image_tokens(size, num_tiles(size, layout), layout)
    chat = _CHAT if recipe.template == "chat" else 0
    return KindPlan(samples=count, tiles=tiles, visual_tokens=visual, tokens=visual + text + chat)


def _count_records(recipe: Recipe, assumptions: list[str]) -> dict[str, _Count]:
    """Of each kind: records, tokens of text and frames on average; media are looked for, but not opened."""
    from videopath_hf.training.samples import choose_records

    if recipe.data.path is None:
        raise UserError(
            "the recipe does not say data.path: add data.path=DATA, or say how many records there are with --samples"
        )
    chosen: dict[str, list[InstructionRecord]] = {}
    for record in choose_records(recipe, recipe.data.path):
        chosen.setdefault(record.kind, []).append(record)
    assumptions.append(f"{_CHARACTERS:g} characters of text make a token")
    return {
        kind: (len(records), _mean([_text_tokens(record) for record in records]), _frames(recipe, kind, records))
        for kind, records in chosen.items()
    }


def _text_tokens(record: InstructionRecord) -> float:
    return sum(len(message_text(message["content"])) for message in record.messages) / _CHARACTERS


def _frames(recipe: Recipe, kind: str, records: Sequence[InstructionRecord]) -> float | None:
    """Frames of a clip on average, from its seconds where records tell them; None for as many as there may be."""
    if kind not in VIDEO_KINDS or recipe.frames.strategy == "uniform":
        return None
    most = recipe.frames.num_frames
    seconds = [None if r.start is None or r.end is None else r.end - r.start for r in records]
    return _mean([most if s is None else min(most, max(1.0, s * recipe.frames.video_fps)) for s in seconds])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _batch(recipe: Recipe, kinds: Mapping[str, KindPlan]) -> Batch:
    """The largest forward pass: the kind of most tokens, at its average length."""
    longest = max(kinds.values(), key=lambda kind: kind.tokens)
    return Batch(recipe.optimisation.batch_size, ceil(longest.tokens), ceil(longest.tiles))


def _table(parts: Mapping[str, Part], recipe: Recipe) -> dict[str, dict[str, int]]:
    copied = {"projector", "vision_tower"} if recipe.trainable.language_model == "lora" else set()
    return {
        name: {"trainable": part.learns, "total": part.learns + (0 if name in copied and part.learns else part.frozen)}
        for name, part in parts.items()
    }
