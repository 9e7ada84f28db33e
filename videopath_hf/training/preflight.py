"""What a stage is about to do, shown before its first step: what learns, how long samples are, how much memory."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from videopath_hf.training.memory import Batch, Memory, training_memory
from videopath_hf.training.parts import parameter_table
from videopath_hf.training.ranks import is_sharded
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.samples import Survey
from videopath_hf.training.shapes import count_parts

_BINS = 8
_BAR = 30


class Bin(NamedTuple):
    """So many samples of more than `low` and at most `high` tokens."""

    low: int
    high: int
    samples: int


class Preflight(NamedTuple):
    """The figures of a stage before its first step."""

    parameters: dict[str, dict[str, int]]
    histogram: list[Bin]
    memory: Memory

    def as_json(self) -> dict[str, Any]:
        """The figures for `run.json`."""
        sizes = {"total": self.memory.total, **self.memory._asdict()}
        memory = {name: round(size) for name, size in sizes.items()}
        histogram = [bin_._asdict() for bin_ in self.histogram]
        return {"parameters": self.parameters, "memory": memory, "histogram": histogram}


def inspect_stage(model: Any, config: Any, recipe: Recipe, survey: Survey, args: Any) -> Preflight:
    """Work out what a stage's first step will find.

    Args:
        model ([`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]): with its parts prepared.
        config ([`VideoPathLlavaConfig`]): of the model without adapters.
        recipe ([`Recipe`]): of the stage.
        survey ([`~videopath_hf.training.samples.Survey`]): of its samples.
        args ([`VideoPathSFTConfig`]): of its trainer.
    """
    batch = Batch(args.per_device_train_batch_size, max(survey.lengths.values()), survey.most_tiles)
    memory = training_memory(
        recipe,
        config,
        count_parts(model),
        batch,
        gpus=args.world_size,
        sharded=is_sharded(),
        bf16=bool(args.bf16),
        on_gpu=not args.use_cpu,
    )
    return Preflight(
        parameter_table(model), length_histogram(list(survey.lengths.values()), recipe.max_length), memory
    )


def length_histogram(lengths: Sequence[int], budget: int) -> list[Bin]:
    """How many samples have how many tokens, in equal steps from 0 to the longest, or to the budget if it is near."""
    longest = max(lengths)
    top = budget if longest > budget // 2 else longest
    edges = [top * number // _BINS for number in range(_BINS + 1)]
    return [Bin(low, high, sum(low < length <= high for length in lengths)) for low, high in pairwise(edges)]


def describe(preflight: Preflight, budget: int) -> str:
    """The figures as lines for a person."""
    lines = ["  what learns"]
    lines += [f"    {name:<15} {_share(row)}" for name, row in sorted(preflight.parameters.items())]
    lines.append(f"  tokens a sample (budget {budget:,})")
    most = max(bin_.samples for bin_ in preflight.histogram)
    for low, high, samples in preflight.histogram:
        bar = "#" * -(-samples * _BAR // most)
        lines.append(f"    {low + 1:>7,} to {high:>7,} {samples:>8,} {bar}".rstrip())
    memory = preflight.memory
    parts = ", ".join(
        f"{name.replace('_', ' ')} {_gigabytes(value)}" for name, value in memory._asdict().items() if value
    )
    lines.append(f"  memory of a step, estimated: {_gigabytes(memory.total)} ({parts})")
    return "\n".join(lines)


def _share(row: Mapping[str, int]) -> str:
    """What learns of a part, in words."""
    if not row["trainable"]:
        return f"frozen, {row['total']:,} parameters"
    return f"{row['trainable']:,} of {row['total']:,} parameters"


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.3g} GB"
