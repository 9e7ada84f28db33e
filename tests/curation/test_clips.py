from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from videopath_hf.curation.clips import (
    ClipPlan,
    Grid,
    assign_sentences,
    clip_paths,
    make_clip,
    plan_clips,
    segment_grid,
    too_short,
)
from videopath_hf.curation.refine import Refiner
from videopath_hf.curation.settings import ClipSettings, ScreenTextSettings
from videopath_hf.errors import UserError
from videopath_hf.files import file_sha256
from videopath_hf.records import PersonBox, RemovedText, Segment, Sentence
from videopath_hf.settings import load_settings
from videopath_hf.video.decode import iter_frames
from videopath_hf.video.probe import probe


def segment(start: float, end: float) -> Segment:
    return Segment(video_id="x", index=0, start=start, end=end, kind="tissue")


def spans(settings: ClipSettings, end: float, pauses: list[float]) -> list[tuple[float, float]]:
    bounds = [0.0, *pauses, end]
    said = [Sentence(start=a + 0.1, end=b - 0.1, text="x") for a, b in pairwise(bounds)]
    piece = segment(0, end)
    plans = plan_clips("x", [(piece, segment_grid(piece, settings.fps, 25.0))], said, settings)
    return [(plan.start, plan.end) for plan in plans]


def test_the_grid_stays_inside_the_segment() -> None:
    grid = segment_grid(segment(47.08, 73.32), 2.0, 25.0)
    assert grid.time(0) == 47.08
    assert grid.time(grid.frames - 1) <= 73.32 - 1 / 25 < grid.time(grid.frames)


def test_a_segment_that_fits_is_one_clip() -> None:
    assert spans(ClipSettings(), 12.0, [3.0, 8.0]) == [(0.0, 12.0)]


def test_clips_are_cut_in_pauses_and_as_long_as_allowed() -> None:
    assert spans(ClipSettings(), 30.0, [5.0, 13.0, 20.0, 27.0]) == [(0.0, 13.0), (13.0, 27.0), (27.0, 30.0)]


def test_a_sentence_longer_than_a_clip_is_cut_into_equal_parts() -> None:
    found = spans(ClipSettings(max_seconds=4), 7.0, [])
    assert found == [(0.0, 3.5), (3.5, 7.0)]


def test_no_clip_is_longer_than_allowed_and_none_shorter_where_it_can_be_helped() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        end = float(rng.uniform(2.1, 60))
        settings = ClipSettings(max_seconds=float(rng.uniform(4, 16)), fps=float(rng.choice([1, 2, 4])))
        found = spans(settings, end, sorted(rng.uniform(0.5, end - 0.5, 4).tolist()))
        assert found[0][0] == 0 and found[-1][1] <= end + 1e-3
        assert all(a[1] == b[0] for a, b in pairwise(found))
        assert all(2.0 - 1 / settings.fps <= b - a <= settings.max_seconds + 1e-6 for a, b in found)


def test_what_is_too_short_is_planned_and_named_so() -> None:
    piece = segment(0, 1.2)
    (plan,) = plan_clips("x", [(piece, segment_grid(piece, 2.0, 25.0))], [], ClipSettings())
    assert too_short(plan, ClipSettings())
    assert not too_short(plan, ClipSettings(min_seconds=1.0))


def test_clip_ids_count_through_the_lecture() -> None:
    pieces = [segment(0, 4), segment(6, 10)]
    plans = plan_clips("x", [(piece, segment_grid(piece, 2.0, 25.0)) for piece in pieces], [], ClipSettings())
    assert [plan.clip_id for plan in plans] == ["x_c00000", "x_c00001"]


def test_a_sentence_belongs_to_the_one_clip_that_holds_most_of_it() -> None:
    grid = Grid(0.0, 2.0, 24)
    plans = [ClipPlan(f"c{number}", segment(0, 12), grid, 8 * number, 8 * number + 8) for number in range(3)]
    said = [
        Sentence(start=0, end=3, text="inside"),
        Sentence(start=3.5, end=7, text="mostly second"),
        Sentence(start=2, end=12, text="over three"),
        Sentence(start=11, end=15, text="mostly outside"),
    ]
    assert [[s.text for s in given] for given in assign_sentences(plans, said)] == [
        ["inside"],
        ["mostly second", "over three"],
        [],
    ]


def test_contradicting_lengths_are_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"min_seconds \(8.0\) must not be above max_seconds \(4.0\)"):
        load_settings(ClipSettings, overrides=["min_seconds=8", "max_seconds=4"])


def test_a_clip_is_refined_muted_and_comes_with_sheets_and_keyframes(lecture: Path, tmp_path: Path) -> None:
    piece = segment(2.0, 6.0)
    plan = ClipPlan("x_c00000", piece, segment_grid(piece, 2.0, 10.0), 2, 6)
    text = RemovedText(text="Case 1", box=(100, 100, 200, 130), start=2.0, end=3.2)
    late = RemovedText(text="late", box=(0, 0, 50, 20), start=5.5, end=6.0)
    person = PersonBox(box=(400, 200, 500, 300), start=2.0, end=6.0)
    refiner = Refiner([text, late], [person], (243, 243, 243), ScreenTextSettings(), slide=(0, 0, 640, 360))
    made = make_clip(lecture, plan, refiner, [Sentence(start=3, end=4, text="x")], tmp_path, ClipSettings())
    clip = tmp_path / "clips" / "x_c00000.mp4"
    info = probe(clip)
    assert (info.frames, info.fps, info.width, info.height, info.has_audio) == (4, 2.0, 640, 360, False)
    assert made.sha256 == file_sha256(clip)
    assert all(path.is_file() for path in clip_paths(plan, tmp_path, ClipSettings()))
    assert [made.texts, made.persons] == [[text], [person]]
    assert made.quality["speech_overlap"] == 0.5
    assert made.tissue_box == (0, 0, 640, 360)
    source = [frame.image for frame in iter_frames(lecture, 2.0, 3.0, 5.0)]
    for before, after in zip(source, iter_frames(clip), strict=True):
        assert abs(after.image[210:290, 410:490].astype(int) - 243).max() < 12
        outside = abs(before[150:190].astype(float) - after.image[150:190]).mean()
        assert outside < 6  # nothing but the codec's loss


def test_the_same_clip_has_the_same_bytes(lecture: Path, tmp_path: Path) -> None:
    piece = segment(2.0, 6.0)
    plan = ClipPlan("x_c00000", piece, segment_grid(piece, 2.0, 10.0), 0, 4)
    refiner = Refiner([], [], (243, 243, 243), ScreenTextSettings())
    made = [make_clip(lecture, plan, refiner, [], tmp_path / name, ClipSettings()) for name in "ab"]
    assert made[0].sha256 == made[1].sha256
