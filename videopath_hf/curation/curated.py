"""A curated folder, read back: its clips, each knowing where its files lie."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from videopath_hf.errors import UserError
from videopath_hf.files import read_records
from videopath_hf.records import ClipRecord

CLIPS = "clips.jsonl"


class Clips(Sequence[ClipRecord]):
    """The clips of a curated folder, in order; a notebook shows the first of them.

    Args:
        folder (`Path`): the curated folder.
        records (`Sequence[ClipRecord]`): its clips.
    """

    def __init__(self, folder: Path, records: Sequence[ClipRecord]) -> None:
        self.folder = folder
        self._records = records

    @overload
    def __getitem__(self, place: int) -> ClipRecord: ...

    @overload
    def __getitem__(self, place: slice) -> "Clips": ...

    def __getitem__(self, place: int | slice) -> "ClipRecord | Clips":
        if isinstance(place, slice):
            return Clips(self.folder, self._records[place])
        return self._records[place]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[ClipRecord]:
        return iter(self._records)

    def __repr__(self) -> str:
        return f"Clips({str(self.folder)!r}, {len(self)} clips)"

    def _repr_html_(self) -> str:
        from videopath_hf.reporting.cards import clip_list

        return clip_list(self._records, self.folder)


def load_clips(folder: str | Path) -> Clips:
    """The clips of a folder that `videopath curate` wrote.

    Args:
        folder (`str` or `Path`): the curated folder.

    Returns:
        `Clips`: [`~videopath_hf.records.ClipRecord`] in order; in a notebook, each shows itself with its key frames.

    Raises:
        UserError: no such folder, one that holds no finished run, or a bad record, which is named.
    """
    folder = Path(folder)
    if not (folder / CLIPS).is_file():
        raise UserError(f"{folder} is not a curated folder: it has no {CLIPS}; make one with `videopath curate`")
    return Clips(folder, [record.at(folder) for record in read_records(folder / CLIPS, ClipRecord)])
