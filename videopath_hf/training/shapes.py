"""A stage's model without its weights: built on the meta device, parts chosen, parameters and operations counted."""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from videopath_hf.errors import UserError
from videopath_hf.files import read_json
from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration
from videopath_hf.modeling.reference_settings import KNOWN_TOWERS
from videopath_hf.training.parts import part_of, prepare_parts
from videopath_hf.training.quiet import quiet_libraries
from videopath_hf.training.recipe import Recipe

SIGLIP_SO400M = {**KNOWN_TOWERS["siglip-so400m-patch14-384"], "num_hidden_layers": 26, "vision_use_head": False}
"""google/siglip-so400m-patch14-384 without its last layer, as the published model uses it."""

LANGUAGE_MODELS: dict[str, dict[str, Any]] = {
    "qwen2.5-7b": {
        "vocab_size": 152064,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
    },
    "qwen2.5-0.5b": {
        "vocab_size": 151936,
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    },
}
"""Shapes of Qwen2.5, from its configurations on the Hub."""


class Part(NamedTuple):
    """Weights of one part of a model.

    Args:
        learns (`int`), frozen (`int`): weights that learn, and that do not; a frozen copy behind a trained one counts.
        multiplied (`int`): weights that every token of the part is multiplied with: those of linear layers, without
            embeddings and the output head.
    """

    learns: int
    frozen: int
    multiplied: int


def published_config(language_model: str = "qwen2.5-7b") -> VideoPathLlavaConfig:
    """The published model's configuration: SigLIP so400m and a Qwen2.5 of [`LANGUAGE_MODELS`].

    Raises:
        UserError: for another language model.
    """
    if language_model not in LANGUAGE_MODELS:
        raise UserError(f"language model is {language_model!r}; accepted are {', '.join(LANGUAGE_MODELS)}")
    text = {"model_type": "qwen2", "max_position_embeddings": 32768, **LANGUAGE_MODELS[language_model]}
    tied = bool(text.get("tie_word_embeddings", False))
    return VideoPathLlavaConfig(vision_config=dict(SIGLIP_SO400M), text_config=text, tie_word_embeddings=tied)


def config_of(model: str) -> VideoPathLlavaConfig | None:
    """The configuration of a checkpoint folder in any layout; None where there is no such folder.

    Raises:
        CheckpointError: it holds something else.
    """
    from videopath_hf.modeling.loading import foreign_source

    path = Path(model) / "config.json"
    if not path.is_file():
        return None
    if read_json(path).get("model_type") == VideoPathLlavaConfig.model_type:
        return VideoPathLlavaConfig.from_pretrained(model)
    source = foreign_source(model)
    return None if source is None else source.config


def build_on_meta(recipe: Recipe, config: VideoPathLlavaConfig) -> Any:
    """The model of a stage as it trains, frozen, thawed and with its adapters, on the meta device: no weights.

    Raises:
        UserError: the recipe's visual settings or its adapters' targets do not fit the model.
    """
    values = recipe.visual.model_dump(exclude_none=True)
    try:
        chosen = type(config).from_dict({**config.to_dict(), **values})
    except ValueError as error:
        raise UserError(f"visual: {error}") from None
    with torch.device("meta"), quiet_libraries():
        model = VideoPathLlavaForConditionalGeneration(chosen)
        return prepare_parts(model, recipe.trainable, recipe.lora)


def count_parts(model: Any) -> dict[str, Part]:
    """The [`Part`]s of a model: `vision_tower`, `projector`, `language_model` and, with adapters, `lora`."""
    linear = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d) and not name.endswith("lm_head")
    }
    counts: dict[str, list[int]] = {}
    for name, parameter in model.named_parameters():
        row = counts.setdefault(part_of(name), [0, 0, 0])
        row[0 if parameter.requires_grad else 1] += parameter.numel()
        row[2] += parameter.numel() * (name in linear and ".original_module." not in name)
    return {part: Part(*row) for part, row in counts.items()}
