"""A file of records without media, large enough for statistics, and answers to it of a given quality."""

import json
import random
from pathlib import Path
from typing import Any

from videopath_hf.files import write_records
from videopath_hf.records import InstructionRecord, Media

DIAGNOSES = {"colon": ("Melanosis coli", "Ulcerative colitis"), "duodenum": ("Celiac disease", "Giardiasis")}


def make_records(path: Path, videos: int = 16, each: int = 3) -> list[InstructionRecord]:
    """Test records of kind video: `each` of every source video, two organs in turn."""
    records = []
    for video in range(videos):
        organ = ("colon", "duodenum")[video % 2]
        for number in range(each):
            name = f"v{video:02d}_{number}"
            diagnosis = DIAGNOSES[organ][(video + number) % 2]
            media = Media(type="video", path=f"videos/test/{name}.mp4")
            answer = f"Finding {number} of slide {video}.\nDiagnosis: {diagnosis}"
            records.append(
                InstructionRecord(
                    id=name,
                    kind="video",
                    clip_id=name,
                    video_id=f"v{video:02d}",
                    media=[media],
                    messages=[
                        {"role": "user", "content": [media.model_dump(), {"type": "text", "text": "Which?"}]},
                        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
                    ],
                    question="Which?",
                    answer=answer,
                    description=f"Finding {number} of slide {video}.",
                    diagnosis=diagnosis,
                    organ=organ,
                    split="test",
                    source="talks",
                    licence="CC BY 4.0",
                    writer="a pathologist",
                    prompt_hash="",
                )
            )
    write_records(path, records)
    return records


def write_answers(path: Path, records: list[InstructionRecord], right: dict[str, float], seed: int = 0) -> Path:
    """Answers that are right, word for word, in a share of each organ's records, and else name another diagnosis."""
    chooser = random.Random(seed)
    entries: list[dict[str, Any]] = []
    for record in records:
        hit = chooser.random() < right[str(record.organ)]
        entries.append({"id": record.id, "answer": record.answer if hit else "Nothing.\nDiagnosis: <b>Normal</b>"})
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path
