"""What a stage trains on: records chosen, read once before the first step, and the ones left out named."""

import hashlib
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from videopath_hf.data.media import check_media, media_paths
from videopath_hf.data.scratch import Seen
from videopath_hf.data.sources import check_rejects, open_source
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.files import atomic_path
from videopath_hf.progress import note, track
from videopath_hf.records import InstructionRecord, RecordReject
from videopath_hf.training.collator import VideoPathCollator
from videopath_hf.training.lengths import Measure
from videopath_hf.training.reading import SampleError
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.stored import StoredRecords, spool, stored_records
from videopath_hf.training.workers import worker_options

_SAMPLED = 1 << 16
_NAMED_SOURCES = 100  # in run.json
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


def choose_records(recipe: Recipe, path: Path) -> StoredRecords:
    """The records of the recipe's kinds, split and share; they stay on disk.

    Raises:
        UserError: there are none, or media are missing.
        TooManyRejectsError: of a file of records, more entries than `data.max_dropped` make no record.
    """
    if path.is_file():
        records = _read_file(recipe, path)
    else:
        records = stored_records(path, recipe.data.kinds, recipe.data.split)
    if not records:
        kinds = ", ".join(recipe.data.kinds)
        raise UserError(f"{path} holds no record of kind {kinds} in split {recipe.data.split}: nothing to train on")
    if recipe.data.fraction == 1:
        return records
    count = math.ceil(recipe.data.fraction * len(records))
    ranks = array("Q", (_rank(record.id, recipe.optimisation.seed) for record in records))
    return records.choose(sorted(sorted(range(len(ranks)), key=ranks.__getitem__)[:count]))


def media_root(recipe: Recipe, path: Path) -> Path:
    """The folder that the media paths of the records at `path` are relative to."""
    return recipe.data.media or (path.parent if path.is_file() else path)


def _read_file(recipe: Recipe, path: Path) -> StoredRecords:
    root = media_root(recipe, path)
    if path.suffix.lower() == ".zip":
        raise UserError(f"{path} cannot be trained on as it is; unpack it with `videopath data convert`")
    source = open_source(path, media=[root], seed=recipe.optimisation.seed)
    total = 0
    reasons: Counter[str] = Counter()

    def wanted() -> Iterator[InstructionRecord]:
        nonlocal total
        for item in track(source.read(), "Reading records"):
            total += 1
            if isinstance(item, RecordReject):
                reasons[f"{item.file}, {item.where}: {item.reason}"] += 1
            elif item.kind in recipe.data.kinds and item.split == recipe.data.split:
                yield item

    records = spool(wanted())
    if reasons:
        note(f"{sum(reasons.values())} entries of {path} make no record; `videopath data check` lists them")
    check_rejects(sum(reasons.values()), total, recipe.data.max_dropped, reasons, "data.max_dropped is the limit")
    check_media(root, records)
    return records


def _rank(record_id: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{record_id}".encode()).digest()[:8], "big")


def data_hash(records: Iterable[InstructionRecord], root: Path) -> str:
    """Hash of the records and of their media: size, first and last 64 KiB of each file."""
    digest = hashlib.sha256()
    seen = Seen()
    for record in records:
        digest.update(record.model_dump_json().encode(errors="surrogatepass"))
        for path in media_paths(root, record):
            if seen.add(str(path)):
                digest.update(fingerprint(path).encode())
    return digest.hexdigest()[:16]


def origins(records: Iterable[InstructionRecord]) -> dict[str, Any]:
    """Where records are from: how many of them under each licence, and of the most frequent sources."""
    licences: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    for record in records:
        licences[record.licence] += 1
        sources[record.source] += 1
    named = dict(sources.most_common(_NAMED_SOURCES))
    return {"licences": dict(licences), "sources": named, "source_count": len(sources)}


def fingerprint(path: Path) -> str:
    """What a medium is known by: its size and a hash of its first and last 64 KiB."""
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
    options = worker_options(workers if len(records) >= _WORTH_WORKERS else 0)
    dataset: Any = records  # read where they lie, by the processes that measure them
    loader = DataLoader(dataset, batch_size=None, collate_fn=measure, **options)
    survey = Survey()
    for found in track(loader, "Measuring samples", len(records)):
        if found.fault is not None:
            raise SampleError(found.id, found.fault)
        if found.dropped is not None:
            survey.dropped.append(DroppedSample(id=found.id, reason=found.dropped, length=found.tokens or None))
            continue
        survey.lengths[found.id] = found.tokens
        survey.most_tiles = max(survey.most_tiles, found.tiles)
        if found.frames is not None:
            survey.fewer.append(FewerFrames(id=found.id, frames=found.frames, length=found.tokens, whole=found.whole))
    return survey


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


def to_dataset(records: Iterable[InstructionRecord], survey: Survey, path: Path | None = None) -> Any:
    """The records that `survey` has a length of, as the [`~datasets.Dataset`] that [`VideoPathSFTTrainer`] takes.

    The empty column `images` is what makes TRL's trainer leave the rows to the collator: without it, videos are
    silently dropped and training goes on as text only. With `path` the rows lie in that Arrow file, which is mapped
    into memory and so takes none; without it they are held.
    """
    from datasets import Dataset, Features, List, Value
    from datasets.arrow_writer import ArrowWriter

    kinds = {"id": "string", "modality": "string", "length": "int64", "record": "string", "frames": "int64"}
    features = Features({**{name: Value(kind) for name, kind in kinds.items()}, "images": List(Value("null"))})
    frames = {sample.id: sample.frames for sample in survey.fewer}
    rows: Iterator[dict[str, Any]] = (
        {
            "id": record.id,
            "modality": modality_of(record),
            "length": survey.lengths[record.id],
            "record": record.model_dump_json(),
            "frames": frames.get(record.id),
            "images": [],
        }
        for record in records
        if record.id in survey.lengths
    )
    if path is None:
        return Dataset.from_list(list(rows), features=features)
    with atomic_path(path) as temporary, ArrowWriter(features=features, path=str(temporary)) as writer:
        for row in rows:
            writer.write(row)
        writer.finalize()
    return Dataset.from_file(str(path))


def modality_of(record: InstructionRecord) -> str:
    """`video` if a record shows one, else `image`, else `text`."""
    kinds = {media.type for media in record.media}
    return "video" if "video" in kinds else "image" if "image" in kinds else "text"
