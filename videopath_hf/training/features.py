"""Features of a frozen vision tower, computed once: every later epoch, stage and run reads them instead of pixels.

A record's features are known by the tower's weights and what is taken from it, by the content of the record's media,
by the frames taken and by how they are made into pixels: anything else has another key, so nothing stale is ever read.
They lie in safetensors shards that are written aside and renamed: what a kill leaves behind is whole, and goes on.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from videopath_hf.data.media import media_paths
from videopath_hf.files import content_hash
from videopath_hf.progress import note, track
from videopath_hf.records import InstructionRecord
from videopath_hf.training.collator import VideoPathCollator
from videopath_hf.training.encoded import PIXELS, VIDEO_PIXELS, Media, SampleCache, visual_tokens
from videopath_hf.training.feature_store import FeatureStore, Tensors
from videopath_hf.training.reading import BrokenMediaError, clip_metadata
from videopath_hf.training.samples import Survey, fingerprint
from videopath_hf.training.workers import worker_options

SHARD_BYTES = 128_000_000
"""Features gathered in memory before they are written as one shard."""
_VERSION = 1  # of what is stored; raise it where the same key would stand for something else
_TILES = 32  # that the tower sees at once


class FeatureCollator(VideoPathCollator):
    """A [`VideoPathCollator`] whose batches carry stored features in place of pixels.

    The tensors keep their names: `pixel_values` [images, tiles, 1, tokens, dim] in place of [images, tiles, 3, S, S],
    and so for videos; the model tells them by their single channel. A batch with a record that has no features (of
    another split, say) is made of pixels as a whole.

    Args:
        collator ([`VideoPathCollator`]): how batches of pixels are made.
        store ([`FeatureStore`]): the features.
        identity (`str`): hash of the tower and of what is taken from it, see [`tower_identity`].
    """

    def __init__(self, collator: VideoPathCollator, store: FeatureStore, identity: str) -> None:
        self.__dict__.update(collator.__dict__)
        self.pixels = collator
        self.cache = SampleCache(collator.cache.capacity)
        self.store = store
        self.identity = content_hash(_VERSION, identity, _preprocessing(collator))

    def key(self, record: InstructionRecord, frames: int | None = None) -> str | None:
        """What a record's features are stored under; None for a record without media."""
        if not record.media:
            return None
        paths = media_paths(self.root, record)
        shown = [(media.type, fingerprint(path)) for media, path in zip(record.media, paths, strict=True)]
        return content_hash(self.identity, shown, self.image_options(record), frames or self.num_frames)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """As [`VideoPathCollator`], with features in place of pixels where all rows have them."""
        records = [(InstructionRecord.model_validate_json(row["record"]), row["frames"]) for row in rows]
        return super().__call__(rows) if self._stored(records) else self.pixels(rows)

    def collate(self, records: Sequence[InstructionRecord]) -> dict[str, Any]:
        """As [`VideoPathCollator.collate`], with features in place of pixels where all records have them."""
        stored = self._stored([(record, None) for record in records])
        return super().collate(records) if stored else self.pixels.collate(records)

    def _stored(self, records: Iterable[tuple[InstructionRecord, int | None]]) -> bool:
        keys = [self.key(record, frames) for record, frames in records]
        return all(key is None or key in self.store for key in keys)

    def show(self, record: InstructionRecord, frames: int) -> Media:
        """The stored features of what a record shows: no file is decoded."""
        key = self.key(record, frames)
        stored = self.store.get(key) if key is not None else {}
        clips = []
        if self.time_sentence:
            clips = [
                clip_metadata(record.id, path, frames, self.strategy, self.video_fps)
                for kind, path in self.media(record)
                if kind == "video"
            ]
        layout = self.processor.layout(**self.image_options(record))
        return Media({}, stored, visual_tokens(stored, layout), clips)


def _preprocessing(collator: VideoPathCollator) -> list[Any]:
    """Everything between a file and the tower's input."""
    processor = collator.processor
    parts = [processor.image_processor.to_dict(), processor.video_processor.to_dict()]
    return [*parts, collator.strategy, collator.video_fps]


def tower_identity(model: Any, dtype: torch.dtype) -> str:
    """Hash of a model's vision tower: its weights and configuration, the layer taken, and the type kept on disk."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.model.vision_tower.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    config = model.config
    taken = (config.vision_feature_layer, config.vision_feature_select_strategy)
    return content_hash(digest.hexdigest(), config.vision_config.to_dict(), taken, str(dtype))


def store_features(
    model: Any,
    collator: VideoPathCollator,
    records: Sequence[InstructionRecord],
    survey: Survey,
    folder: Path,
    config: Any,
) -> FeatureCollator:
    """Compute the features that `folder` does not hold yet, and return the collator that reads them.

    Records that share their media share their features. Media that turn out to be broken have none: training meets
    them again, and puts their samples into quarantine. Under a launcher every rank computes a share. Kept is float32,
    or bfloat16 in a run of bfloat16 autocast, where the projector rounds its input to that anyway.

    Args:
        model ([`VideoPathLlavaForConditionalGeneration`]): before any adapters; its tower must be frozen in training.
        collator ([`VideoPathCollator`]): makes the pixels.
        records (`Sequence[InstructionRecord]`): the records of the stage.
        survey ([`Survey`]): which of them are trained on, and with how many frames.
        folder (`Path`): of the [`FeatureStore`].
        config ([`VideoPathSFTConfig`]): device, bfloat16, processes that decode ahead, and ranks.

    Raises:
        UserError: a shard in `folder` is damaged.
        OSError: the disk is full or may not be written to.
    """
    dtype = torch.bfloat16 if config.bf16 else torch.float32
    store = FeatureStore(folder)
    features = FeatureCollator(collator, store, tower_identity(model, dtype))
    frames = {sample.id: sample.frames for sample in survey.fewer}
    pending: dict[str, _Sample] = {}
    for record in records:
        if record.id not in survey.lengths:
            continue
        key = features.key(record, frames.get(record.id))
        if key is not None and key not in store:
            pending.setdefault(key, _Sample(key, record, frames.get(record.id)))
    mine = list(pending.values())[config.process_index :: config.world_size]
    if mine:
        note(f"Vision features of {len(mine)} samples are computed once and kept in {folder}")
        _compute(model, collator, mine, store, dtype, config)
    config.distributed_state.wait_for_everyone()
    store.refresh()
    return features


class _Sample(NamedTuple):
    key: str
    record: InstructionRecord
    frames: int | None


def _compute(
    model: Any,
    collator: VideoPathCollator,
    pending: Sequence[_Sample],
    store: FeatureStore,
    dtype: torch.dtype,
    config: Any,
) -> None:
    from torch.utils.data import DataLoader

    options = worker_options(config.dataloader_num_workers)
    loader = DataLoader(pending, batch_size=None, collate_fn=partial(_pixels, collator), **options)
    model.model.vision_tower.to(config.device)  # a quantized decoder stays where it is
    training = model.training
    model.eval()
    entries: dict[str, Tensors] = {}
    size = 0
    for key, sample in track(loader, "Computing vision features", len(pending)):
        if sample is None:
            continue
        with torch.inference_mode(), torch.autocast(config.device.type, torch.bfloat16, enabled=config.bf16):
            entries[key] = {
                name: _features(model, value, dtype) if name in (PIXELS, VIDEO_PIXELS) else value
                for name, value in sample.items()
            }
        size += sum(value.nbytes for value in entries[key].values())
        if size >= SHARD_BYTES:
            store.write(entries)
            entries, size = {}, 0
    if entries:
        store.write(entries)
    model.train(training)


def _pixels(collator: VideoPathCollator, sample: _Sample) -> tuple[str, Tensors | None]:
    try:
        media = collator.show(sample.record, sample.frames or collator.num_frames)
    except BrokenMediaError:
        return sample.key, None
    return sample.key, collator.inputs([media])


def _features(model: Any, pixels: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Features [media, tiles, 1, tokens, dim] of pixel values [media, tiles, 3, S, S]."""
    media, tiles = pixels.shape[:2]
    parts: Iterable[torch.Tensor] = pixels.flatten(0, 1).split(_TILES)
    seen = [model.model.tower_features(part.to(model.model.vision_tower.device))[0].to("cpu", dtype) for part in parts]
    return torch.cat(seen).unflatten(0, (media, tiles)).unsqueeze(2)
