"""Records as rows of a table: the columns that users of `datasets` see."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.parquet as pq
from datasets import Dataset, Features, Json, List, Value

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
    "messages": List(Json()),
}
"""All columns beside the medium itself."""


def row(record: InstructionRecord) -> dict[str, Any]:
    """One record as a row of `COLUMNS`; times in seconds of the source video."""
    return {name: getattr(record, name) for name in COLUMNS}


def write_metadata(path: Path, records: Sequence[InstructionRecord]) -> None:
    """Write the `metadata.parquet` of a media folder: `file_name`, as `datasets` wants it, and `COLUMNS`."""
    features = Features({"file_name": Value("string"), **COLUMNS})
    rows = [{"file_name": PurePosixPath(record.media[0].path).name, **row(record)} for record in records]
    table = Dataset.from_list(rows, features=features).data.table
    # The schema's own metadata tells readers of the JSON column; row groups stay small for the Hub's viewer.
    pq.write_table(table.replace_schema_metadata(features.arrow_schema.metadata), path, row_group_size=100)
