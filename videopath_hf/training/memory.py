"""How much memory a training step takes, from sizes alone: no weight is read, no GPU is asked."""

from collections.abc import Mapping
from typing import Any, NamedTuple

_GRADIENT = 4
_ADAMW = 8
"""Bytes of the optimiser's two moments, float32, for each parameter that learns."""


class MemoryEstimate(NamedTuple):
    """Bytes on each process at the peak of a step; `total` leaves out what the framework itself takes (about 1 GB).

    Args:
        weights (`int`): float32 weights, and their copies in bfloat16 where the arithmetic is in it.
        gradients (`int`), optimizer (`int`): of the parameters that learn.
        activations (`int`): what the forward pass keeps for the backward pass of the longest batch.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)


def estimate_memory(
    parameters: Mapping[str, Mapping[str, int]],
    config: Any,
    *,
    tokens: int,
    tiles: int,
    bf16: bool = False,
    gradient_checkpointing: bool = False,
    shards: int = 1,
) -> MemoryEstimate:
    """Estimate the memory of one training step with AdamW.

    Weights, gradients and moments are counted exactly; activations by what the layers of both transformers keep for
    the backward pass when attention is computed in blocks (no matrix of scores), which is right within a third.

    Args:
        parameters (`Mapping`): of [`~videopath_hf.training.parts.parameter_table`]; the model may be on `meta`.
        config ([`VideoPathLlavaConfig`]): of the model.
        tokens (`int`): of the longest batch, padding included.
        tiles (`int`): tiles and frames that the batch shows.
        bf16 (`bool`, defaults to `False`): whether the arithmetic is in bfloat16; weights stay in float32.
        gradient_checkpointing (`bool`, defaults to `False`): whether layers are recomputed.
        shards (`int`, defaults to 1): processes over which weights, gradients and moments are spread (FSDP, ZeRO-3).
    """
    total = sum(part["total"] for part in parameters.values())
    learning = sum(part["trainable"] for part in parameters.values())
    size = 2 if bf16 else 4
    return MemoryEstimate(
        weights=(4 * total + (2 * total if bf16 else 0)) // shards,
        gradients=_GRADIENT * learning // shards,
        optimizer=_ADAMW * learning // shards,
        activations=_activations(parameters, config, tokens, tiles, size, gradient_checkpointing),
    )


def _activations(
    parameters: Mapping[str, Mapping[str, int]], config: Any, tokens: int, tiles: int, size: int, recompute: bool
) -> int:
    text, vision = config.text_config, config.vision_config
    patches = tiles * config.layout.side**2
    learns = {part: bool(row["trainable"]) for part, row in parameters.items()}
    stacks = [(tokens * _decoder_values(text, learns), tokens * text.hidden_size, text.num_hidden_layers)]
    if learns["vision_tower"]:
        stacks.append((patches * _tower_values(vision), patches * vision.hidden_size, vision.num_hidden_layers))
    if recompute:  # the inputs of all layers, and all of the one that is being recomputed
        kept = sum(border * layers for _, border, layers in stacks) + max(layer for layer, _, _ in stacks)
    else:
        kept = sum(layer * layers for layer, _, layers in stacks)
    projector = patches * (vision.hidden_size + 2 * text.hidden_size)
    # The loss takes the vocabulary in pieces: it keeps no logits.
    return size * (kept + projector * (learns["vision_tower"] or learns["projector"]))


def _decoder_values(text: Any, learns: Mapping[str, bool]) -> int:
    """Values a token leaves behind in a layer with grouped attention and a gated MLP."""
    hidden, inner = text.hidden_size, text.intermediate_size
    head = getattr(text, "head_dim", None) or hidden // text.num_attention_heads
    grouped = 6 * head * text.num_key_value_heads  # rotated queries, keys and values, and what attention returns
    whole = 8 * hidden + grouped + 4 * inner
    if learns.get("lora"):
        return int(1.45 * whole)  # the adapters' own inputs, and the masks of their dropout
    # Frozen linear layers and norms need no input of theirs to hand a gradient on.
    return whole if learns["language_model"] else 4 * hidden + grouped + 3 * inner


def _tower_values(vision: Any) -> int:
    """Values a patch leaves behind in a layer of a plain vision transformer."""
    inner = getattr(vision, "intermediate_size", 4 * vision.hidden_size)
    return 8 * vision.hidden_size + 2 * inner
