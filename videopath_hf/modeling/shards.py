"""Files of weights, read and written one tensor at a time: a 7B model is converted in the memory of one shard."""

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from videopath_hf.files import read_json
from videopath_hf.modeling.checks_videopath_llava import CheckpointError

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_STEMS = (("model", "safetensors"), ("pytorch_model", "bin"))

Read = Callable[[str], torch.Tensor]


@dataclass(frozen=True)
class Spec:
    """Shape and type of one tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True)
class Shard:
    """One file of weights; `specs` are read from its header, tensors only on demand and from the mapped file."""

    file: Path
    specs: dict[str, Spec]

    @classmethod
    def of(cls, file: Path) -> "Shard":
        """Read the header of a .safetensors or .bin file.

        Raises:
            CheckpointError: for a file that cannot be read, or one of tensors of a type no checkpoint of ours has.
        """
        try:
            if file.suffix == ".safetensors":
                with safe_open(file, framework="pt") as weights:
                    slices = {name: weights.get_slice(name) for name in weights.keys()}  # noqa: SIM118
                    specs = {name: Spec(tuple(s.get_shape()), _DTYPES[s.get_dtype()]) for name, s in slices.items()}
            else:
                specs = {name: Spec(tuple(weight.shape), weight.dtype) for name, weight in _load_bin(file).items()}
        except KeyError as error:
            raise CheckpointError(f"{file} holds tensors of type {error}; accepted are {', '.join(_DTYPES)}") from None
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{file} cannot be read: {' '.join(str(error).split())}") from None
        return cls(file, specs)

    @contextmanager
    def open(self) -> Iterator[Read]:
        """A function that gives the tensor of a name."""
        yield self.read if self.file.suffix == ".safetensors" else _load_bin(self.file).__getitem__

    def read(self, name: str) -> torch.Tensor:
        """One tensor. The file is mapped anew for it: what was read earlier then no longer counts as our memory."""
        if self.file.suffix != ".safetensors":
            return _load_bin(self.file)[name]
        with safe_open(self.file, framework="pt") as weights:
            return weights.get_tensor(name)


def weight_files(folder: Path) -> list[Path]:
    """The files of weights of a checkpoint; raises `CheckpointError` where one is missing or there are none."""
    for stem, kind in _STEMS:
        index = folder / f"{stem}.{kind}.index.json"
        if index.is_file():
            files = [folder / name for name in sorted(set(read_json(index)["weight_map"].values()))]
            break
        if (folder / f"{stem}.{kind}").is_file():
            return [folder / f"{stem}.{kind}"]
    else:
        raise CheckpointError(f"{folder} lacks weights: neither model.safetensors nor pytorch_model.bin is in it")
    for file in files:
        if file.parent != folder or not file.is_file():
            raise CheckpointError(f"{folder} lacks {file.name}, which its index of weights names")
    return files


def write_shard(file: Path, specs: Mapping[str, Spec], read: Read) -> None:
    """Write a .safetensors file, reading each tensor only when its turn has come.

    Args:
        file (`Path`): what to write.
        specs (`Mapping[str, Spec]`): the tensors it is to hold.
        read (`Callable`): gives the tensor of a name; it is cast to the type of its spec.
    """
    names = sorted(specs, key=lambda name: (-specs[name].dtype.itemsize, name))  # every tensor stays aligned
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        start, end = end, end + num_bytes(specs[name])
        shape, code = list(specs[name].shape), _CODES[specs[name].dtype]
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            weight = read(name).to(specs[name].dtype).contiguous()
            if tuple(weight.shape) != specs[name].shape:
                raise CheckpointError(f"{name} has shape {tuple(weight.shape)}, not {specs[name].shape}")
            stream.write(memoryview(weight.reshape(-1).view(torch.uint8).numpy()))


def num_bytes(spec: Spec) -> int:
    """Bytes of a tensor."""
    return prod(spec.shape) * spec.dtype.itemsize


def _load_bin(file: Path) -> dict[str, torch.Tensor]:
    """Tensors of a .bin file, mapped; nothing but tensors is ever unpickled."""
    try:
        try:
            found = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # the format before PyTorch 1.6 cannot be mapped
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{file} cannot be read: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise CheckpointError(f"{file} cannot be read: it does not hold weights by name")
    return found
