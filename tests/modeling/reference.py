"""The tiny model in the published implementation's layout, and ways to spoil it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

THEIR_NAMES = {
    "model.vision_tower.": "model.vision_tower.vision_tower.vision_model.",
    "model.multi_modal_projector.linear_1.": "model.mm_projector.0.",
    "model.multi_modal_projector.linear_2.": "model.mm_projector.2.",
    "model.language_model.": "model.",
}
SETTINGS = {
    "architectures": ["LlavaQwenForCausalLM"],
    "model_type": "llava_qwen",
    "image_aspect_ratio": "anyres",
    "image_grid_pinpoints": [[98, 196], [196, 98], [196, 196]],
    "mm_newline_position": "one_token",
    "mm_patch_merge_type": "spatial_unpad",
    "mm_projector_type": "mlp2x_gelu",
    "mm_spatial_pool_mode": "bilinear",
    "mm_vision_tower": "somebody/tower",
}


def their_name(name: str) -> str:
    for ours, theirs in THEIR_NAMES.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


def write_reference(model: Any, tokenizer: Path, folder: Path) -> Path:
    """Save a model as the published implementation would have, with the tokenizer of another folder."""
    folder.mkdir()
    text = model.config.text_config.to_dict()
    keys = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    kept = {key: text[key] for key in (*keys, "num_key_value_heads", "rms_norm_eps", "max_position_embeddings")}
    kept["rope_theta"] = text["rope_parameters"]["rope_theta"]
    (folder / "config.json").write_text(json.dumps({**SETTINGS, **kept}))
    (folder / "vision_tower_config").mkdir()
    tower = {**model.config.vision_config.to_dict(), "num_hidden_layers": 5}
    (folder / "vision_tower_config" / "config.json").write_text(json.dumps({"vision_config": tower}))
    weights = {their_name(name): weight.contiguous() for name, weight in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, folder)
    return folder


def edit(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def all_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of all safetensors files of a folder."""
    return {name: weight for file in sorted(folder.glob("*.safetensors")) for name, weight in load_file(file).items()}


def same_weights(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether names, types and every bit agree."""
    return first.keys() == second.keys() and all(
        weight.dtype == second[name].dtype and torch.equal(weight, second[name]) for name, weight in first.items()
    )


def in_two_files(folder: Path) -> list[str]:
    """Split model.safetensors in two, with an index; returns the names of the files."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    files = {"model-00001-of-00002.safetensors": names[:40], "model-00002-of-00002.safetensors": names[40:]}
    for file, part in files.items():
        save_file({name: weights[name] for name in part}, folder / file, metadata={"format": "pt"})
    index = {"weight_map": {name: file for file, part in files.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return sorted(files)


def stock_names_since_4_52(file: Path) -> None:
    """Rename the weights of a plain llava_onevision file as transformers 4.52 and later do."""
    weights = load_file(file)
    changes = {
        "language_model.model.": "model.language_model.",
        "language_model.lm_head": "lm_head",
        "vision_tower.vision_model.": "model.vision_tower.",
        "multi_modal_projector.": "model.multi_modal_projector.",
        "image_newline": "model.image_newline",
    }
    renamed = {}
    for name, weight in weights.items():
        old, new = next((old, new) for old, new in changes.items() if name.startswith(old))
        renamed[new + name.removeprefix(old)] = weight
    save_file(renamed, file, metadata={"format": "pt"})
