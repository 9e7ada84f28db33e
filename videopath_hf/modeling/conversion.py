"""Checkpoints from one layout to another: other names for the same weights, nothing computed anew.

One tensor is read and written at a time. Before anything is written the weights are held against a model of the
settings on the meta device: unless each is found, in its shape, and none is left over, there is no output.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from videopath_hf.errors import UserError
from videopath_hf.files import atomic_dir, file_sha256, read_json, write_json
from videopath_hf.modeling.adapters import ReferenceAdapter
from videopath_hf.modeling.checks_videopath_llava import CheckpointError
from videopath_hf.modeling.conversion_report import REPORT, Conversion
from videopath_hf.modeling.layouts import LAYOUTS, Layout, name_in
from videopath_hf.modeling.loading import quiet_transformers, resolve_checkpoint
from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration
from videopath_hf.modeling.reference_settings import reference_export
from videopath_hf.modeling.shards import Read, Spec, num_bytes, write_shard
from videopath_hf.modeling.sources import Source, open_source
from videopath_hf.modeling.stock_settings import NOTES, save_stock, stock_config

_NEWLINE = "model.image_newline"
_DTYPES = ("float32", "bfloat16", "float16")
_NOT_SETTINGS = ("_name_or_path", "transformers_version", "architectures", "model_type", "torch_dtype", "dtype")


def convert(
    src: str | Path,
    dst: str | Path,
    layout: Layout = "videopath",
    base: str | Path | None = None,
    merge: bool = True,
    dtype: str | None = None,
    vision_config: Mapping[str, Any] | None = None,
) -> Conversion:
    """Write a checkpoint in another layout, or one that an adapter or a projector was laid over.

    Args:
        src (`str` or `Path`): a checkpoint in any of the three layouts (folder or Hub id; safetensors or .bin files),
            the published implementation's LoRA output, or its alignment stage's mm_projector file or folder.
        dst (`str` or `Path`): folder to write; it may exist if it is empty or an earlier result.
        layout (`str`, defaults to `"videopath"`): `"videopath"`; `"llava_onevision"`, which opens without our code;
            or `"llava_next"`, the published implementation's.
        base (`str` or `Path`, *optional*): the checkpoint an adapter or projector belongs to, in any layout; for an
            adapter, the one its adapter_config.json names by default.
        merge (`bool`, defaults to `True`): whether low-rank weights are merged, in float32; else the result has them
            in the folder `adapter`, for PEFT, beside the base with what else was trained.
        dtype (`str`, *optional*): type of all weights of the result; by default each keeps its own.
        vision_config (`Mapping`, *optional*): configuration of the vision tower as its own repository has it, for a
            tower that is neither SigLIP so400m/14 at 384 pixels nor described in the folder vision_tower_config.

    Returns:
        [`Conversion`]

    Raises:
        CheckpointError: for another kind of checkpoint, settings without a counterpart, or weights that do not fit.
    """
    if layout not in LAYOUTS:
        raise UserError(f"layout is {layout!r}; accepted are {', '.join(LAYOUTS)}")
    if dtype is not None and dtype not in _DTYPES:
        raise UserError(f"dtype is {dtype!r}; accepted are {', '.join(_DTYPES)}")
    dst = Path(dst)
    _check_target(dst)
    folder, adapter = _open_parts(src, base)
    if not merge and (adapter is None or not adapter.low_rank or layout != "videopath"):
        raise UserError("merge=False is for LoRA output and the layout videopath: there is nothing to keep apart here")
    if dst.resolve() == folder.resolve():
        raise UserError(f"{dst} is the checkpoint to be converted; give another folder to write")
    source = open_source(folder, adapter, vision_config)
    _check_settings(source, layout)
    plan = _Plan(source, adapter, layout, merge, getattr(torch, dtype) if dtype else None)
    with atomic_dir(dst) as out, quiet_transformers():
        plan.write_weights(out)
        report = plan.report()
        source.config.dtype = getattr(torch, report.dtype)
        _save_settings(out, source, layout)
        if adapter is not None and not merge:
            adapter.write(out / "adapter", dst)
        write_json(out / REPORT, report.model_dump(mode="json"))
    return report


def convert_reference(
    src: str | Path, dst: str | Path, adapter: str | Path | None = None, vision_config: Mapping[str, Any] | None = None
) -> Path:
    """[`convert`] of a checkpoint, with an adapter made on it merged, to our layout; returns `dst`."""
    convert(adapter or src, dst, base=src if adapter else None, vision_config=vision_config)
    return Path(dst)


def _check_target(dst: Path) -> None:
    if dst.exists() and not dst.is_dir():
        raise UserError(f"{dst} is a file; give a folder to write")
    if dst.is_dir() and any(dst.iterdir()) and not (dst / REPORT).is_file():
        raise UserError(f"{dst} is neither empty nor the result of an earlier conversion; give another folder")


def _check_settings(source: Source, layout: Layout) -> None:
    """Raise `CheckpointError`, before anything is written, where the layout cannot express the source's settings."""
    if layout == "llava_onevision":
        stock_config(source.folder, source.config)
    elif layout == "llava_next":
        reference_export(source.folder, source.config)


def _open_parts(src: str | Path, base: str | Path | None) -> tuple[Path, ReferenceAdapter | None]:
    """The checkpoint to read and what is to be laid over it."""
    path = Path(src)
    projector = _projector_file(path)
    if projector is not None:
        if base is None:
            raise UserError(f"{projector} is a projector alone; name the checkpoint it belongs to as base")
        return resolve_checkpoint(base), ReferenceAdapter.open_projector(projector)
    if (path / "adapter_config.json").is_file():
        adapter = ReferenceAdapter.open(path)
        named = base or adapter.settings.get("base_model_name_or_path")
        if named is None:
            raise UserError(f"{path} is an adapter and does not name its base; give it as base")
        return resolve_checkpoint(named), adapter
    if base is not None:
        raise UserError(f"{path} is not an adapter or a projector, so it has no base; leave base out")
    return resolve_checkpoint(src), None


def _projector_file(path: Path) -> Path | None:
    """The file itself, or the one in a folder that holds nothing but a projector."""
    if path.is_file():
        return path
    if any(path.glob("model*.safetensors")) or any(path.glob("pytorch_model*.bin")):
        return None
    return next((file for kind in ("bin", "safetensors") if (file := path / f"mm_projector.{kind}").is_file()), None)


class _Plan:
    """Which weight goes where."""

    def __init__(
        self,
        source: Source,
        adapter: ReferenceAdapter | None,
        layout: Layout,
        merge: bool,
        dtype: torch.dtype | None,
    ) -> None:
        self.source, self.adapter, self.layout, self.merge, self.dtype = source, adapter, layout, merge, dtype
        self.dropped, self.added = dict(source.dropped), dict(source.added)
        if layout == "llava_next" and source.config.patch_merge_type == "flat" and self._newline_is_unused():
            # Theirs makes this weight only where images are unpadded.
            name = next(name for name, ours in source.ours.items() if ours == _NEWLINE)
            self.dropped[name] = "zeros; patch_merge_type is flat, so it is never used"
        if layout == "llava_next":
            self.added.pop(_NEWLINE, None)
        self.mapped = {name: name_in(layout, ours) for name, ours in source.ours.items() if name not in self.dropped}
        self.written: dict[str, Spec] = {}

    def _newline_is_unused(self) -> bool:
        for shard in self.source.shards:
            for name in shard.specs:
                if self.source.ours.get(name) == _NEWLINE:
                    with shard.open() as read:
                        return not read(name).any()
        return False

    def spec(self, name: str, spec: Spec) -> Spec:
        if self.adapter is not None:
            spec = self.adapter.spec(self.source.ours[name], spec, self.merge)
        return Spec(spec.shape, self.dtype) if self.dtype and spec.dtype.is_floating_point else spec

    def write_weights(self, out: Path) -> None:
        """Write one file of weights for each of the source's, and their index if there are several."""
        shards = [shard for shard in self.source.shards if any(name in self.mapped for name in shard.specs)]
        weight_map = {}
        for number, shard in enumerate(shards, start=1):
            one = len(shards) == 1
            file = "model.safetensors" if one else f"model-{number:05}-of-{len(shards):05}.safetensors"
            theirs = {self.mapped[name]: name for name in shard.specs if name in self.mapped}
            specs = {target: self.spec(name, shard.specs[name]) for target, name in theirs.items()}
            if number == len(shards):
                specs |= self._added_specs()
            with shard.open() as read:
                write_shard(out / file, specs, partial(self._read, theirs, read))
            weight_map.update(dict.fromkeys(specs, file))
            self.written |= specs
        if len(shards) > 1:
            index = {"metadata": {"total_size": self._bytes()}, "weight_map": weight_map}
            write_json(out / "model.safetensors.index.json", index)

    def _read(self, theirs: dict[str, str], read: Read, target: str) -> torch.Tensor:
        """The weight of that name in the result; one the source lacks is zeros."""
        if target not in theirs:
            spec = self._added_specs()[target]
            return torch.zeros(spec.shape, dtype=spec.dtype)
        weight = read(theirs[target])
        if self.adapter is None:
            return weight
        return self.adapter.apply(self.source.ours[theirs[target]], weight, self.merge)

    def _added_specs(self) -> dict[str, Spec]:
        like = self.source.specs["model.multi_modal_projector.linear_2.bias"]
        return {name_in(self.layout, name): Spec(like.shape, self.dtype or like.dtype) for name in self.added}

    def _bytes(self) -> int:
        return sum(num_bytes(spec) for spec in self.written.values())

    def report(self) -> Conversion:
        """What was done, after the weights were written."""
        kinds: dict[str, int] = {}
        for spec in self.written.values():
            kind = str(spec.dtype).removeprefix("torch.")
            kinds[kind] = kinds.get(kind, 0) + 1
        files = [shard.file for shard in self.source.shards] + (self.adapter.files if self.adapter else [])
        return Conversion(
            source=str(self.source.folder),
            source_layout=self.source.layout,
            source_settings=self.source.settings,
            adapter=None if self.adapter is None else str(self.adapter.folder),
            merged=self.adapter is not None and bool(self.adapter.low_rank) and self.merge,
            layout=self.layout,
            sha256={f"{file.parent.name}/{file.name}": file_sha256(file) for file in files},
            mapped=self.mapped,
            dropped=self.dropped,
            added={name_in(self.layout, name): why for name, why in self.added.items()},
            shapes={name: list(spec.shape) for name, spec in sorted(self.written.items())},
            dtypes=kinds,
            dtype=next(iter(kinds)) if len(kinds) == 1 else "float32",
            bytes=self._bytes(),
            notes=list(NOTES) if self.layout == "llava_onevision" else [],
        )


def _save_settings(out: Path, source: Source, layout: Layout) -> None:
    """Write configuration, generation settings, tokenizer and processor in the result's layout."""
    processor, config = source.processor, source.config
    source.generation.save_pretrained(out)
    if layout == "videopath":
        config.architectures = [VideoPathLlavaForConditionalGeneration.__name__]
        config.save_pretrained(out)
        processor.save_pretrained(out)
    elif layout == "llava_onevision":
        save_stock(out, stock_config(source.folder, config), processor)
    else:
        _save_reference(out, source)


def _save_reference(out: Path, source: Source) -> None:
    settings, tower = reference_export(source.folder, source.config)
    generation = source.generation.to_diff_dict()
    generation.pop("suppress_tokens", None)  # theirs cuts the head off at the tokenizer's end
    write_json(out / "generation_config.json", generation)
    write_json(out / "config.json", {**_kept_settings(source), **settings})
    source.processor.tokenizer.save_pretrained(out)
    (out / "vision_tower_config").mkdir()
    write_json(out / "vision_tower_config" / "config.json", tower)
    write_json(
        out / "vision_tower_config" / "preprocessor_config.json",
        {
            "image_processor_type": "SiglipImageProcessor",
            "size": {"height": tower["image_size"], "width": tower["image_size"]},
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "resample": 3,
        },
    )


def _kept_settings(source: Source) -> dict[str, Any]:
    """What else the published implementation had set, where the source was once converted from it."""
    earlier = source.folder / REPORT
    theirs = source.settings if source.layout == "llava_next" else {}
    if source.layout != "llava_next" and earlier.is_file():
        found = read_json(earlier)
        theirs = found["source_settings"] if found.get("source_layout") == "llava_next" else {}
    return {key: value for key, value in theirs.items() if key not in _NOT_SETTINGS}


__all__ = ["REPORT", "CheckpointError", "Conversion", "convert", "convert_reference"]
