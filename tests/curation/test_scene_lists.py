"""Lists for other editors: what is written is read back to the frame, and what cannot be read is named by its line."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from scenedetect import FrameTimecode
from scenedetect.output import write_scene_list, write_scene_list_edl

from videopath_hf.curation.decisions import DecidedSegment
from videopath_hf.curation.scene_lists import Format, Reviewed, export_segments, import_segments, pick
from videopath_hf.errors import UserError
from videopath_hf.records import Segment, SegmentKind

BOUNDS = [0, 186, 306, 1177, 1833, 108_001]
KINDS: list[SegmentKind] = ["title", "presenter", "tissue", "tissue", "other"]


def lecture(fps: float, time: Callable[[int], float] | None = None, verdicts: bool = False) -> Reviewed:
    """Five segments at `fps` frames a second, over an hour long."""
    at = time or (lambda frame: frame / fps)
    segments = [
        Segment(
            video_id="my lecture, part 1",
            index=number,
            start=round(at(first), 3),
            end=round(at(last), 3),
            kind=KINDS[number],
            first=first,
            last=last,
            verdict="reject" if verdicts and number == 1 else None,
        )
        for number, (first, last) in enumerate(pairwise(BOUNDS))
    ]
    return Reviewed("my lecture, part 1", "a.mp4", "ab" * 32, BOUNDS[-1], fps, "c0ffee", segments)


def bounds(decided: list[DecidedSegment]) -> list[int]:
    return [decided[0].first, *(segment.last for segment in decided)]


@pytest.mark.parametrize("fps", [25.0, 24000 / 1001, 30000 / 1001, 60.0, 12.5, 7.0])
@pytest.mark.parametrize("form", ["csv", "edl", "scenedetect"])
def test_a_list_comes_back_as_it_was_written(tmp_path: Path, form: Format, fps: float) -> None:
    assert export_segments(lecture(fps), tmp_path / "list", form) == 5
    found = import_segments(lecture(fps), tmp_path / "list")
    assert bounds(found.segments) == BOUNDS
    assert [s.kind for s in found.segments] == (KINDS if form != "scenedetect" else [None] * 5)
    assert (found.video_id, found.sha256, found.candidates) == ("my lecture, part 1", "ab" * 32, None)


@pytest.mark.parametrize("form", ["csv", "edl", "scenedetect"])
def test_a_rejected_segment_stays_rejected(tmp_path: Path, form: Format) -> None:
    export_segments(lecture(25, verdicts=True), tmp_path / "list", form)
    found = import_segments(lecture(25), tmp_path / "list")
    assert [s.verdict for s in found.segments] == [None, "reject", None, None, None]
    assert bounds(found.segments) == BOUNDS


@pytest.mark.parametrize("fps", [25.0, 30000 / 1001])
@pytest.mark.parametrize("cut_list", [True, False])
def test_a_list_written_by_pyscenedetect_itself_is_read(tmp_path: Path, fps: float, cut_list: bool) -> None:
    scenes = [(FrameTimecode(a, fps), FrameTimecode(b, fps)) for a, b in pairwise(BOUNDS)]
    write_scene_list(tmp_path / "scenes.csv", scenes, include_cut_list=cut_list)
    assert bounds(import_segments(lecture(fps), tmp_path / "scenes.csv").segments) == BOUNDS
    write_scene_list_edl(tmp_path / "scenes.edl", scenes)
    found = bounds(import_segments(lecture(fps), tmp_path / "scenes.edl").segments)
    assert found[-1] == BOUNDS[-1]
    assert all(0 <= b - a <= 1 for a, b in zip(found, BOUNDS, strict=True)), "its EDL is cut off, not rounded"


def test_what_pyscenedetect_would_read_is_what_we_write(tmp_path: Path) -> None:
    export_segments(lecture(25), tmp_path / "ours.csv", "scenedetect")
    scenes = [(FrameTimecode(a, 25.0), FrameTimecode(b, 25.0)) for a, b in pairwise(BOUNDS)]
    write_scene_list(tmp_path / "theirs.csv", scenes, include_cut_list=False)
    assert (tmp_path / "ours.csv").read_text() == (tmp_path / "theirs.csv").read_text()


def test_drop_frame_timecodes_count_the_numbers_that_are_left_out(tmp_path: Path) -> None:
    edl = "TITLE: X\nFCM: DROP FRAME\n\n001  AX  V  C  00:00:00;00 00:01:00;02 00:00:00;00 00:01:00;02\n"
    edl += "002  AX  V  C  00:01:00;02 00:10:00;00 00:01:00;02 00:10:00;00\n"
    (tmp_path / "drop.edl").write_text(edl)
    found = import_segments(lecture(30000 / 1001), tmp_path / "drop.edl").segments
    assert bounds(found)[:3] == [0, 1800, 17982]


def test_sound_tracks_of_an_edl_are_passed_over_and_its_transitions_refused(tmp_path: Path) -> None:
    event = "{:03d}  AX  {}  {}  00:00:00:00 00:00:10:00 00:00:00:00 00:00:10:00\n"
    (tmp_path / "a.edl").write_text(event.format(1, "V", "C") + event.format(2, "A2", "C"))
    assert bounds(import_segments(lecture(25), tmp_path / "a.edl").segments)[:2] == [0, 250]
    (tmp_path / "b.edl").write_text(event.format(1, "V", "D    025"))
    with pytest.raises(UserError, match=r"b\.edl:1: the transition 'D'"):
        import_segments(lecture(25), tmp_path / "b.edl")


def test_what_a_list_leaves_out_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text("start_frame,end_frame,kind\n306,1177,tissue\n2000,2500,\n")
    found = import_segments(lecture(25), tmp_path / "some.csv").segments
    assert [(s.first, s.last, s.verdict) for s in found] == [
        (0, 306, "reject"),
        (306, 1177, None),
        (1177, 2000, "reject"),
        (2000, 2500, None),
        (2500, 108_001, "reject"),
    ]


def test_a_table_with_seconds_alone_is_read_to_the_frame_even_at_a_changing_frame_rate(tmp_path: Path) -> None:
    slow = lecture(25, lambda frame: frame / 25 if frame <= 306 else 12.24 + (frame - 306) / 10)
    (tmp_path / "t.csv").write_text("start,end\n0,12.24\n12.24,32.24\n")
    assert bounds(import_segments(slow, tmp_path / "t.csv").segments)[:3] == [0, 306, 506]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "start_frame,end_frame,start,end\n0,306,0,12.24\n306,400,15.0,16.0\n",
            r":3: start_frame 306 is at 12\.240 s",
        ),
        ("start_frame,end_frame\n0,400\n306,500\n", "from frame 306 overlaps the one before it, up to 400"),
        ("start_frame,end_frame\n0,999999\n", "ends at frame 999999, the video has 108001"),
        ("start_frame,end_frame\n5,5\n", ":2: a segment from frame 5 to 5 is empty"),
        ("start_frame,end_frame\nfive,9\n", ":2: start_frame = 'five'"),
        ("start_frame,end_frame,kind\n0,9,gland\n", ":2: kind = 'gland' is none of tissue"),
        ("start_frame,end_frame,verdict\n0,9,maybe\n", ":2: verdict = 'maybe' is none of accept"),
        ("start_frame,end_frame\n", "lists no segment"),
        ("hello\n", "is none of the known lists"),
        (
            "001  AX  V  C  00:00:00:30 00:00:10:00 00:00:00:00 00:00:10:00\n",
            ":1: timecode 00:00:00:30 does not exist",
        ),
        ("Scene Number,Start Frame,End Frame\n1,x,2\n", ":2: `Start Frame` and `End Frame` must be whole numbers"),
    ],
)
def test_a_list_that_cannot_be_used_is_named_with_its_line(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "list.txt").write_text(content)
    with pytest.raises(UserError, match=words) as caught:
        import_segments(lecture(25), tmp_path / "list.txt")
    assert "list.txt" in str(caught.value)


def test_a_list_of_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\x00\x01\x80")
    with pytest.raises(UserError, match="cannot be read as text"):
        import_segments(lecture(25), tmp_path / "list.csv")


def test_of_several_lectures_one_must_be_named() -> None:
    several = [lecture(25), lecture(25)._replace(video_id="other")]
    assert pick(several, "other").video_id == "other"
    with pytest.raises(UserError, match="name a lecture with --video: my lecture, part 1, other"):
        pick(several, None)
    with pytest.raises(UserError, match="--video third is not a lecture"):
        pick(several, "third")
