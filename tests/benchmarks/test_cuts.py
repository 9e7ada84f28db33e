"""The measure of cuts counts what it says, and the default detector is good on lectures made to be hard."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.benchmarks.loading import load_benchmark
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.records import Segment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cuts() -> ModuleType:
    return load_benchmark("cuts")


def truth() -> dict[str, Any]:
    parts = [("title", 0, 5, None), ("tissue", 5, 15, "a"), ("tissue", 15, 25, "b"), ("outro", 25, 30, None)]
    segments = [
        {"kind": kind, "start": start, "end": end, "still": [[start, start + 4]] if kind == "tissue" else []}
        | ({"case": case} if case else {})
        for kind, start, end, case in parts
    ]
    return {"segments": segments, "cuts": [{"time": 5}, {"time": 15}, {"time": 25}]}


def segment(index: int, start: float, end: float, kind: str, *stills: tuple[float, float]) -> Segment:
    return Segment.model_validate(
        {"video_id": "x", "index": index, "start": start, "end": end, "kind": kind, "stills": list(stills)}
    )


def test_a_perfect_answer_scores_one(cuts: ModuleType) -> None:
    found = [
        segment(0, 0, 5, "title"),
        segment(1, 5, 15, "tissue", (5, 9)),
        segment(2, 15, 25, "tissue", (15, 19)),
        segment(3, 25, 30, "title"),
    ]
    result = cuts.measure_cuts(truth(), found)
    assert (result["precision"], result["recall"], result["f1"]) == (1, 1, 1)
    assert result["case_bounds"] == [2, 2]
    assert (result["lost_tissue"], result["kept_other"], result["kind_seconds"]) == ([], 0, 1)
    assert (result["still_f1"], result["still_iou"]) == (1, 1)


def test_missed_false_and_doubled_cuts_lost_tissue_and_kept_titles_are_counted(cuts: ModuleType) -> None:
    found = [
        segment(0, 0, 4.6, "tissue"),
        segment(1, 4.6, 5.4, "tissue"),
        segment(2, 5.4, 20, "title", (5.4, 7)),
        segment(3, 20, 30, "title"),
    ]
    result = cuts.measure_cuts(truth(), found)
    assert (result["precision"], result["recall"]) == (pytest.approx(1 / 3, abs=1e-3), pytest.approx(1 / 3, abs=1e-3))
    assert result["missed"] == [15, 25]
    assert len(result["false"]) == 2
    assert result["case_bounds"] == [1, 2]
    assert result["lost_tissue"] == [5, 15]
    assert result["kept_other"] == pytest.approx(5.0)
    assert result["still_iou"] == pytest.approx(1.6 / 8)


def test_half_a_second_is_near_enough_and_more_is_not(cuts: ModuleType) -> None:
    assert cuts.match([10.0], [10.5], 0.5) == [(0, 0)]
    assert cuts.match([10.0], [10.52], 0.5) == []
    assert cuts.match([10.0, 10.4], [10.2], 0.5) in ([(0, 0)], [(1, 0)])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["similar", "fades", "screen"])
def test_the_default_finds_what_synthetic_lectures_hide(cuts: ModuleType, tmp_path: Path, name: str) -> None:
    lecture = cuts.cut_lectures.lectures()[name]
    made = cuts.cut_lectures.make(lecture, tmp_path / "lecture.mp4")
    result = cuts.measure(tmp_path / "lecture.mp4", made, CurateSettings())
    assert result["false"] == []
    assert len(result["missed"]) <= (1 if name == "screen" else 0), "one cut ends a stuttering scroll"
    assert result["lost_tissue"] == []
    assert result["kept_other"] <= 0.2
    assert result["still_iou"] > 0.9


@pytest.mark.slow
@pytest.mark.needs_shared
def test_the_default_finds_every_cut_of_the_development_lecture(cuts: ModuleType, shared: Path) -> None:
    folder = shared / "lectures" / "dev"
    wanted = json.loads((folder / "lecture.json").read_text())
    result = cuts.measure(folder / "lecture.mp4", wanted, CurateSettings())
    assert result["f1"] >= 0.95
    assert result["case_bounds"][0] == result["case_bounds"][1] > 0
    assert result["lost_tissue"] == []
    assert result["kept_other"] <= 0.5
    assert result["still_iou"] > 0.85
