"""What a stage trains on: records chosen, read once before the first step, and the ones left out named."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from videopath_hf.data.folder import read_instructions
from videopath_hf.data.media import check_media, media_paths
from videopath_hf.data.sources import check_rejects, open_source
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.files import content_hash
from videopath_hf.progress import note, track
from videopath_hf.records import InstructionRecord, RecordReject
from videopath_hf.training.collator import VideoPathCollator
from videopath_hf.training.reading import BrokenMediaError, TooLongError
from videopath_hf.training.recipe import Recipe

_SAMPLED = 1 << 16


class DroppedSample(BaseModel):
    """A record that is left out of a stage, and why."""

    id: str
    reason: str


class Survey(NamedTuple):
    """What reading every sample once found: token counts of the good ones by id, and the dropped ones."""

    lengths: dict[str, int]
    dropped: list[DroppedSample]


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
    return content_hash(list(records), [fingerprint(path) for path in paths])


def fingerprint(path: Path) -> str:
    """What a medium is known by: its size and a hash of its first and last 64 KiB."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        digest = hashlib.sha256(stream.read(_SAMPLED))
        stream.seek(max(0, size - _SAMPLED))
        digest.update(stream.read())
    return f"{size}:{digest.hexdigest()}"


def survey_samples(records: Sequence[InstructionRecord], collator: VideoPathCollator, workers: int) -> Survey:
    """Make every sample once, exactly as training will, and note the ones that cannot be used.

    A broken medium or a sample over the length budget is dropped whole; a sample without a trained token is a fault
    of the data and stops the run.

    Raises:
        SampleError: a sample has no token to train on.
    """
    from torch.utils.data import DataLoader

    measure = partial(_measure, collator)
    loader = DataLoader(list(records), batch_size=None, num_workers=workers, collate_fn=measure)
    survey = Survey({}, [])
    for record, found in zip(track(records, "Reading samples", len(records)), loader, strict=True):
        if isinstance(found, int):
            survey.lengths[record.id] = found
        else:
            survey.dropped.append(DroppedSample(id=record.id, reason=found))
    return survey


def _measure(collator: VideoPathCollator, record: InstructionRecord) -> int | str:
    try:
        return int(collator.collate([record])["attention_mask"].sum())
    except (BrokenMediaError, TooLongError) as error:
        return error.reason


def check_dropped(survey: Survey, limit: float) -> None:
    """Raise `TooManyRejectsError`, naming samples, where more than the share `limit` was dropped."""
    count, total = len(survey.dropped), len(survey.dropped) + len(survey.lengths)
    if survey.lengths and count <= limit * total:
        return
    shown = "; ".join(f"{sample.id}: {sample.reason}" for sample in survey.dropped[:5])
    more = f"; and {count - 5} more" if count > 5 else ""
    raise TooManyRejectsError(
        f"{count} of {total} samples cannot be trained on, data.max_dropped allows {limit:g} of them ({shown}{more})"
    )


def to_dataset(records: Sequence[InstructionRecord], lengths: dict[str, int]) -> Any:
    """The records as the [`~datasets.Dataset`] that [`VideoPathSFTTrainer`] takes.

    The empty column `images` is what makes TRL's trainer leave the rows to the collator: without it, videos are
    silently dropped and training goes on as text only.
    """
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "id": [record.id for record in records],
            "modality": [modality_of(record) for record in records],
            "length": [lengths[record.id] for record in records],
            "record": [record.model_dump_json() for record in records],
            "images": [[] for _ in records],
            "frames": [None for _ in records],
        }
    )


def modality_of(record: InstructionRecord) -> str:
    """`video` if a record shows one, else `image`, else `text`."""
    kinds = {media.type for media in record.media}
    return "video" if "video" in kinds else "image" if "image" in kinds else "text"
