"""Records for lmms-eval: of a dataset folder, or of what was published, with media as files."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videopath_hf.data.folder import INSTRUCTIONS, read_instructions
from videopath_hf.data.load import load_instruct
from videopath_hf.data.media import media_paths
from videopath_hf.errors import UserError
from videopath_hf.files import atomic_path
from videopath_hf.records import InstructionRecord, Media

VARIABLE = "VIDEOPATH_DATA"


def read_records(kind: str, split: str) -> Iterator[InstructionRecord]:
    """The records of a kind and split at the place that `VIDEOPATH_DATA` names, their media by absolute paths.

    Raises:
        UserError: the variable is not set, or nothing of the kind is there.
    """
    place = os.environ.get(VARIABLE)
    if not place:
        raise UserError(f"set {VARIABLE} to a dataset folder, to a folder with what was published, or to OWNER/NAME")
    if (Path(place) / INSTRUCTIONS).is_file():
        records = read_instructions(place, [kind], split)
        if not records:
            raise UserError(f"{place} holds no record of kind {kind} in split {split}")
        for record in records:
            paths = zip(record.media, media_paths(place, record), strict=True)
            yield record.model_copy(
                update={"media": [Media(type=medium.type, path=str(path)) for medium, path in paths]}
            )
        return
    for row in load_instruct(place, split, [kind]):
        fields = {name: value for name, value in row.items() if name in InstructionRecord.model_fields}
        media = [
            Media(type=block["type"], path=str(_file(block)))
            for message in row["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
            if block["type"] in ("image", "video")
        ]
        yield InstructionRecord(**{**fields, "split": split, "media": media, "messages": []})


def _file(block: dict[str, Any]) -> Path:
    """A published medium as a file, under the hash of its content, in the cache of the Hub."""
    if "path" in block:
        return Path(block["path"]).resolve()
    from huggingface_hub.constants import HF_HOME

    data = block[block["type"]]
    suffix = {"image": ".jpg", "video": ".mp4"}[block["type"]]
    path = Path(HF_HOME) / "videopath" / f"{hashlib.sha256(data).hexdigest()}{suffix}"
    if not path.exists():
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
    return path
