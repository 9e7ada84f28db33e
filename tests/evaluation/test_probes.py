"""Probes: what is shown, what it costs, what is written, and what happens when something breaks."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videopath_hf.cli.probe import probe
from videopath_hf.data.folder import read_instructions
from videopath_hf.data.media import media_paths
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.evaluation.answering import Answerer
from videopath_hf.evaluation.probes import asking
from videopath_hf.evaluation.probes.run import probe_model
from videopath_hf.evaluation.probes.settings import Probe, ProbeSettings
from videopath_hf.evaluation.probes.showing import Clip, decode_clip, needle_frame, shown
from videopath_hf.evaluation.probes.summary import ProbeAnswer
from videopath_hf.files import read_records
from videopath_hf.modeling.loading import load_model
from videopath_hf.modeling.session import DecodedVideo, VideoSession
from videopath_hf.settings import load_settings
from videopath_hf.video.encode import write_clip

SHORT = ProbeSettings(max_new_tokens=6, frames=(1, 2, 8), black=(0.5, 1.0), shuffled=(1.0,), needle=(0.0, 1.0))
COUNT = 1 + 3 + 2 + 1 + 1 + 1 + 2


@pytest.fixture(scope="module")
def loaded(tiny: Path) -> tuple[Any, Any]:
    return load_model(tiny)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 40 frames, each of its own brightness."""
    file = tmp_path_factory.mktemp("clip") / "long.mp4"
    write_clip(file, [np.full((64, 64, 3), 20 + 5 * number, np.uint8) for number in range(40)], 2.0)
    return file


@pytest.fixture(scope="module")
def clip(loaded: tuple[Any, Any], path: Path) -> Clip:
    return decode_clip(loaded[1], path, (1, 4, 32))


def levels(video: DecodedVideo) -> list[int]:
    return [int(frame.mean()) for frame in video.frames]


def test_a_clip_is_decoded_once_to_the_frames_that_the_processor_would_take(
    loaded: tuple[Any, Any], clip: Clip, path: Path
) -> None:
    video = loaded[1].video_processor
    plain, metadata = video.sample_video(path)
    assert np.array_equal(clip.plain.frames, plain)
    assert clip.plain.metadata.times == metadata.times
    for count in (1, 4, 32):
        frames, known = video.sample_video(path, num_frames=count)
        assert np.array_equal(clip.sampled[count].frames, frames)
        assert clip.sampled[count].metadata.frames_indices == known.frames_indices
        assert clip.sampled[count].metadata.timestamps == known.timestamps


def test_half_black_is_half_of_all_black_and_the_clip_itself_stays(clip: Clip) -> None:
    before = clip.plain.frames.copy()
    quarter, half, whole = (levels(shown(Probe("black", share), clip, "s")) for share in (0.25, 0.5, 1.0))
    assert (quarter.count(0), half.count(0), whole.count(0)) == (8, 16, 32)
    assert {at for at, level in enumerate(quarter) if not level} < {at for at, level in enumerate(half) if not level}
    kept = [level for level in half if level]
    assert kept == [level for level, seen in zip(levels(clip.plain), half, strict=True) if seen]
    assert np.array_equal(clip.plain.frames, before)


def test_shuffled_frames_all_move_and_none_is_lost_and_the_seed_decides(clip: Clip) -> None:
    plain = levels(clip.plain)
    moved = levels(shown(Probe("shuffled", 1.0), clip, "a"))
    assert sorted(moved) == plain
    assert all(one != other for one, other in zip(moved, plain, strict=True))
    assert moved == levels(shown(Probe("shuffled", 1.0), clip, "a"))
    assert moved != levels(shown(Probe("shuffled", 1.0), clip, "b"))
    half = levels(shown(Probe("shuffled", 0.5), clip, "a"))
    assert sum(one != other for one, other in zip(half, plain, strict=True)) == 16


def test_reversed_is_backwards_and_a_needle_lies_where_it_is_wanted(
    loaded: tuple[Any, Any], clip: Clip, path: Path
) -> None:
    plain = levels(clip.plain)
    assert levels(shown(Probe("reversed"), clip, "s")) == plain[::-1]
    needle = needle_frame(loaded[1], path)
    assert (needle[0] == (255, 221, 0)).all()
    assert int(needle[needle.shape[0] // 2, needle.shape[1] // 2].mean()) == pytest.approx(20 + 5 * 20, abs=3)
    for place, at in ((0.0, 0), (0.5, 16), (1.0, 31)):
        frames = shown(Probe("needle", place), clip, "s", needle).frames
        assert [number for number, frame in enumerate(frames) if np.array_equal(frame, needle)] == [at]


def test_decoded_frames_are_answered_about_as_the_file_is(loaded: tuple[Any, Any], clip: Clip, path: Path) -> None:
    model, processor = loaded
    file, decoded = VideoSession(model, processor, [path]), VideoSession(model, processor, [clip.plain])
    assert file.ask("What is seen?", 8).tokens == decoded.ask("What is seen?", 8).tokens
    assert file.frame_times == decoded.frame_times
    processor.video_processor.time_sentence = True
    try:
        texts = [VideoSession(model, processor, [item]).prompt_ids("What?") for item in (path, clip.plain)]
    finally:
        processor.video_processor.time_sentence = False
    assert texts[0] == texts[1]


def test_every_probe_changes_what_the_model_is_given(loaded: tuple[Any, Any], clip: Clip, path: Path) -> None:
    pixels = {}
    needle = needle_frame(loaded[1], path)
    for one in SHORT.probes():
        if one.kind not in ("no_frames", "frames"):
            session = VideoSession(*loaded, [shown(one, clip, "s", needle)])
            pixels[one] = session._inputs["pixel_values_videos"].numpy().tobytes()
    assert len(set(pixels.values())) == len(pixels) == 7


def test_all_answers_are_written_with_plain_ones_as_evaluation_gives_them(
    tiny: Path, dataset: Path, tmp_path: Path, loaded: tuple[Any, Any]
) -> None:
    result = probe_model(tiny, dataset, tmp_path / "out", SHORT)
    answers = read_records(tmp_path / "out" / "answers.jsonl", ProbeAnswer)
    records = read_instructions(dataset, ["video"], "test")
    assert len(answers) == len({answer.key for answer in answers}) == COUNT * len(records)
    plain = {answer.id: answer.answer for answer in answers if answer.probe == "plain"}
    answerer = Answerer(*loaded, "tiny")
    for record in records:
        assert plain[record.id] == answerer.ask(media_paths(dataset, record), record.question, max_new_tokens=6).answer
    black = {answer.id: answer.answer for answer in answers if (answer.probe, answer.amount) == ("black", 1.0)}
    for record in records:
        blind = answerer.ask(media_paths(dataset, record), record.question, max_new_tokens=6, zero_frames=True)
        assert black[record.id] == blind.answer
    assert {answer.needle for answer in answers if answer.probe == "needle"} == {record.id for record in records}
    assert [len(result.points), result.coverage, result.records] == [COUNT, 1.0, 2]
    assert json.loads((tmp_path / "out" / "probes.json").read_text()) == result.model_dump(mode="json")
    point = result.point(Probe("plain"))
    assert point and (point.similarity, point.changed, point.frames) == (1.0, 0.0, 4.0)
    eight = result.point(Probe("frames", 8.0))
    assert eight and (eight.frames, eight.changed) == (4.0, 0.0)
    assert any("of 8 frames fewer were shown" in note for note in result.notes)


def test_each_clip_is_decoded_once_for_all_probes(
    tiny: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    monkeypatch.setattr(
        asking, "read_media", lambda processor, paths, counts, read=asking.read_media: (
            decoded.append(paths[0].name), read(processor, paths, counts)
        )[1],
    )  # fmt: skip
    probe_model(tiny, dataset, tmp_path / "out", SHORT)
    clips = [record.media[0].path.split("/")[-1] for record in read_instructions(dataset, ["video"], "test")]
    assert decoded[: len(clips)] == clips
    # The page reads the clips again whose frames it shows.
    assert len(decoded) <= 2 * len(clips)


def test_a_killed_run_goes_on_and_ends_with_the_same_result(
    tiny: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = probe_model(tiny, dataset, tmp_path / "whole", SHORT)
    asked: list[str] = []
    ask = VideoSession.ask

    def counted(self: VideoSession, question: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(question)
        if len(asked) == 9:
            raise KeyboardInterrupt
        return ask(self, question, *args, **kwargs)

    monkeypatch.setattr(VideoSession, "ask", counted)
    with pytest.raises(KeyboardInterrupt):
        probe_model(tiny, dataset, tmp_path / "out", SHORT)
    kept = read_records(tmp_path / "out" / "answers.jsonl", ProbeAnswer)
    assert 8 <= len(kept) <= 9
    with (tmp_path / "out" / "answers.jsonl").open("a") as stream:
        stream.write('{"id": "half a li')
    again = probe_model(tiny, dataset, tmp_path / "out", SHORT)
    assert again.model_copy(update={"seconds": whole.seconds}) == whole
    # One question of each record shows nothing and needs no session; the interrupted one was asked twice.
    assert len(asked) == 2 * (COUNT - 1) + 1
    asked.clear()
    assert probe_model(tiny, dataset, tmp_path / "out", SHORT) == again
    assert asked == []
    with pytest.raises(UserError, match="another input or configuration"):
        probe_model(tiny, dataset, tmp_path / "out", SHORT.model_copy(update={"seed": 1}))


def test_a_clip_that_does_not_decode_is_null_and_named_and_the_command_fails(
    tiny: Path, dataset: Path, tmp_path: Path
) -> None:
    shutil.copytree(dataset, tmp_path / "data")
    bad, good = read_instructions(dataset, ["video"], "test")
    (tmp_path / "data" / bad.media[0].path).write_bytes(b"not a video")
    with pytest.raises(TooManyRejectsError, match=r"of the answers could be had"):
        probe_model(tiny, tmp_path / "data", tmp_path / "out", SHORT)
    answers = read_records(tmp_path / "out" / "answers.jsonl", ProbeAnswer)
    assert {answer.id for answer in answers} == {good.id}
    assert "needle" not in {answer.probe for answer in answers}, "its needle is from the broken clip"
    written = json.loads((tmp_path / "out" / "probes.json").read_text())
    assert set(written["failures"]) == {bad.id, good.id}
    plain = written["points"][0]
    assert (plain["n"], plain["scored"]) == (2, 1)
    shutil.copyfile(dataset / bad.media[0].path, tmp_path / "data" / bad.media[0].path)
    assert probe_model(tiny, tmp_path / "data", tmp_path / "out", SHORT).coverage == 1


def test_the_page_has_curves_and_frames_and_shows_answers_as_text(
    tiny: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = VideoSession.ask

    def hostile(self: VideoSession, *args: Any, **kwargs: Any) -> Any:
        return ask(self, *args, **kwargs)._replace(text="<script>alert(1)</script>\nDiagnosis: x")

    monkeypatch.setattr(VideoSession, "ask", hostile)
    probe_model(tiny, dataset, tmp_path / "out", SHORT)
    page = (tmp_path / "out" / "probes.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert page.count("data:image/jpeg;base64,") == 2 * (COUNT - 1)
    for words in ("Frames shown", "Black frames", "Shuffled frames", "Needle", "never advice for care"):
        assert words in page


def test_settings_that_make_no_sense_are_refused(tiny: Path, dataset: Path, tmp_path: Path) -> None:
    for override, message in (
        ("kinds=[image]", "known kinds: clip, video"),
        ("black=[2]", "less than or equal to 1"),
        ("frames=[0]", "greater than or equal to 1"),
        ("shuffle=[1]", "did you mean 'shuffled'"),
    ):
        with pytest.raises(UserError, match=message):
            load_settings(ProbeSettings, None, [override])
    with pytest.raises(UserError, match="not a dataset folder"):
        probe_model(tiny, tmp_path / "nothing", tmp_path / "out", SHORT)
    assert not (tmp_path / "out").exists()


def test_a_limit_takes_as_many_records_and_without_another_tissue_there_is_no_needle(
    tiny: Path, dataset: Path, tmp_path: Path
) -> None:
    result = probe_model(tiny, dataset, tmp_path / "out", SHORT.model_copy(update={"limit": 1}))
    assert (result.records, result.coverage) == (1, 1.0)
    assert not [point for point in result.points if point.probe == "needle"]
    assert any("1 of 1 records have no needle" in note for note in result.notes)


def test_the_command_prints_a_table_or_json(
    tiny: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        sys.executable,
        "-m",
        "videopath_hf",
        "probe",
        "-m",
        str(tiny),
        "-d",
        str(dataset),
        "-o",
        str(tmp_path / "o"),
    ]
    few = ["-s", "max_new_tokens=4", "-s", "frames=[1]", "-s", "black=[1]", "-s", "needle=[]", "-s", "shuffled=[]"]
    done = subprocess.run([*words, *few], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["shown", "frames", "right", "similar", "changed", "needle", "answers"]
    assert [line.split("  ")[0] for line in lines[1:-1]] == [
        "as it is",
        "1 evenly spaced",
        "100% of the frames black",
        "no frames, the question alone",
        "backwards",
    ]
    probe(str(tiny), dataset, tmp_path / "out", overrides=few[1::2], as_json=True)
    assert [point["scored"] for point in json.loads(capsys.readouterr().out)["points"]] == [2] * 5
