import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.curation.conftest import FakeReader, lecture_frames, title
from videopath_hf.curation import pipeline
from videopath_hf.curation.lecture import read_result
from videopath_hf.curation.pipeline import curate
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.errors import MissingExtraError, TooManyRejectsError, UserError
from videopath_hf.files import file_sha256, read_json, read_records
from videopath_hf.records import ClipRecord, Reject, Segment
from videopath_hf.settings import load_settings
from videopath_hf.video.probe import probe

FAST = load_settings(CurateSettings, overrides=["screen_text.backend=none"])
SHORT = load_settings(CurateSettings, overrides=["screen_text.backend=none", "clips.max_seconds=2"])


def digest(out: Path) -> dict[str, str]:
    """The files that a re-run must reproduce byte by byte."""
    kept = ["clips.jsonl", "rejects.jsonl", "segments.jsonl", "clips/*", "sheets/*", "keyframes/*", "transcripts/*"]
    return {path.relative_to(out).as_posix(): file_sha256(path) for name in kept for path in sorted(out.glob(name))}


@pytest.fixture(scope="module")
def curated(lecture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("curated") / "out"
    curate([lecture], out, SHORT)
    return out


def test_a_lecture_becomes_clips_records_rejects_and_a_report(curated: Path, lecture: Path) -> None:
    clips = read_records(curated / "clips.jsonl", ClipRecord)
    assert [(clip.start, clip.end, clip.case) for clip in clips] == [
        (2.0, 4.0, 1), (4.0, 6.0, 1), (6.0, 8.0, 2), (8.0, 10.0, 2),
    ]  # fmt: skip
    assert [clip.diagnosis and clip.diagnosis.value for clip in clips] == ["Celiac disease"] * 2 + [
        "Melanosis coli"
    ] * 2
    assert [clip.organ and clip.organ.value for clip in clips] == ["duodenum"] * 2 + ["colon"] * 2
    assert clips[0].text == "The first case is a biopsy of the duodenum."
    for clip in clips:
        info = probe(curated / clip.clip)
        assert (info.frames, info.fps, info.has_audio) == (clip.frames, 2.0, False)
        assert (clip.width, clip.height, clip.sha256) == (640, 360, file_sha256(curated / clip.clip))
        assert all((curated / name).is_file() for name in clip.keyframes)
        assert clip.source == lecture.name and clip.video_id == "two_cases"
    rejects = read_records(curated / "rejects.jsonl", Reject)
    assert [(reject.start, reject.step, "title slide" in reject.reason) for reject in rejects] == [
        (0.0, "segments", True),
        (10.0, "segments", True),
    ]
    assert all(reject.figures["plain"] > 0.7 for reject in rejects)
    assert len(read_records(curated / "segments.jsonl", Segment)) == 4
    assert len(read_json(curated / "transcripts" / "two_cases.json")["sentences"]) == 5
    run = read_json(curated / "run.json")
    assert run["summary"]["clips"] == 4 and run["versions"]["av"]
    assert list(run["blocks"]) == list(SHORT.blocks)
    assert run["blocks"]["segment"]["seen"] == 4 and run["blocks"]["segment"]["rejected"] == 2
    assert run["blocks"]["clip"]["kept"] == run["blocks"]["quality"]["kept"] == 4
    assert run["blocks"]["probe"]["real_time_factor"] > 0 and run["peak_memory_mb"] > 50
    assert any("labels stay" in note for note in run["summary"]["notes"])
    assert (curated / "report.html").stat().st_size > 10_000


def test_an_identical_run_does_nothing_again(curated: Path, lecture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.stat().st_mtime_ns for path in curated.rglob("*") if path.is_file() and path.name != ".lock"}
    monkeypatch.setattr(pipeline, "_curate_all", None)  # nothing of a run may be needed
    summary = curate([lecture], curated, SHORT)
    assert summary.clips == 4 and summary.cases == {"two_cases/1": "Celiac disease", "two_cases/2": "Melanosis coli"}
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_run_goes_on_where_it_was_interrupted_and_ends_the_same(
    curated: Path, lecture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videopath_hf.curation import blocks
    from videopath_hf.curation import segment_blocks as module

    made: list[str] = []
    real = module.make_clip

    def interrupted(path: Path, plan: Any, *rest: Any) -> Any:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(plan.clip_id)
        return real(path, plan, *rest)

    monkeypatch.setattr(module, "cpus", lambda: 1)  # one clip after the other
    monkeypatch.setattr(module, "make_clip", interrupted)
    with pytest.raises(KeyboardInterrupt):
        curate([lecture], tmp_path / "out", SHORT, workers=0)
    assert not (tmp_path / "out" / "clips.jsonl").exists()

    def noted(path: Path, plan: Any, *rest: Any) -> Any:
        made.append(plan.clip_id)
        return real(path, plan, *rest)

    monkeypatch.setattr(module, "make_clip", noted)
    monkeypatch.setattr(blocks, "decode_pass", None)  # finished steps are not done again
    curate([lecture], tmp_path / "out", SHORT, workers=0)
    assert made == [f"two_cases_c{number:05d}" for number in range(4)]
    assert digest(tmp_path / "out") == digest(curated)


def test_a_clip_that_somebody_removed_is_made_again(curated: Path, lecture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(curated, out)
    (out / "clips" / "two_cases_c00001.mp4").unlink()
    curate([lecture], out, SHORT)
    assert digest(out) == digest(curated)


@pytest.mark.slow
def test_killed_at_any_moment_a_run_resumes_to_the_same_bytes(curated: Path, lecture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = (
        "import sys; from pathlib import Path; from tests.curation.test_pipeline import SHORT;"
        "from videopath_hf.curation.pipeline import curate; curate([Path(sys.argv[1])], Path(sys.argv[2]), SHORT)"
    )
    command = [sys.executable, "-c", code, str(lecture), str(out)]
    for finished in (1, 3, 7, 9):  # steps: in the middle of cuts, of reading, of clips
        process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        while process.poll() is None and len(list(out.glob(".work/*/*.json"))) < finished:
            time.sleep(0.005)
        assert process.poll() is None, "the run ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (out / "clips.jsonl").exists()
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
    assert digest(out) == digest(curated)
    assert not [path for path in out.rglob(".*") if path.is_file() and path.name not in (".lock", ".claim.json")]


@pytest.mark.parametrize(
    ("override", "again"),
    [
        ("quality.min_motion=0.1", set()),
        ("clips.crf=30", {"clip"}),
        ("screen_text.method=ns", {"read", "clip"}),
        ("cases.cue_seconds=5", set()),
        ("tissue.min_tissue=0.03", {"segment"}),
        ("transcript.language=en", {"transcribe"}),
    ],
)
def test_other_settings_do_again_only_what_depends_on_them(
    curated: Path, lecture: Path, tmp_path: Path, override: str, again: set[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(curated, out)
    settings = load_settings(CurateSettings, overrides=["screen_text.backend=none", "clips.max_seconds=2", override])
    curate([lecture], out, settings, workers=0)
    result = read_result(out, "two_cases")
    assert result is not None
    assert {name for name, block in result.blocks.items() if block.worked} == again
    curate([lecture], out, SHORT, workers=0)
    assert digest(out) == digest(curated)


def test_fewer_clips_leave_nothing_of_the_others(curated: Path, lecture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(curated, out)
    curate([lecture], out, FAST, workers=0)
    assert sorted(path.stem for path in (out / "clips").iterdir()) == ["two_cases_c00000", "two_cases_c00001"]
    curate([lecture], tmp_path / "fresh", FAST, workers=0)
    assert digest(out) == digest(tmp_path / "fresh")


def test_a_folder_of_other_lectures_is_refused(curated: Path, lecture_factory: Callable[..., Path]) -> None:
    other = lecture_factory("other.mp4", iter([title("Welcome")] * 10))
    before = digest(curated)
    with pytest.raises(UserError, match="another input or configuration"):
        curate([other], curated, SHORT)
    assert digest(curated) == before


def test_an_added_lecture_is_the_only_one_that_is_worked_on(
    curated: Path, lecture: Path, lecture_factory: Callable[..., Path], tmp_path: Path
) -> None:
    other = lecture_factory("other.mp4", itertools.islice(lecture_frames(), 40))
    out = tmp_path / "out"
    shutil.copytree(curated, out)
    made = {path: path.stat().st_mtime_ns for path in out.glob("clips/*")}
    assert curate([lecture, other], out, SHORT, workers=0).videos == 2
    assert made == {path: path.stat().st_mtime_ns for path in made}
    assert len(list(out.glob("clips/*"))) == len(made) + 1
    curate([lecture], out, SHORT, workers=0)  # and taken away again it leaves nothing behind
    assert digest(out) == digest(curated)


def test_a_broken_file_among_others_is_named_and_the_others_go_on(
    lecture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "broken.mp4"
    bad.write_text("not a video")
    summary = curate([lecture, bad], tmp_path / "out", FAST)
    assert (summary.videos, summary.failed, summary.clips) == (1, 1, 2)
    (reject,) = [r for r in read_records(tmp_path / "out" / "rejects.jsonl", Reject) if r.step == "probe"]
    assert reject.source == "broken.mp4" and reject.video_id == "broken" and "broken.mp4" in reject.reason


def test_too_many_broken_files_fail_the_run_after_the_others_are_saved(lecture: Path, tmp_path: Path) -> None:
    for name in ("x.mp4", "y.mp4"):
        (tmp_path / name).write_text("not a video")
    with pytest.raises(TooManyRejectsError, match=r"2 of 3 videos .* max_failed_videos = 0.5") as caught:
        curate([lecture, tmp_path / "x.mp4", tmp_path / "y.mp4"], tmp_path / "out", FAST)
    assert caught.value.exit_code == 3
    assert len(read_records(tmp_path / "out" / "clips.jsonl", ClipRecord)) == 2
    with pytest.raises(TooManyRejectsError):  # and it fails again, though nothing is left to do
        curate([lecture, tmp_path / "x.mp4", tmp_path / "y.mp4"], tmp_path / "out", FAST)


def test_a_single_broken_file_is_a_users_mistake_and_leaves_nothing_behind(tmp_path: Path) -> None:
    bad = tmp_path / "broken.mp4"
    bad.write_text("not a video")
    with pytest.raises(UserError, match=r"broken\.mp4"):
        curate([bad], tmp_path / "out", FAST)
    assert not (tmp_path / "out").exists()


def test_a_lecture_without_tissue_is_an_error_that_names_its_rejects(
    lecture_factory: Callable[..., Path], tmp_path: Path
) -> None:
    path = lecture_factory("talk.mp4", iter([title("Welcome")] * 30))
    for _ in range(2):
        with pytest.raises(UserError, match=r"no tissue found in talk\.mp4: the segments are 1 title; see .*rejects"):
            curate([path], tmp_path / "out", FAST)
    assert not (tmp_path / "out" / "clips.jsonl").exists()
    assert [reject.step for reject in read_records(tmp_path / "out" / "rejects.jsonl", Reject)] == ["segments"]


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match="holds no video file"):
        curate([tmp_path / "in"], tmp_path / "out", FAST)
    assert not (tmp_path / "out").exists()


def test_a_missing_extra_is_named_before_anything_is_made(
    lecture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "find_spec", lambda name: None if name == "scenedetect" else object())
    with pytest.raises(MissingExtraError, match=r"videopath-hf\[curate\]"):
        curate([lecture], tmp_path / "out", FAST)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("transcript.backend=sidecar", "no input has"),
        # openai-whisper is not installed, or has no such model.
        ("transcript.backend=whisper", r"transcript\.(backend=whisper|whisper_model: .*absent\.pt is not a file)"),
    ],
)
def test_a_backend_that_cannot_work_is_refused_before_anything_is_made(
    lecture: Path, tmp_path: Path, override: str, complaint: str
) -> None:
    video = tmp_path / "bare.mp4"
    video.symlink_to(lecture)
    settings = load_settings(
        CurateSettings, overrides=[override, f"transcript.whisper_model={tmp_path / 'absent.pt'}"]
    )
    with pytest.raises(UserError, match=complaint):
        curate([video], tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()


def test_without_words_and_labels_clips_are_made_and_nothing_is_guessed(lecture: Path, tmp_path: Path) -> None:
    video = tmp_path / "bare.mp4"
    video.symlink_to(lecture)
    summary = curate([video], tmp_path / "out", FAST)
    clips = read_records(tmp_path / "out" / "clips.jsonl", ClipRecord)
    assert [(clip.text, clip.organ, clip.diagnosis) for clip in clips] == [("", None, None)] * 2
    assert summary.cases == {"bare/1": None}
    assert any("no sound" in note for note in summary.notes)
    assert any("no diagnosis is spoken or shown for case 1" in note for note in summary.notes)


def test_labels_are_read_removed_and_used_as_evidence(
    lecture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = FakeReader("Diagnosis: celiac disease", (500, 20, 620, 50))
    monkeypatch.setattr(reader, "read", lambda image, *_: _shown(image))

    def _shown(image: Any) -> list[Any]:
        from videopath_hf.curation.ocr import ReadText

        tissue = image.shape[0] == 360 and image[0, 0, 2] > 90
        return [ReadText(text=reader.words, score=0.99, box=reader.box)] if tissue else []

    monkeypatch.setattr("videopath_hf.curation.ocr.make_reader", lambda settings: (reader, None))
    video = tmp_path / "bare.mp4"
    video.symlink_to(lecture)
    curate([video], tmp_path / "out", CurateSettings(), workers=0)
    clips = read_records(tmp_path / "out" / "clips.jsonl", ClipRecord)
    assert {clip.diagnosis.value for clip in clips if clip.diagnosis} == {"Celiac disease"}
    assert all(clip.diagnosis and clip.diagnosis.source == "text" for clip in clips)
    assert all([text.text for text in clip.removed_text] == [reader.words] for clip in clips)


@pytest.mark.slow
def test_the_sample_lecture_end_to_end(tmp_path: Path) -> None:
    from videopath_hf.samples import lecture_path

    pytest.importorskip("rapidocr")
    settings = load_settings(CurateSettings, overrides=["clips.max_seconds=4"])
    summary = curate([lecture_path()], tmp_path / "out", settings)
    assert list(summary.cases.values()) == ["FHL2-positive colonic mucosa", "FHL2-negative colonic mucosa"]
    check_two_cases(tmp_path / "out")
    clips = read_records(tmp_path / "out" / "clips.jsonl", ClipRecord)
    assert {clip.organ.value for clip in clips if clip.organ} == {"colon"}
    assert_no_text_is_left(tmp_path / "out", clips)


@pytest.mark.slow
@pytest.mark.needs_shared
@pytest.mark.parametrize("words", ["sidecar", "none"])
def test_the_development_lecture_end_to_end(shared: Path, tmp_path: Path, words: str) -> None:
    pytest.importorskip("rapidocr")
    settings = load_settings(CurateSettings, overrides=[f"transcript.backend={words}"])
    folder = shared / "lectures" / "dev"
    summary = curate([folder / "lecture.mp4"], tmp_path / "out", settings)
    assert list(summary.cases.values()) == ["Celiac disease", "Melanosis coli"]
    check_two_cases(tmp_path / "out")
    truth = json.loads((folder / "lecture.json").read_text())
    found = read_records(tmp_path / "out" / "segments.jsonl", Segment)
    kinds = ["title" if segment["kind"] == "outro" else segment["kind"] for segment in truth["segments"]]
    assert [segment.kind for segment in found] == kinds
    for segment, true in zip(found, truth["segments"], strict=True):
        assert abs(segment.start - true["start"]) <= 1 / 25
    clips = read_records(tmp_path / "out" / "clips.jsonl", ClipRecord)
    assert_no_text_is_left(tmp_path / "out", clips)
    insets = {person.box for clip in clips for person in clip.persons}
    true_insets = [person["box"] for person in truth["persons"] if person["role"] == "inset"]
    assert sorted(insets) == [pytest.approx(box, abs=4) for box in sorted(true_insets)]


def check_two_cases(out: Path) -> None:
    """Four tissue segments, the third and fourth going back to the first and second case; nothing else kept."""
    clips = read_records(out / "clips.jsonl", ClipRecord)
    segments = [s for s in read_records(out / "segments.jsonl", Segment) if s.kind == "tissue"]
    assert len(segments) == 4
    for number, segment in enumerate(segments):
        inside = [clip for clip in clips if segment.start <= clip.start and clip.end <= segment.end]
        assert inside and {clip.case for clip in inside} == {number % 2 + 1}
    assert all(any(s.start <= clip.start and clip.end <= s.end for s in segments) for clip in clips)
    assert [reject.reason for reject in read_records(out / "rejects.jsonl", Reject)] == [
        "shows a title slide, no tissue",
        "shows the presenter, no tissue",
        "shows a title slide, no tissue",
    ]


def assert_no_text_is_left(out: Path, clips: list[ClipRecord]) -> None:
    """Read every third frame of the clips at full size, which curation itself does not."""
    from videopath_hf.curation.ocr import RapidOcrReader
    from videopath_hf.video.decode import iter_frames

    reader = RapidOcrReader(1280)
    left = [
        (clip.clip_id, frame.index, text.text)
        for clip in clips
        for frame in iter_frames(out / clip.clip)
        if frame.index % 3 == 0
        for text in reader.read(frame.image)
        if text.score > 0.8 and sum(letter.isalpha() for letter in text.text) >= 4
    ]
    assert left == []
    assert sum(len(clip.removed_text) for clip in clips) >= 6


def test_nothing_of_the_machine_is_in_the_records(curated: Path, lecture: Path) -> None:
    for name in ("clips.jsonl", "rejects.jsonl", "segments.jsonl", "run.json", "report.html"):
        assert str(lecture.parent) not in (curated / name).read_text(encoding="utf-8")
        assert os.sep + "tmp" + os.sep not in (curated / name).read_text(encoding="utf-8")


def test_a_name_with_spaces_newlines_and_bytes_that_are_no_text_is_curated(lecture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    name = os.fsdecode("Fälle 1\n2 é ".encode() + b"\xff.mp4")
    shutil.copy(lecture, folder / name)
    shutil.copy(lecture.with_suffix(".srt"), (folder / name).with_suffix(".srt"))
    (folder / os.fsdecode(b"\xfe.mp4")).write_bytes(b"not a video")
    summary = curate([folder], tmp_path / "out", FAST)
    assert (summary.clips, summary.failed) == (2, 1)
    assert {clip.source for clip in read_records(tmp_path / "out" / "clips.jsonl", ClipRecord)} == {
        "Fälle 1\n2 é \\xff.mp4"
    }


def test_what_is_left_out_of_a_folder_is_written_out(lecture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(lecture, folder / "a.mp4")
    (folder / "link.mp4").symlink_to(lecture)
    assert any("link.mp4 was left out" in text for text in curate([folder], tmp_path / "out", FAST).notes)
    assert "link.mp4 was left out" in (tmp_path / "out" / "run.json").read_text()
