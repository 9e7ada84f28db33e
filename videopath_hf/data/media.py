"""Media of instruction records: where they lie, and whether they are there."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from videopath_hf.data.scratch import Seen
from videopath_hf.errors import UserError
from videopath_hf.files import resolve_inside
from videopath_hf.records import InstructionRecord


def media_paths(root: str | Path, record: InstructionRecord) -> list[Path]:
    """Absolute paths of a record's media; raises `UserError` for a path that leads out of `root`."""
    return [resolve_inside(root, media.path) for media in record.media]


def check_media(root: str | Path, records: Iterable[InstructionRecord]) -> None:
    """Raise `UserError` naming the media that are absent or empty and the records that need them."""
    needed = Seen()
    absent: list[tuple[str, str]] = []
    for record in records:
        for media, path in zip(record.media, media_paths(root, record), strict=True):
            if needed.add(str(path)) and (not path.is_file() or path.stat().st_size == 0):
                absent.append((media.path, record.id))
    if absent:
        shown = ", ".join(f"{path} (record {record})" for path, record in absent[:5])
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        raise UserError(
            f"{len(absent)} of {needed.count} media files are missing or empty in {root}: {shown}{more}; "
            "restore them or write the dataset again with `videopath instruct`"
        )


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link a file, or copy it where the file system cannot link."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
