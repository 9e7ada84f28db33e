"""The dataset folder: what plain `datasets.load_dataset(folder)` opens, and the records training reads.

    instructions.jsonl                          every record, media paths relative to the folder
    videos/<split>/metadata.parquet, *.mp4      clip and video records: `load_dataset(folder)`
    images/<split>/metadata.parquet, *.jpg      caption and image records: `load_dataset(folder, data_dir="images")`
    README.md                                   the card

Several records may show one file: it lies there once. Images are no second configuration of the card, because
`datasets` opens all configurations of a folder with the builder that fits the first.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import get_args

from videopath_hf.data.media import check_media, link_or_copy
from videopath_hf.data.scratch import Seen
from videopath_hf.errors import UserError
from videopath_hf.files import atomic_dir, iter_records, write_records
from videopath_hf.records import InstructionKind, InstructionRecord, Split

INSTRUCTIONS = "instructions.jsonl"
MEDIA_FOLDERS: dict[str, str] = {"video": "videos", "image": "images"}
"""Folder of each media type."""


def media_path(media_type: str, split: Split, name: str) -> str:
    """Where a medium lies in a dataset folder, relative to its root."""
    return f"{MEDIA_FOLDERS[media_type]}/{split}/{name}"


def write_folder(out: Path, records: Sequence[InstructionRecord], sources: Mapping[str, Path]) -> None:
    """Write the dataset's media, metadata and records into `out`; each part whole or not at all.

    Args:
        out (`Path`): the folder.
        records (`Sequence[InstructionRecord]`): each shows exactly one medium, at a path made by `media_path`.
        sources (`Mapping[str, Path]`): the file to be linked or copied for each of those paths.
    """
    from videopath_hf.data.table import write_metadata

    for media_type, folder in MEDIA_FOLDERS.items():
        rows = [record for record in records if record.media[0].type == media_type]
        with atomic_dir(out / folder) as temporary:
            for split in get_args(Split):
                if part := [record for record in rows if record.split == split]:
                    for path in sorted({record.media[0].path for record in part}):
                        link_or_copy(sources[path], temporary / split / PurePosixPath(path).name)
                    rows_of = ((PurePosixPath(record.media[0].path).name, record) for record in part)
                    write_metadata(temporary / split / "metadata.parquet", rows_of)
    write_records(out / INSTRUCTIONS, records)


def read_instructions(root: str | Path, kinds: Sequence[str], split: str) -> list[InstructionRecord]:
    """Read the records of some kinds and one split, and make sure that what they show is there.

    Args:
        root (`Path`): a dataset folder made by `videopath instruct`.
        kinds (`Sequence[str]`): of `"caption"`, `"image"`, `"clip"`, `"video"`.
        split (`str`): `"train"` or `"test"`.

    Returns:
        `list[InstructionRecord]`: in the order of the file; empty where there are none.

    Raises:
        UserError: no such folder, an unknown kind or split, a malformed record, an id that stands twice, messages
            that do not fit the media, media that are missing, empty or outside of the folder.
    """
    records = [record for _, record in scan_instructions(root, kinds, split)]
    check_media(root, records)
    return records


def scan_instructions(root: str | Path, kinds: Sequence[str], split: str) -> Iterator[tuple[int, InstructionRecord]]:
    """What `read_instructions` reads, one record at a time, each with the byte at which its line starts.

    Media are not looked for.

    Raises:
        UserError: as `read_instructions`, when the reading gets there.
    """
    check_choice(kinds, split)
    path = Path(root) / INSTRUCTIONS
    if not path.is_file():
        raise UserError(
            f"{root} is not a dataset folder: it has no {INSTRUCTIONS}; make one with `videopath instruct`"
        )
    seen = Seen()
    for offset, record in iter_records(path, InstructionRecord):
        if not seen.add(record.id):
            raise UserError(f"{path}: record id {record.id!r} stands there twice; ids must be unique")
        if record.kind in kinds and record.split == split:
            check_messages(path, record)
            yield offset, record


def check_choice(kinds: Sequence[str], split: str) -> None:
    """Raise `UserError` for a kind or a split that no record has."""
    for name, values, known in (("kind", kinds, get_args(InstructionKind)), ("split", [split], get_args(Split))):
        if wrong := [value for value in values if value not in known]:
            raise UserError(f"unknown {name} {wrong[0]!r} of records; known: {', '.join(known)}")


def check_messages(path: Path, record: InstructionRecord) -> None:
    """Raise `UserError` where a record of the file `path` does not show its media, or has an unknown role or no
    answer."""
    shown: list[tuple[str, str]] = []
    for number, message in enumerate(record.messages):
        if message.get("role") not in ("system", "user", "assistant"):
            raise UserError(
                f"{path}: record {record.id}: message {number} has role {message.get('role')!r}; "
                "known: system, user, assistant"
            )
        content = message.get("content")
        if isinstance(content, list):
            blocks = [block for block in content if block.get("type") in MEDIA_FOLDERS]
            shown += [(block["type"], block.get("path", "")) for block in blocks]
    if shown != [(media.type, media.path) for media in record.media]:
        raise UserError(
            f"{path}: record {record.id}: its messages show {len(shown)} media and `media` lists {len(record.media)}; "
            "both must name the same files in the same order"
        )
    if not record.answer.strip():
        raise UserError(f"{path}: record {record.id}: `answer` is empty; there is nothing to learn or to compare with")
