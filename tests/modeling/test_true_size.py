"""The published 7B model without its weights: SigLIP so400m/14 at 384 pixels and Qwen2.5-7B, on the meta device."""

from pathlib import Path
from typing import Any

import pytest
import torch

from videopath_hf.modeling.layouts import name_in
from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration
from videopath_hf.modeling.reference_settings import KNOWN_TOWERS, reference_config

# Qwen/Qwen2.5-7B-Instruct's config.json, and the settings of the authors' scripts.
SETTINGS = {
    "architectures": ["LlavaQwenForCausalLM"],
    "vocab_size": 152064,
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "mm_projector_type": "mlp2x_gelu",
    "mm_patch_merge_type": "spatial_unpad",
    "mm_newline_position": "grid",
    "image_aspect_ratio": "anyres",
}
LAYER = 2 * 3584 * 3584 + 2 * 3584 * 512 + 3584 + 2 * 512 + 3 * 3584 * 18944 + 2 * 3584
QWEN = 2 * 152064 * 3584 + 28 * LAYER + 3584  # 7.62 billion, as its card says, embeddings and head included
TOWER_LAYER = 4 * (1152 * 1152 + 1152) + 2 * 1152 * 4304 + 4304 + 1152 + 4 * 1152
TOWER = (3 * 14 * 14 + 1 + 27 * 27) * 1152 + 26 * TOWER_LAYER + 2 * 1152
PROJECTOR = 1152 * 3584 + 3584 + 3584 * 3584 + 3584
NEWLINE = 3584
PUBLISHED = 8_030_348_832  # 8.03 billion: the size of every published checkpoint of these shapes
LORA_128 = 28 * 128 * (2 * (3584 + 3584) + 2 * (3584 + 512) + 3 * (3584 + 18944))


def their_names() -> set[str]:
    """The weights the published implementation saves, spelled out from the architecture."""
    tower = "model.vision_tower.vision_tower.vision_model."
    names = {"lm_head.weight", "model.embed_tokens.weight", "model.norm.weight", "model.image_newline"}
    names |= {f"model.mm_projector.{part}.{kind}" for part in (0, 2) for kind in ("weight", "bias")}
    for layer in range(28):
        stem = f"model.layers.{layer}"
        names |= {f"{stem}.{norm}.weight" for norm in ("input_layernorm", "post_attention_layernorm")}
        names |= {f"{stem}.mlp.{part}_proj.weight" for part in ("gate", "up", "down")}
        names |= {f"{stem}.self_attn.{part}_proj.{kind}" for part in "qkv" for kind in ("weight", "bias")}
        names.add(f"{stem}.self_attn.o_proj.weight")
    names |= {f"{tower}embeddings.patch_embedding.{kind}" for kind in ("weight", "bias")}
    names |= {f"{tower}post_layernorm.{kind}" for kind in ("weight", "bias")}
    names.add(f"{tower}embeddings.position_embedding.weight")
    parts = (
        "layer_norm1",
        "layer_norm2",
        "mlp.fc1",
        "mlp.fc2",
        *(f"self_attn.{p}_proj" for p in ("q", "k", "v", "out")),
    )
    for layer in range(26):
        names |= {f"{tower}encoder.layers.{layer}.{part}.{kind}" for part in parts for kind in ("weight", "bias")}
    return names


@pytest.fixture(scope="module")
def model() -> Any:
    config = reference_config(Path("x"), SETTINGS, KNOWN_TOWERS["siglip-so400m-patch14-384"], their_names())
    with torch.device("meta"):
        return VideoPathLlavaForConditionalGeneration(config)


def count(*modules: Any) -> int:
    return sum(weight.numel() for module in modules for weight in module.parameters())


def test_the_published_number_of_parameters_and_their_names(model: Any) -> None:
    assert sum(weight.numel() for weight in model.parameters()) == PUBLISHED == QWEN + TOWER + PROJECTOR + NEWLINE
    assert {name_in("llava_next", name) for name in model.state_dict()} == their_names()


def test_each_stage_trains_as_many_parameters_as_published(model: Any) -> None:
    from peft import LoraConfig, get_peft_model

    inner = model.model
    assert count(inner.multi_modal_projector) == PROJECTOR  # stage 0
    assert count(inner.language_model, model.lm_head) == QWEN
    assert count(inner.vision_tower) == TOWER
    layers = r"model\.language_model\.layers\..*\.(q|k|v|o|gate|up|down)_proj"
    tuned = get_peft_model(model, LoraConfig(r=128, lora_alpha=256, lora_dropout=0.05, target_modules=layers))
    assert tuned.get_nb_trainable_parameters()[0] == LORA_128
    for part in (inner.vision_tower, inner.multi_modal_projector):
        part.requires_grad_(True)
    assert tuned.get_nb_trainable_parameters()[0] == LORA_128 + TOWER + PROJECTOR  # stage 3
