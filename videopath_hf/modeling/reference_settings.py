"""The settings of the published implementation's checkpoints, read as ours."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError

from videopath_hf.files import read_json
from videopath_hf.modeling.checks_videopath_llava import CheckpointError
from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
from videopath_hf.modeling.packing_videopath_llava import parse_pinpoints

# google/siglip-so400m-patch14-384, as its own config.json has it; the head count cannot be read from the weights.
KNOWN_TOWERS = {
    "siglip-so400m-patch14-384": {
        "model_type": "siglip_vision_model",
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "image_size": 384,
        "patch_size": 14,
    }
}
_REFERENCE_TOWER = "google/siglip-so400m-patch14-384"
_TEXT_KEYS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "initializer_range",
    "rms_norm_eps",
    "rope_theta",
    "rope_scaling",
    "use_sliding_window",
    "sliding_window",
    "max_window_layers",
    "attention_dropout",
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)
_TOWER_KEYS = (
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_channels",
    "image_size",
    "patch_size",
    "hidden_act",
    "layer_norm_eps",
    "attention_dropout",
)


def reference_config(
    src: Path, settings: dict[str, Any], tower: dict[str, Any], names: Iterable[str]
) -> VideoPathLlavaConfig:
    """Our configuration for settings of theirs.

    Args:
        src (`Path`): named in errors.
        settings (`dict`): their config.json.
        tower (`dict`): configuration of the vision tower.
        names (`Iterable[str]`): their names of the weights; they tell how many layers the tower kept.

    Raises:
        CheckpointError: for settings that are not theirs or have no counterpart.
    """
    _check_settings(src, settings)
    layers = {
        int(found.group(1)) for name in names if (found := re.search(r"vision_model\.encoder\.layers\.(\d+)", name))
    }
    if not layers:
        raise CheckpointError(f"{src} holds no vision tower; only whole checkpoints can be converted")
    tile = int(tower["image_size"])
    pinpoints = settings.get("image_grid_pinpoints")
    if pinpoints is not None and not isinstance(pinpoints, str):
        pinpoints = str([tuple(size) for size in pinpoints])  # (width, height), as their text is
    text = {key: settings[key] for key in _TEXT_KEYS if settings.get(key) is not None}
    try:
        return VideoPathLlavaConfig(
            vision_config={**tower, "num_hidden_layers": max(layers) + 1, "vision_use_head": False},
            text_config={**text, "model_type": "qwen2"},
            vision_feature_layer=-1,
            vision_feature_select_strategy="full",
            vision_aspect_ratio=settings.get("image_aspect_ratio") or "square",
            image_grid_pinpoints=None
            if pinpoints is None
            else [list(size) for size in parse_pinpoints(pinpoints, tile)],
            patch_merge_type=settings.get("mm_patch_merge_type") or "flat",
            video_newline_position=settings.get("mm_newline_position") or "one_token",
            video_pool_mode=settings.get("mm_spatial_pool_mode") or "bilinear",
            tie_word_embeddings=bool(settings.get("tie_word_embeddings", False)),
        )
    except (ValueError, TypeError, StrictDataclassError) as error:
        raise CheckpointError(f"{src}/config.json: {' '.join(str(error).split())}") from None


def tower_config(src: Path, settings: dict[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Configuration of the vision tower: the one given, else the one beside the weights, else a known one.

    Raises:
        CheckpointError: if there is none, or it does not say how large its input, patches and heads are.
    """
    local = src / "vision_tower_config" / "config.json"
    name = str(settings.get("mm_vision_tower") or "").rstrip("/").rsplit("/", 1)[-1]
    if given is not None:
        found = dict(given)
    elif local.is_file():
        found = read_json(local)
    elif name in KNOWN_TOWERS:
        found = KNOWN_TOWERS[name]
    else:
        raise CheckpointError(
            f"{src}/config.json names vision tower {name or None!r}, which is not known ({', '.join(KNOWN_TOWERS)}); "
            "pass its configuration as vision_config"
        )
    found = found.get("vision_config", found)
    if missing := {"image_size", "patch_size", "num_attention_heads", "hidden_size"} - set(found):
        raise CheckpointError(f"the vision tower's configuration lacks {', '.join(sorted(missing))}")
    return {**found, "model_type": "siglip_vision_model"}


def _check_settings(src: Path, settings: dict[str, Any]) -> None:
    expected = {
        "mm_projector_type": ("mlp2x_gelu",),
        "mm_resampler_type": (None,),
        "mm_use_im_start_end": (None, False),
        "add_faster_video": (None, False),
    }
    for key, accepted in expected.items():
        if settings.get(key) not in accepted:
            raise CheckpointError(
                f"{src}/config.json has {key} = {settings.get(key)!r}, which our model does not have"
            )
    architectures = settings.get("architectures") or []
    if architectures and not any("Qwen" in name for name in architectures):
        raise CheckpointError(f"{src} is a {architectures[0]}; only Qwen2 language models can be converted")


def reference_export(source: Any, config: VideoPathLlavaConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """Their config.json and their description of the vision tower for one of our configurations.

    Raises:
        CheckpointError: naming what their implementation cannot express.
    """
    tower, text = config.vision_config.to_dict(), config.text_config.to_dict()
    for name, value, only in (
        ("vision tower", tower["model_type"], "siglip_vision_model"),
        ("language model", text["model_type"], "qwen2"),
        ("vision_feature_layer", config.vision_feature_layer, -1),
        ("vision_feature_select_strategy", config.vision_feature_select_strategy, "full"),
        ("video_pool_stride", config.video_pool_stride, 2),
        ("projector_hidden_act", config.projector_hidden_act, "gelu"),
        ("multimodal_projector_bias", config.multimodal_projector_bias, True),
    ):
        if value != only:
            raise CheckpointError(f"{source} has {name} = {value!r}; the layout llava_next can only have {only!r}")
    rope = text.get("rope_parameters") or {}
    scaled = rope.get("rope_type", "default") != "default"
    text |= {"rope_theta": rope.get("rope_theta", 10000.0), "rope_scaling": rope if scaled else None}
    settings = {
        **{key: text.get(key) for key in _TEXT_KEYS},
        "tie_word_embeddings": config.tie_word_embeddings,
        "architectures": ["LlavaQwenForCausalLM"],
        "model_type": "llava_qwen",
        "torch_dtype": str(config.dtype or "float32").removeprefix("torch."),
        "image_aspect_ratio": config.vision_aspect_ratio,
        "image_grid_pinpoints": [[width, height] for height, width in config.layout.pinpoints],
        "mm_hidden_size": tower["hidden_size"],
        "mm_newline_position": config.video_newline_position,
        "mm_patch_merge_type": config.patch_merge_type,
        "mm_projector_type": "mlp2x_gelu",
        "mm_resampler_type": None,
        "mm_spatial_pool_mode": config.video_pool_mode,
        # Their loader takes the tower's weights from the checkpoint only where the tower is named here.
        "mm_tunable_parts": "mm_vision_tower,mm_mlp_adapter,mm_language_model",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": _REFERENCE_TOWER,
        "tokenizer_model_max_length": 32768,
        "tokenizer_padding_side": "right",
        "use_mm_proj": True,
    }
    # Their tower counts the layer that is dropped.
    described = {key: tower[key] for key in _TOWER_KEYS if key in tower}
    return settings, {**described, "num_hidden_layers": tower["num_hidden_layers"] + 1}
