"""Records as rows of a table: the columns that users of `datasets` see."""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, Features, Json, List, Value

from videopath_hf.data.batches import batches
from videopath_hf.records import InstructionRecord

COLUMNS: dict[str, Any] = {
    "id": Value("string"),
    "kind": Value("string"),
    "question": Value("string"),
    "answer": Value("string"),
    "description": Value("string"),
    "diagnosis": Value("string"),
    "organ": Value("string"),
    "clip_id": Value("string"),
    "video_id": Value("string"),
    "source": Value("string"),
    "start": Value("float64"),
    "end": Value("float64"),
    "licence": Value("string"),
    "writer": Value("string"),
    "prompt_hash": Value("string"),
    # JSON and not a struct: a struct gives every content block the keys of all others, filled with None.
    "grounding": List(Json()),
    "messages": List(Json()),
}
"""All columns beside the medium itself."""

JSON_COLUMNS = tuple(name for name, kind in COLUMNS.items() if isinstance(kind, List))
"""Columns of objects, which other readers than `datasets` see as JSON text."""

_ROWS = 1000  # of a row group; a file keeps what describes its groups in memory until it is closed


def row(record: InstructionRecord) -> dict[str, Any]:
    """One record as a row of `COLUMNS`; times in seconds of the source video."""
    grounding = [item.model_dump(exclude_none=True) for item in record.grounding]
    return {name: getattr(record, name) for name in COLUMNS} | {"grounding": grounding}


def write_metadata(path: Path, records: Iterable[tuple[str, InstructionRecord]]) -> None:
    """Write the `metadata.parquet` of a media folder: `file_name`, as `datasets` wants it, and `COLUMNS`.

    Args:
        path (`Path`): the file.
        records (`Iterable[tuple[str, InstructionRecord]]`): each with its medium's path relative to the file's folder.
    """
    features = Features({"file_name": Value("string"), **COLUMNS})
    with pq.ParquetWriter(path, features.arrow_schema) as writer:
        for batch in batches(records, _ROWS):
            rows = [{"file_name": str(PurePosixPath(name)), **row(record)} for name, record in batch]
            writer.write_table(_as_table(rows, features), row_group_size=_ROWS)


def _as_table(rows: Sequence[dict[str, Any]], features: Features) -> pa.Table:
    table = Dataset.from_list(list(rows), features=features).data.table
    # The schema's own metadata tells readers of the JSON column.
    return table.replace_schema_metadata(features.arrow_schema.metadata)
