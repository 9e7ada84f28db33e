"""Tensors in safetensors shards, by key: each shard is written whole or not at all, and read where it lies."""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from videopath_hf.errors import UserError
from videopath_hf.files import atomic_path, content_hash

_OPEN = 16  # shards held open by each process

Tensors = dict[str, torch.Tensor]


class _Place(NamedTuple):
    shard: str
    names: tuple[str, ...]


class FeatureStore:
    """Features on disk, by key.

    Args:
        folder (`Path`): of the shards; made when the first is written. Several runs may read and write it at once.

    Raises:
        UserError: a shard is damaged; it is named.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._places: dict[str, _Place] = {}
        self._handles: OrderedDict[str, Any] = OrderedDict()
        self.refresh()

    def refresh(self) -> None:
        """Take in the shards that others have written since."""
        known = {place.shard for place in self._places.values()}
        kinds: dict[tuple[str, ...], tuple[str, ...]] = {}
        for path in sorted(self.folder.glob("features-*.safetensors")):
            if path.name in known:
                continue
            names: dict[str, list[str]] = {}
            for full in self._open(path.name).keys():  # noqa: SIM118
                key, _, name = full.partition("/")
                names.setdefault(key, []).append(name)
            for key, held in names.items():
                # The same few tuples for millions of keys.
                self._places[key] = _Place(path.name, kinds.setdefault(tuple(sorted(held)), tuple(sorted(held))))

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> Tensors:
        """What was stored under `key`; raises `KeyError` where nothing was."""
        place = self._places[key]
        shard = self._open(place.shard)
        return {name: shard.get_tensor(f"{key}/{name}") for name in place.names}

    def write(self, entries: Mapping[str, Tensors]) -> Path:
        """Write one shard, whole or not at all.

        Raises:
            OSError: the disk is full or may not be written to.
        """
        tensors = {
            f"{key}/{name}": value.contiguous() for key, held in entries.items() for name, value in held.items()
        }
        path = self.folder / f"features-{content_hash(sorted(entries))}.safetensors"
        with atomic_path(path) as temporary:
            temporary.write_bytes(save(tensors))
        self.refresh()
        return path

    def _open(self, shard: str) -> Any:
        if shard in self._handles:
            self._handles.move_to_end(shard)
            return self._handles[shard]
        path = self.folder / shard
        try:
            handle = safe_open(path, framework="pt")
        except (OSError, SafetensorError) as error:
            raise UserError(f"features in {path} cannot be read ({error}); delete it and run again") from None
        self._handles[shard] = handle
        if len(self._handles) > _OPEN:
            self._handles.popitem(last=False)
        return handle

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handles": OrderedDict()}  # open files do not travel to other processes
