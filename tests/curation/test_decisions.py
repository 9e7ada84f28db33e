"""A person's decisions take the place of what was found, only for the video and segments they were made on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.curation.conftest import FPS
from videopath_hf.curation.decisions import (
    DecidedSegment,
    Decisions,
    apply_decisions,
    candidates_hash,
    match_decisions,
    read_decisions,
    read_file,
)
from videopath_hf.curation.inputs import Lecture
from videopath_hf.curation.pipeline import curate
from videopath_hf.curation.scene_lists import read_reviewed
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.errors import UserError
from videopath_hf.files import read_json, read_records, write_json
from videopath_hf.records import ClipRecord, Reject, Segment

TIMES = np.arange(120) / FPS
CANDIDATES = [
    Segment(video_id="x", index=0, start=0, end=2, kind="title", first=0, last=20, figures={"tissue": 0.0}),
    Segment(
        video_id="x", index=1, start=2, end=6, kind="tissue", first=20, last=60, settled=2.5, stills=[(3.0, 5.0)],
        figures={"tissue": 0.5},
    ),
    Segment(video_id="x", index=2, start=6, end=12, kind="tissue", first=60, last=120, figures={"tissue": 0.8}),
]  # fmt: skip
SHA = "5a" * 32


def decided(*parts: dict[str, object], **values: object) -> Decisions:
    data = {"video_id": "x", "sha256": SHA, "frames": 120, "segments": list(parts), **values}
    return Decisions.model_validate(data)


def test_bounds_kinds_and_verdicts_are_the_persons_and_the_rest_the_candidates() -> None:
    wanted = decided(
        {"first": 0, "last": 20, "kind": "other"},
        {"first": 20, "last": 40, "verdict": "accept"},
        {"first": 40, "last": 120, "verdict": "reject"},
        candidates=candidates_hash(CANDIDATES),
    )
    found = apply_decisions(CANDIDATES, wanted, TIMES)
    assert [(s.start, s.end, s.kind, s.verdict) for s in found] == [
        (0, 2, "other", None),
        (2, 4, "tissue", "accept"),
        (4, 12, "tissue", "reject"),
    ]
    assert [(s.first, s.last, s.index) for s in found] == [(0, 20, 0), (20, 40, 1), (40, 120, 2)]
    assert [s.settled for s in found] == [None, 2.5, None]
    assert [s.stills for s in found] == [[], [(3.0, 4.0)], [(4.0, 5.0)]]
    assert found[2].figures["tissue"] == pytest.approx((20 * 0.5 + 60 * 0.8) / 80, abs=1e-4)


def test_decisions_made_on_other_segments_or_another_length_are_refused() -> None:
    whole = {"first": 0, "last": 120}
    with pytest.raises(UserError, match="were made on other segments"):
        apply_decisions(CANDIDATES, decided(whole, candidates="0123"), TIMES)
    assert len(apply_decisions(CANDIDATES, decided(whole), TIMES)) == 1, "a list stands for itself"
    with pytest.raises(UserError, match="are for 120 frames, the video has 100"):
        apply_decisions(CANDIDATES, decided(whole), TIMES[:100])


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([], "segments: .*at least 1"),
        ([{"first": 0, "last": 50}, {"first": 60, "last": 120}], "starts at frame 60, the one before it ends at 50"),
        ([{"first": 0, "last": 100}], "ends at frame 100 of 120"),
        ([{"first": 0, "last": 0}, {"first": 0, "last": 120}], "from frame 0 to 0 is empty"),
        ([{"first": 0, "last": 120, "verdict": "maybe"}], r"segments\.0\.verdict"),
    ],
)
def test_a_file_that_does_not_cover_the_lecture_is_refused(tmp_path: Path, parts: list[object], words: str) -> None:
    path = tmp_path / "x.decisions.json"
    write_json(path, {"schema_version": 1, "video_id": "x", "sha256": SHA, "frames": 120, "segments": parts})
    with pytest.raises(UserError, match=words) as caught:
        read_file(path)
    assert "x.decisions.json" in str(caught.value)


def test_a_file_of_another_version_or_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.decisions.json"
    write_json(path, decided({"first": 0, "last": 120}).model_dump() | {"schema_version": 99})
    with pytest.raises(UserError, match="schema_version 99 is not 1"):
        read_file(path)
    path.write_text("decisions?")
    with pytest.raises(UserError, match="not valid JSON"):
        read_file(path)


def test_decisions_find_their_lecture_by_content_and_are_refused_for_another(tmp_path: Path) -> None:
    mine = Lecture("renamed", "renamed.mp4", tmp_path / "renamed.mp4", SHA)
    other = Lecture("x", "x.mp4", tmp_path / "x.mp4", "00" * 32)
    write_json(tmp_path / "x.decisions.json", decided({"first": 0, "last": 120}).model_dump())
    found = read_decisions([tmp_path])
    assert list(found) == [SHA]
    assert match_decisions(found, [mine]) == []
    with pytest.raises(UserError, match=r"made for another file named x \(sha256 5a5a5a5a5a5a, the input's is 0000"):
        match_decisions(found, [other])
    with pytest.raises(UserError, match="none of the decisions is about an input"):
        match_decisions(found, [other._replace(video_id="z")])
    with pytest.raises(UserError, match="are both about x"):
        read_decisions([tmp_path, tmp_path / "x.decisions.json"])
    write_json(tmp_path / "y.decisions.json", decided({"first": 0, "last": 120}, sha256="cc" * 32).model_dump())
    assert match_decisions(read_decisions([tmp_path]), [mine]) == [
        "decisions about x, which is not among the inputs, were not used"
    ]
    assert match_decisions({}, [mine]) == []


def test_the_next_run_in_the_same_folder_uses_the_decisions(lecture: Path, tmp_path: Path) -> None:
    settings = CurateSettings.model_validate({"screen_text": {"backend": "none"}})
    out = tmp_path / "out"
    curate([lecture], out, settings)
    first = read_records(out / "clips.jsonl", ClipRecord)
    [reviewed] = read_reviewed(out)
    assert [(s.first, s.last) for s in reviewed.segments] == [(0, 20), (20, 60), (60, 100), (100, 120)]
    parts = [
        DecidedSegment(first=0, last=20),
        DecidedSegment(first=20, last=60, verdict="reject"),
        DecidedSegment(first=60, last=85, verdict="accept"),
        DecidedSegment(first=85, last=120, kind="tissue"),
    ]
    decisions = Decisions(
        video_id=reviewed.video_id, sha256=reviewed.sha256, frames=120, candidates=reviewed.candidates, segments=parts
    )
    write_json(tmp_path / "a.decisions.json", decisions.model_dump())
    looked = (out / ".work" / reviewed.video_id / "segment.json").stat().st_mtime_ns

    decided = settings.model_copy(update={"decisions": read_decisions([tmp_path / "a.decisions.json"])})
    curate([lecture], out, decided)
    clips = read_records(out / "clips.jsonl", ClipRecord)
    assert min(clip.start for clip in clips) >= 6.0
    assert {8.5} <= {clip.end for clip in clips}
    rejected = [r for r in read_records(out / "rejects.jsonl", Reject) if r.step == "decisions"]
    assert [(r.start, r.end, r.reason) for r in rejected] == [(2.0, 6.0, "rejected by a person")]
    kept = read_records(out / "segments.jsonl", Segment)
    assert [s.verdict for s in kept] == [None, "reject", "accept", None]
    assert (out / ".work" / reviewed.video_id / "segment.json").stat().st_mtime_ns == looked, "it was looked at once"
    assert read_reviewed(out)[0].candidates == reviewed.candidates, "the page of this run can be decided on again"

    curate([lecture], out, settings)
    assert read_records(out / "clips.jsonl", ClipRecord) == first
    assert read_json(out / "run.json")["summary"]["rejects"].get("decisions") is None


@pytest.fixture
def lecture(lecture_factory: Callable[..., Path]) -> Path:
    from tests.curation.conftest import lecture_frames

    return lecture_factory("reviewed.mp4", lecture_frames())
