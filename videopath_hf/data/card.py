"""The dataset's card: the README that tells people and `load_dataset` what the folder holds."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import yaml

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.files import write_text
from videopath_hf.records import InstructionKind, InstructionRecord, Split

_KINDS = {
    "caption": "key frame and one descriptive sentence, no question (stage 0)",
    "image": "key frame, question and answer (stage 1)",
    "clip": "clip, request for a description and answer (stage 2, ClipPath-Instruct)",
    "video": "clip, diagnostic question and answer (stage 3, ViDRiP-Instruct)",
}


def write_card(out: Path, records: Sequence[InstructionRecord], notes: Sequence[str]) -> None:
    """Write `README.md` with the data files `datasets` reads and what a reader must know.

    Args:
        out (`Path`): the dataset folder.
        records (`Sequence[InstructionRecord]`): all of them.
        notes (`Sequence[str]`): sentences about how this dataset was made.
    """
    header = yaml.safe_dump(_header(records), sort_keys=False, allow_unicode=True)
    write_text(out / "README.md", f"---\n{header}---\n\n{_body(records, notes)}")


def _header(records: Sequence[InstructionRecord]) -> dict[str, Any]:
    splits = {record.split for record in records if any(item.type == "video" for item in record.media)}
    files = [{"split": split, "path": f"videos/{split}/**"} for split in get_args(Split) if split in splits]
    return {
        "license": "other",
        "license_name": "see-licence-column",
        "language": ["en"],
        "tags": ["pathology", "medical", "video", "image"],
        "configs": [{"config_name": "default", "data_files": files}],
    }


def _body(records: Sequence[InstructionRecord], notes: Sequence[str]) -> str:
    counts = Counter((record.kind, record.split) for record in records)
    kinds = "\n".join(
        f"| {kind} | {counts[kind, 'train']} | {counts[kind, 'test']} | {_KINDS[kind]} |"
        for kind in get_args(InstructionKind)
    )
    clips = {record.clip_id: record for record in records}.values()
    by_diagnosis = Counter((record.diagnosis or "(none named)", record.split) for record in clips)
    diagnoses = "\n".join(
        f"| {_cell(name)} | {by_diagnosis[name, 'train']} | {by_diagnosis[name, 'test']} |"
        for name in sorted({name for name, _ in by_diagnosis})
    )
    return _TEXT.format(
        kinds=kinds,
        diagnoses=diagnoses,
        licences=_listed({record.licence for record in records}),
        sources=_listed({record.source for record in records}),
        writers=_listed({f"{record.writer} (prompt hash {record.prompt_hash})" for record in records}),
        notes="\n".join(f"- {note}" for note in notes) or "- none",
        notice=RESEARCH_NOTICE,
    )


def _listed(values: set[str]) -> str:
    return "\n".join(f"- {_cell(value)}" for value in sorted(values))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


_TEXT = """\
# Pathology video instructions

Questions and answers about curated pathology clips and their key frames. An answer is a description of what is
seen, a line break, then `Diagnosis: <diagnosis>`.

| kind | train | test | what it is |
| --- | --- | --- | --- |
{kinds}

```python
from datasets import Video, load_dataset

clips = load_dataset(FOLDER)["train"].cast_column("video", Video(decode=False))  # path of the mp4; no FFmpeg needed
images = load_dataset(FOLDER, data_dir="images")["train"]
```

`messages` holds the same in chat form; media paths there are relative to this folder. `start` and `end` are seconds
of `source`.

## Clips by diagnosis

| diagnosis | train | test |
| --- | --- | --- |
{diagnoses}

## How it was made

Written by:
{writers}

The writer `template` takes sentences from the clip's transcript and from text shown in it, word for word;
`clippath:MODEL` and `vidrip:MODEL` are descriptions by a language model from the same words, the latter checked
statement by statement against them, again by the model (`written.jsonl`). Nobody checked them against the slides.

Notes:
{notes}

Sources:
{sources}

## Licence

{licences}

## Intended use and limits

{notice} For research on vision-language models. Labels are what a lecturer said or showed.
"""
