"""Shards: parquet files whose rows carry the bytes of their medium."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, Features, Image, Video

from videopath_hf.data.table import COLUMNS, row
from videopath_hf.records import InstructionRecord

GROUP_ROWS = 100
# One copy of a clip serves all its records in a row group: their cells are dictionary entries.
_DICTIONARY_BYTES = 1 << 30
# As `datasets` writes them, so that the Hub stores what an update leaves unchanged only once.
_CHUNKS = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}


def features_of(media_type: str) -> Features:
    """The columns of published rows that show this type of medium: the medium first."""
    return Features({media_type: Video() if media_type == "video" else Image(), **COLUMNS})


def write_shard(
    path: Path, media_type: str, records: Iterable[tuple[Path, InstructionRecord]], group_bytes: int
) -> None:
    """Write a parquet file whose rows hold their medium's bytes, one row group in memory at a time.

    Equal records, media and library versions give equal files.

    Args:
        path (`Path`): the file.
        media_type (`str`): `"video"` or `"image"`.
        records (`Iterable[tuple[Path, InstructionRecord]]`): each with its medium.
        group_bytes (`int`): most bytes of media in a row group, a single larger medium apart.
    """
    features = features_of(media_type)
    cells = f"{media_type}.bytes"
    schema = features.arrow_schema
    with pq.ParquetWriter(
        path,
        schema,
        compression={name: "NONE" if name == cells else "SNAPPY" for name in _leaves(schema)},
        use_dictionary=[name for name in _leaves(schema) if not name.startswith("messages")],
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
        write_statistics=[name for name in _leaves(schema) if name != cells],
        write_page_index=True,
        use_content_defined_chunking=_CHUNKS,
    ) as writer:
        group: list[tuple[bytes, InstructionRecord]] = []
        last, data = None, b""
        for medium, record in records:
            if medium != last:
                last, data = medium, medium.read_bytes()
            if group and (len(group) == GROUP_ROWS or sum(len(held) for held, _ in group) + len(data) > group_bytes):
                writer.write_table(_group_table(group, media_type, features), row_group_size=len(group))
                group = []
            group.append((data, record))
        if group:
            writer.write_table(_group_table(group, media_type, features), row_group_size=len(group))


def _group_table(group: Sequence[tuple[bytes, InstructionRecord]], media_type: str, features: Features) -> pa.Table:
    words = Dataset.from_list([row(record) for _, record in group], features=Features(COLUMNS)).data.table
    held = pa.array([data for data, _ in group], pa.binary())
    paths = pa.array([record.media[0].path for _, record in group], pa.string())
    media = pa.StructArray.from_arrays([held, paths], ["bytes", "path"])
    table = words.add_column(0, media_type, media)
    return table.cast(features.arrow_schema).replace_schema_metadata(features.arrow_schema.metadata)


def _leaves(schema: pa.Schema) -> list[str]:
    """Names of a schema's columns as parquet files them."""
    empty = pa.BufferOutputStream()
    pq.write_metadata(schema, empty)
    stored = pq.read_metadata(pa.BufferReader(empty.getvalue())).schema
    return [stored.column(number).path for number in range(len(stored.names))]
