"""What a stage trains on: records chosen, read once before the first step, and the ones left out named."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from videopath_hf.data.folder import read_instructions
from videopath_hf.data.media import check_media, media_paths
from videopath_hf.data.sources import check_rejects, open_source
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.files import content_hash
from videopath_hf.progress import note, track
from videopath_hf.records import InstructionRecord, RecordReject
from videopath_hf.training.collator import VideoPathCollator
from videopath_hf.training.lengths import Measure
from videopath_hf.training.reading import SampleError
from videopath_hf.training.recipe import Recipe

_SAMPLED = 1 << 16
_WORTH_WORKERS = 2000
"""Samples from which on it pays to start processes that read headers."""


class DroppedSample(BaseModel):
    """A record that is left out of a stage, and why; `length` in tokens where it is known."""

    id: str
    reason: str
    length: int | None = None


class FewerFrames(BaseModel):
    """A record of which at most `frames` frames are taken: it then has `length` tokens instead of `whole`."""

    id: str
    frames: int
    length: int
    whole: int


class Survey(BaseModel):
    """What the headers of all samples say, before the first step.

    Args:
        lengths (`dict[str, int]`): tokens of each sample that is trained on, by id.
        most_tiles (`int`): most tiles and frames that one of them shows.
        fewer (`list[FewerFrames]`): the ones of which fewer frames are taken.
        dropped (`list[DroppedSample]`): the ones that are left out.
    """

    lengths: dict[str, int] = {}
    most_tiles: int = 0
    fewer: list[FewerFrames] = []
    dropped: list[DroppedSample] = []


def choose_records(recipe: Recipe, path: Path) -> list[InstructionRecord]:
    """The records of the recipe's kinds, split and share.

    Raises:
        UserError: there are none, or media are missing.
        TooManyRejectsError: of a file of records, more entries than `data.max_dropped` make no record.
    """
    if path.is_file():
        records = _read_file(recipe, path)
    else:
        records = read_instructions(path, recipe.data.kinds, recipe.data.split)
    if not records:
        kinds = ", ".join(recipe.data.kinds)
        raise UserError(f"{path} holds no record of kind {kinds} in split {recipe.data.split}: nothing to train on")
    count = math.ceil(recipe.data.fraction * len(records))
    ranked = sorted(records, key=lambda record: _rank(record.id, recipe.optimisation.seed))
    chosen = {record.id for record in ranked[:count]}
    return [record for record in records if record.id in chosen]


def media_root(recipe: Recipe, path: Path) -> Path:
    """The folder that the media paths of the records at `path` are relative to."""
    return recipe.data.media or (path.parent if path.is_file() else path)


def _read_file(recipe: Recipe, path: Path) -> list[InstructionRecord]:
    root = media_root(recipe, path)
    if path.suffix.lower() == ".zip":
        raise UserError(f"{path} cannot be trained on as it is; unpack it with `videopath data convert`")
    source = open_source(path, media=[root], seed=recipe.optimisation.seed)
    records = []
    total = 0
    reasons: Counter[str] = Counter()
    for item in track(source.read(), "Reading records"):
        total += 1
        if isinstance(item, RecordReject):
            reasons[f"{item.file}, {item.where}: {item.reason}"] += 1
        elif item.kind in recipe.data.kinds and item.split == recipe.data.split:
            records.append(item)
    if reasons:
        note(f"{sum(reasons.values())} entries of {path} make no record; `videopath data check` lists them")
    check_rejects(sum(reasons.values()), total, recipe.data.max_dropped, reasons, "data.max_dropped is the limit")
    check_media(root, records)
    return records


def _rank(record_id: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{record_id}".encode()).hexdigest()


def data_hash(records: Sequence[InstructionRecord], root: Path) -> str:
    """Hash of the records and of their media: size, first and last 64 KiB of each file."""
    paths = sorted({path for record in records for path in media_paths(root, record)})
    return content_hash(list(records), [_fingerprint(path) for path in paths])


def _fingerprint(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as stream:
        digest = hashlib.sha256(stream.read(_SAMPLED))
        stream.seek(max(0, size - _SAMPLED))
        digest.update(stream.read())
    return f"{size}:{digest.hexdigest()}"


def survey_samples(
    records: Sequence[InstructionRecord], collator: VideoPathCollator, workers: int, fewer_frames: bool = False
) -> Survey:
    """Measure every sample from the headers of its media: nothing is decoded before it is trained on.

    A file that is no image or video and a sample over the length budget are left out whole, the latter only where no
    number of frames fits, with `fewer_frames`. A sample without a trained token is a fault of the data and stops the
    run. Media that turn out to be broken later are left out then, see [`VideoPathCollator`].

    Raises:
        SampleError: a sample has no token to train on.
    """
    from torch.utils.data import DataLoader

    measure = Measure(collator, fewer_frames)
    workers = workers if len(records) >= _WORTH_WORKERS else 0
    context = worker_context(workers)
    loader = DataLoader(
        list(records), batch_size=None, num_workers=workers, collate_fn=measure, multiprocessing_context=context
    )
    survey = Survey()
    for record, found in zip(track(records, "Measuring samples", len(records)), loader, strict=True):
        if found.fault is not None:
            raise SampleError(record.id, found.fault)
        if found.dropped is not None:
            survey.dropped.append(DroppedSample(id=record.id, reason=found.dropped, length=found.tokens or None))
            continue
        survey.lengths[record.id] = found.tokens
        survey.most_tiles = max(survey.most_tiles, found.tiles)
        if found.frames is not None:
            survey.fewer.append(FewerFrames(id=record.id, frames=found.frames, length=found.tokens, whole=found.whole))
    return survey


def worker_context(workers: int) -> str | None:
    """How worker processes are started: anew, since one forked from a process that has decoded a video may hang."""
    return "spawn" if workers else None


def check_dropped(dropped: Sequence[DroppedSample], total: int, limit: float) -> None:
    """Raise `TooManyRejectsError`, naming samples, where more than the share `limit` of `total` was dropped."""
    count = len(dropped)
    if count < total and count <= limit * total:
        return
    shown = "; ".join(f"{sample.id}: {sample.reason}" for sample in dropped[:5])
    more = f"; and {count - 5} more" if count > 5 else ""
    lengths = [sample.length for sample in dropped if sample.length is not None]
    hint = f": max_length would have to be {min(lengths)} for the shortest of them" if lengths else ""
    raise TooManyRejectsError(
        f"{count} of {total} samples cannot be trained on, data.max_dropped allows {limit:g} of them "
        f"({shown}{more}){hint}"
    )


def to_dataset(records: Sequence[InstructionRecord], survey: Survey) -> Any:
    """The records that `survey` has a length of, as the [`~datasets.Dataset`] that [`VideoPathSFTTrainer`] takes.

    The empty column `images` is what makes TRL's trainer leave the rows to the collator: without it, videos are
    silently dropped and training goes on as text only.
    """
    from datasets import Dataset

    records = [record for record in records if record.id in survey.lengths]
    frames = {sample.id: sample.frames for sample in survey.fewer}
    return Dataset.from_dict(
        {
            "id": [record.id for record in records],
            "modality": [modality_of(record) for record in records],
            "length": [survey.lengths[record.id] for record in records],
            "record": [record.model_dump_json() for record in records],
            "frames": [frames.get(record.id) for record in records],
            "images": [[] for _ in records],
        }
    )


def modality_of(record: InstructionRecord) -> str:
    """`video` if a record shows one, else `image`, else `text`."""
    kinds = {media.type for media in record.media}
    return "video" if "video" in kinds else "image" if "image" in kinds else "text"
