"""The published implementation's LoRA output: low-rank weights beside full ones that were trained as well."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from videopath_hf.files import read_json
from videopath_hf.modeling.loading import CheckpointError

_PREFIX = "base_model.model."
_SUFFIX = ".weight"


@dataclass
class ReferenceAdapter:
    """What is to be laid over a base checkpoint, under the base's own names.

    Args:
        folder (`Path`): where it was read from.
        files (`list[Path]`): the files of weights that were read.
        full (`dict[str, torch.Tensor]`): weights that replace the base's.
        low_rank (`dict[str, tuple[torch.Tensor, torch.Tensor]]`): A [r, in] and B [out, r] of a weight.
        scale (`float`): alpha / r.
    """

    folder: Path
    files: list[Path]
    full: dict[str, torch.Tensor]
    low_rank: dict[str, tuple[torch.Tensor, torch.Tensor]]
    scale: float

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
        full: dict[str, torch.Tensor] = {}
        if any((folder / f"non_lora_trainables{kind}").is_file() for kind in (".bin", ".safetensors")):
            files.append(_one_of(folder, "non_lora_trainables"))
            full = {name.removeprefix(_PREFIX): weight for name, weight in _read(files[-1]).items()}
        scale = settings["lora_alpha"] / (settings["r"] ** 0.5 if settings.get("use_rslora") else settings["r"])
        return cls(folder, files, full, _pairs(folder, _read(low_file)), scale)

    def check_targets(self, names: set[str]) -> None:
        """Raise `CheckpointError` if the adapter holds a weight the base does not have."""
        strange = sorted((set(self.full) | set(self.low_rank)) - names)
        if strange:
            raise CheckpointError(f"adapter {self.folder} holds {strange[0]}, which the base checkpoint does not have")

    def apply(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """The merged weight of that name, in float32: base, or the full one, plus scale times B A."""
        merged = self.full.get(name, weight).to(torch.float32)
        if name in self.low_rank:
            a, b = (part.to(torch.float32) for part in self.low_rank[name])
            merged = merged + (b @ a) * self.scale
        return merged


def _one_of(folder: Path, stem: str) -> Path:
    for suffix in (".safetensors", ".bin"):
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    raise CheckpointError(f"{folder} lacks {stem}.safetensors and {stem}.bin")


def _read(file: Path) -> dict[str, torch.Tensor]:
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{file} cannot be read: {' '.join(str(error).split())[:200]}") from error


def _pairs(folder: Path, weights: dict[str, torch.Tensor]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    pairs = {}
    for name, weight in weights.items():
        module, _, part = name.removeprefix(_PREFIX).partition(".lora_")
        if part in ("A.weight", "A.default.weight"):
            partner = weights.get(name.replace(".lora_A.", ".lora_B."))
            if partner is None:
                raise CheckpointError(f"adapter {folder} holds {name} without its B")
            pairs[module + _SUFFIX] = (weight, partner)
        elif part not in ("B.weight", "B.default.weight"):
            raise CheckpointError(f"adapter {folder} holds {name}, which is not a LoRA weight")
    return pairs
