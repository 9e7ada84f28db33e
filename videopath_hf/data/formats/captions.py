"""Pairs of an image, or a clip, and its caption: plain ones, Quilt-1M's lookup table and PathCap.

A plain pair has a medium (`image`, `video`, `image_path`, `file_name` or `path`) and words (`caption` or `text`), in
CSV, JSON or JSONL. Quilt-1M's `magnification` is 0, 1 or 2, its `split` train or val; val counts as test here.
"""

from collections.abc import Mapping
from typing import Any

from videopath_hf.data.formats.base import (
    Format,
    Origin,
    entry_id,
    inside,
    make_record,
    medium,
    only_exchange,
    rest,
    simple_messages,
    text_of,
)
from videopath_hf.records import UNKNOWN_LICENCE, InstructionRecord, Split

_PLACES = ("image", "video", "image_path", "file_name", "path")
_WORDS = ("caption", "text")
_SPLITS: dict[str, Split] = {"train": "train", "test": "test", "val": "test", "valid": "test", "validation": "test"}
_QUILT_COLUMNS = (
    "caption", "image_path", "subset", "split", "pathology", "roi_text", "noisy_text", "corrected_text",
    "med_umls_ids", "magnification", "height", "width",
)  # fmt: skip


def _pair(entry: Mapping[str, Any], origin: Origin, place: str, words: str, *beside: str) -> InstructionRecord:
    known = ("id", "split", place, words)
    path = inside(text_of(entry, place))
    media = [medium(origin.pick([path, *(f"{folder}/{path}" for folder in beside)]))]
    messages = simple_messages(media, "", text_of(entry, words))
    split = _SPLITS.get(str(entry.get("split")).lower(), origin.split)
    values = {"split": split, "kind": "caption", "extra": rest(entry, known)}
    return make_record(origin, entry_id(entry, origin), media, messages, **values)


def _plain_to_record(entry: Mapping[str, Any], origin: Origin) -> InstructionRecord:
    place = next((name for name in _PLACES if name in entry), _PLACES[0])
    words = next((name for name in _WORDS if name in entry), _WORDS[0])
    return _pair(entry, origin, place, words)


def _plain_from_record(record: InstructionRecord) -> dict[str, Any]:
    item, _, caption = only_exchange(record, "a caption pair")
    return {**record.extra, "id": record.id, item.type: item.path, "caption": caption, "split": record.split}


def _plain_recognises(entry: Mapping[str, Any]) -> bool:
    return any(name in entry for name in _PLACES) and any(name in entry for name in _WORDS)


def _quilt_to_record(entry: Mapping[str, Any], origin: Origin) -> InstructionRecord:
    return _pair(entry, origin, "image_path", "caption")


def _quilt_from_record(record: InstructionRecord) -> dict[str, Any]:
    item, _, caption = only_exchange(record, "a row of Quilt-1M")
    row = {"caption": caption, "image_path": item.path, "split": {"test": "val"}.get(record.split, record.split)}
    return {name: row.get(name, record.extra.get(name, "")) for name in _QUILT_COLUMNS}


def _pathcap_to_record(entry: Mapping[str, Any], origin: Origin) -> InstructionRecord:
    return _pair(entry, origin, "figure_fn", "caption", text_of(entry, "pmc_id", ""))


def _pathcap_from_record(record: InstructionRecord) -> dict[str, Any]:
    item, _, caption = only_exchange(record, "an entry of PathCap")
    return {"pmc_id": "", **record.extra, "caption": caption, "figure_fn": item.path}


CAPTIONS = Format(
    "captions",
    UNKNOWN_LICENCE,
    (".jsonl", ".json", ".csv"),
    _plain_to_record,
    _plain_from_record,
    _plain_recognises,
    columns=("id", "image", "video", "caption", "split"),
)
QUILT_1M = Format(
    "quilt-1m",
    "CC BY-NC-ND 3.0, and the Quilt agreement",
    (".csv",),
    _quilt_to_record,
    _quilt_from_record,
    lambda entry: {"image_path", "caption", "med_umls_ids"} <= entry.keys(),
    columns=_QUILT_COLUMNS,
)
PATHCAP = Format(
    "pathcap",
    "CC BY-NC 2.0",
    (".json", ".jsonl", ".csv"),
    _pathcap_to_record,
    _pathcap_from_record,
    lambda entry: {"figure_fn", "caption"} <= entry.keys(),
    columns=("caption", "pmc_id", "figure_fn"),
)
