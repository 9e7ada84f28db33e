"""What training takes on one GPU, by what it is for; every figure is bytes, from shapes alone."""

from typing import Any, NamedTuple

from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.shapes import Part

_FLOAT = 4
_BASE_BYTES = {"float32": 4.0, "bfloat16": 2.0, "8bit": 1.0, "4bit": 0.5 + 4 / 64}
"""A weight that does not learn; 4-bit weights have a float32 scale for every 64 of them."""
_HEAD_LOGITS = 256 * 2**20
"""TRL's fused head makes logits in chunks of about this size, never all of them."""
_GPU_ITSELF = 2**30
"""CUDA's context, its kernels and cuBLAS's workspace: about 1 GiB on current GPUs."""


class Batch(NamedTuple):
    """One forward pass of one process: `samples` samples of `tokens` tokens, showing `tiles` tiles or frames each."""

    samples: int
    tokens: int
    tiles: int


class Memory(NamedTuple):
    """Bytes on one GPU."""

    weights: float
    gradients: float
    optimizer: float
    working_copies: float
    activations: float
    overhead: float

    @property
    def total(self) -> float:
        return sum(self)


def training_memory(
    recipe: Recipe,
    config: VideoPathLlavaConfig,
    parts: dict[str, Part],
    batch: Batch,
    *,
    gpus: int = 1,
    sharded: bool = False,
    bf16: bool = True,
    on_gpu: bool = True,
) -> Memory:
    """Estimate what one forward and backward pass and the optimizer's step hold at the same time.

    Args:
        sharded (`bool`, defaults to `False`): weights, gradients and optimizer divided by the `gpus` (FSDP2, ZeRO-3).
        bf16 (`bool`, defaults to `True`): bfloat16 autocast.
        on_gpu (`bool`, defaults to `True`): whether CUDA's own memory counts.
    """
    share = gpus if sharded else 1
    learns = sum(part.learns for part in parts.values())
    weights = sum(_weights(recipe, name, part) for name, part in parts.items())
    copies = _working_copies(recipe, config, learns, gpus, sharded, bf16)
    return Memory(
        weights / share,
        _FLOAT * learns / share,
        2 * _FLOAT * learns / share,
        copies,
        _activations(recipe, config, batch, bf16),
        (_GPU_ITSELF if on_gpu else 0) + _HEAD_LOGITS * on_gpu,
    )


def _weights(recipe: Recipe, name: str, part: Part) -> float:
    base = recipe.lora.base
    if name == "language_model" and base in ("4bit", "8bit"):
        return _BASE_BYTES[base] * part.multiplied + 2.0 * (part.frozen - part.multiplied) + _FLOAT * part.learns
    return _BASE_BYTES["bfloat16" if base != "float32" else base] * part.frozen + _FLOAT * part.learns


def _working_copies(
    recipe: Recipe, config: VideoPathLlavaConfig, learns: int, gpus: int, sharded: bool, bf16: bool
) -> float:
    text = config.text_config
    if sharded:  # the embedding or the head and two layers, gathered whole
        kv = text.hidden_size * text.num_key_value_heads // text.num_attention_heads
        layer = text.hidden_size * (2 * text.hidden_size + 2 * kv + 3 * text.intermediate_size)
        return (2 if bf16 else _FLOAT) * (text.vocab_size * text.hidden_size + 2 * layer)
    buckets = _FLOAT * learns if gpus > 1 else 0  # DistributedDataParallel's
    return buckets + (2.0 * learns if bf16 else 0)  # autocast keeps a bfloat16 copy of what learns through a pass


def _activations(recipe: Recipe, config: VideoPathLlavaConfig, batch: Batch, bf16: bool) -> float:
    size = 2 if bf16 else _FLOAT
    recompute = recipe.optimisation.gradient_checkpointing
    text, tower = config.text_config, config.vision_config
    stream = 2 if recipe.lora.base != "float32" else _FLOAT  # residuals are float32 where the embeddings are
    adapted = 7 if recipe.trainable.language_model == "lora" and recipe.lora.dropout > 0 else 0
    tokens = batch.samples * batch.tokens
    kv = text.hidden_size * text.num_key_value_heads // text.num_attention_heads
    layer = (
        2 * (_FLOAT + size) * text.hidden_size  # norms: float32 inside, their result
        + size * (3 * text.hidden_size + 4 * kv)  # queries, keys, values, rotated; what attention gives
        + 4 * size * text.intermediate_size
        + adapted * (size + 1) * text.hidden_size  # dropout before each adapter: its result and its mask
    )
    decoder = _layers(text.num_hidden_layers, tokens * stream * text.hidden_size, tokens * layer, recompute)
    seen = batch.samples * batch.tiles * (tower.image_size // tower.patch_size) ** 2
    tower_layer = 2 * (_FLOAT + size) * tower.hidden_size + size * (5 * tower.hidden_size + 2 * _tower_mlp(tower))
    if recipe.trainable.vision_tower:
        vision = _layers(tower.num_hidden_layers, seen * _FLOAT * tower.hidden_size, seen * tower_layer, recompute)
    else:
        vision = 0.0  # each layer's is freed before the next
    projector = seen * size * (tower.hidden_size + 3 * text.hidden_size)
    # A frozen tower's widest moment is over before the decoder begins.
    passing = 0.0 if recipe.trainable.vision_tower else seen * tower_layer
    return max(vision + projector + decoder, passing)


def _tower_mlp(tower: Any) -> int:
    """Width of the tower's feed-forward layers; DINOv2 says it as a multiple of its own."""
    given = getattr(tower, "intermediate_size", None)
    return int(given if given is not None else tower.mlp_ratio * tower.hidden_size)


def _layers(count: int, between: float, inside: float, recompute: bool) -> float:
    """Kept for the backward pass: all of every layer, or what lies between layers and the inside of one."""
    return count * between + inside * 2 if recompute else count * (between + inside)
