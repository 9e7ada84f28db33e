"""The measure of clips sees what the measure of segments does not: what later steps drop, mix up or paint over."""

from types import ModuleType
from typing import Any

import pytest

from tests.benchmarks.loading import load_benchmark
from videopath_hf.records import ClipRecord, Evidence, PersonBox


@pytest.fixture(scope="module")
def tissue() -> ModuleType:
    return load_benchmark("tissue")


def truth() -> dict[str, Any]:
    segments = [
        {"kind": "title", "start": 0.0, "end": 5.0},
        {"kind": "tissue", "start": 5.0, "end": 15.0, "diagnosis": "Celiac disease (Marsh 3)"},
        {"kind": "tissue", "start": 15.0, "end": 25.0, "diagnosis": "Melanosis coli"},
    ]
    persons = [{"start": 5.0, "end": 15.0, "box": [80, 0, 100, 20]}]
    return {"width": 100, "height": 50, "segments": segments, "persons": persons}


def clip(number: int, start: float, end: float, diagnosis: str | None, *persons: PersonBox) -> ClipRecord:
    evidence = Evidence(value=diagnosis, source="text", start=start, end=end) if diagnosis else None
    return ClipRecord.model_construct(
        clip_id=f"v_c{number:05d}", start=start, end=end, diagnosis=evidence, persons=list(persons)
    )


def test_a_good_result_has_nothing_lost_wrong_or_painted_over(tissue: ModuleType) -> None:
    clips = [
        clip(0, 5.0, 15.0, "Celiac disease", PersonBox(box=(80, 0, 100, 20), start=5.0, end=15.0)),
        clip(1, 15.0, 24.0, None),
    ]
    assert tissue.measure_clips(clips, truth()) == {
        "lost_segments": [],
        "kept_other": 0.0,
        "wrong_diagnosis": [],
        "masked_beyond": 0.0,
    }


def test_lost_segments_kept_titles_wrong_diagnoses_and_large_masks_are_counted(tissue: ModuleType) -> None:
    clips = [
        clip(0, 4.0, 15.0, "Melanosis coli", PersonBox(box=(50, 0, 100, 20), start=5.0, end=15.0)),
        clip(1, 15.0, 19.0, "Melanosis coli"),
    ]
    assert tissue.measure_clips(clips, truth()) == {
        "lost_segments": [15.0],
        "kept_other": 1.0,
        "wrong_diagnosis": ["v_c00000"],
        "masked_beyond": 0.12,
    }
