"""What the published implementation saves instead of a whole model: LoRA output, or a projector alone."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from videopath_hf.files import read_json, write_json
from videopath_hf.modeling.checks_videopath_llava import CheckpointError
from videopath_hf.modeling.layouts import our_name
from videopath_hf.modeling.shards import Shard, Spec

_PREFIX = "base_model.model."
_SUFFIX = ".weight"
_BARE = re.compile(r"^(mm_projector\.|image_newline$)")


@dataclass
class ReferenceAdapter:
    """What is to be laid over a base checkpoint, under our names. Weights stay on disk until they are used.

    Args:
        folder (`Path`): where it was read from.
        files (`list[Path]`): the files of weights that were read.
        full (`dict[str, tuple[Shard, str]]`): weights that replace the base's: their file, and their names in it.
        low_rank (`dict[str, tuple[torch.Tensor, torch.Tensor]]`): A [r, in] and B [out, r] of a weight.
        scale (`float`): alpha / r.
        settings (`dict`): adapter_config.json.
    """

    folder: Path
    files: list[Path]
    full: dict[str, tuple[Shard, str]]
    low_rank: dict[str, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)
    scale: float = 1.0
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: str | Path) -> "ReferenceAdapter":
        """Read adapter_config.json, adapter_model and, if there, non_lora_trainables.

        Raises:
            CheckpointError: if one of them is missing or unreadable, or the adapter is not plain LoRA.
        """
        folder = Path(folder)
        settings = read_json(folder / "adapter_config.json")
        if settings.get("peft_type") != "LORA" or settings.get("use_dora") or settings.get("bias") != "none":
            raise CheckpointError(f"{folder} is not a plain LoRA adapter without biases")
        if settings.get("rank_pattern") or settings.get("alpha_pattern") or settings.get("fan_in_fan_out"):
            raise CheckpointError(
                f"{folder} has rank_pattern, alpha_pattern or fan_in_fan_out, which are not supported"
            )
        low_file = _one_of(folder, "adapter_model")
        files = [low_file]
        full: dict[str, tuple[Shard, str]] = {}
        if any((folder / f"non_lora_trainables{kind}").is_file() for kind in (".bin", ".safetensors")):
            files.append(_one_of(folder, "non_lora_trainables"))
            full = _full(Shard.of(files[-1]))
        scale = settings["lora_alpha"] / (settings["r"] ** 0.5 if settings.get("use_rslora") else settings["r"])
        return cls(folder, files, full, _pairs(folder, Shard.of(low_file)), scale, settings)

    @classmethod
    def open_projector(cls, file: Path) -> "ReferenceAdapter":
        """Read the mm_projector file of the alignment stage.

        Raises:
            CheckpointError: if it cannot be read or holds anything but a projector and the newline token.
        """
        full = _full(Shard.of(file))
        strange = [
            name for name in full if not name.startswith(("model.multi_modal_projector.", "model.image_newline"))
        ]
        if strange or not full:
            raise CheckpointError(f"{file} is not a projector: it holds {min(strange, default='no weights')}")
        return cls(file, [file], full)

    def check_targets(self, specs: dict[str, Spec]) -> None:
        """Raise `CheckpointError` if a weight of the adapter is not in the base, or has another shape there."""
        strange = sorted((set(self.full) | set(self.low_rank)) - set(specs))
        if strange:
            raise CheckpointError(f"adapter {self.folder} holds {strange[0]}, which the base checkpoint does not have")
        shapes = {name: shard.specs[theirs].shape for name, (shard, theirs) in self.full.items()}
        shapes |= {name: (b.shape[0], a.shape[1]) for name, (a, b) in self.low_rank.items()}
        for name, shape in sorted(shapes.items()):
            if shape != specs[name].shape:
                raise CheckpointError(
                    f"adapter {self.folder} holds {name} for shape {shape}; in the base checkpoint it has "
                    f"{specs[name].shape}"
                )

    def spec(self, name: str, spec: Spec, merge: bool) -> Spec:
        """Shape and type of a weight after [`apply`]: merging is done, and kept, in float32."""
        if merge and name in self.low_rank:
            return Spec(spec.shape, torch.float32)
        if name in self.full:
            shard, theirs = self.full[name]
            return shard.specs[theirs]
        return spec

    def apply(self, name: str, weight: torch.Tensor, merge: bool) -> torch.Tensor:
        """The weight of that name: base, or the full one, and, to `merge`, plus scale times B A in float32."""
        if name in self.full:
            shard, theirs = self.full[name]
            weight = shard.read(theirs)
        if not merge or name not in self.low_rank:
            return weight
        a, b = (part.to(torch.float32) for part in self.low_rank[name])
        return weight.to(torch.float32) + (b @ a) * self.scale

    def write(self, folder: Path, base: Path) -> None:
        """Write the low-rank weights as an adapter that PEFT loads onto our model in `base`."""
        folder.mkdir()
        weights = {}
        for name, parts in self.low_rank.items():
            for letter, part in zip("AB", parts, strict=True):
                key = f"{_PREFIX}{name.removesuffix(_SUFFIX)}.lora_{letter}{_SUFFIX}"
                weights[key] = part.contiguous()
        save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        targets = sorted(name.removesuffix(_SUFFIX) for name in self.low_rank)
        kept = ("peft_type", "r", "lora_alpha", "lora_dropout", "bias", "use_rslora", "task_type")
        settings = {key: self.settings[key] for key in kept if key in self.settings}
        changed = {"base_model_name_or_path": str(base), "target_modules": targets, "inference_mode": True}
        write_json(folder / "adapter_config.json", {**settings, **changed})


def _ours(name: str, source: Path) -> str:
    name = name.removeprefix(_PREFIX)
    return our_name(f"model.{name}" if _BARE.search(name) else name, "llava_next", source)


def _one_of(folder: Path, stem: str) -> Path:
    for suffix in (".safetensors", ".bin"):
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    raise CheckpointError(f"{folder} lacks {stem}.safetensors and {stem}.bin")


def _full(shard: Shard) -> dict[str, tuple[Shard, str]]:
    return {_ours(name, shard.file): (shard, name) for name in shard.specs}


def _pairs(folder: Path, shard: Shard) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    with shard.open() as read:
        weights = {name: read(name) for name in shard.specs}
    pairs = {}
    for name, weight in weights.items():
        module, _, part = name.partition(".lora_")
        if part in ("A.weight", "A.default.weight"):
            partner = weights.get(name.replace(".lora_A.", ".lora_B."))
            if partner is None:
                raise CheckpointError(f"adapter {folder} holds {name} without its B")
            pairs[_ours(module + _SUFFIX, folder)] = (weight, partner)
        elif part not in ("B.weight", "B.default.weight"):
            raise CheckpointError(f"adapter {folder} holds {name}, which is not a LoRA weight")
        elif name.replace(".lora_B.", ".lora_A.") not in weights:
            raise CheckpointError(f"adapter {folder} holds {name} without its A")
    if not pairs:
        raise CheckpointError(f"adapter {folder} holds no LoRA weights")
    return pairs
