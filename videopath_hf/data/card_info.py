"""What a card tells `datasets` about published rows: features, splits and sizes."""

from collections.abc import Sequence
from typing import Any

from datasets import DatasetInfo
from datasets.info import DatasetInfosDict
from datasets.splits import SplitDict, SplitInfo
from huggingface_hub import DatasetCardData

from videopath_hf.data.publish_survey import Part
from videopath_hf.data.shards import features_of
from videopath_hf.data.table import COLUMNS, JSON_COLUMNS

COLUMN_NAMES = [name for name in COLUMNS if name not in JSON_COLUMNS]
"""The columns that are plain values."""


def dataset_info(parts: Sequence[Part], layout: str, size: int) -> list[dict[str, Any]]:
    """The card's `dataset_info`, by configuration.

    Args:
        parts (`Sequence[Part]`): what is published.
        layout (`str`): `"parquet"` or `"folder"`; the latter has one configuration, see `card.configs`.
        size (`int`): bytes of all data files.
    """
    types = list(dict.fromkeys(part.media_type for part in parts))
    shown = types if layout == "parquet" else types[:1]
    infos = {}
    total = sum(part.bytes for part in parts)
    for media_type in shown:
        own = [part for part in parts if part.media_type == media_type]
        held = sum(part.bytes for part in own)
        splits = SplitDict({part.split: SplitInfo(part.split, part.bytes, len(part.offsets)) for part in own})
        alone = layout == "folder" and len(types) == 1
        infos["default" if media_type == "video" or alone else "images"] = DatasetInfo(
            features=features_of(media_type),
            splits=splits,
            dataset_size=held,
            download_size=size * held // total,
        )
    card = DatasetCardData()
    DatasetInfosDict(infos).to_dataset_card_data(card)
    found = card["dataset_info"]
    return list(found) if isinstance(found, list) else [found]
