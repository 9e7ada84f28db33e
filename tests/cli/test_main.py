"""The command as a user types it: a mistake is one sentence on stderr, a non-zero exit and nothing left behind."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run
from videopath_hf import __version__
from videopath_hf.cli.main import app
from videopath_hf.samples import lecture_path
from videopath_hf.video.encode import write_clip


@pytest.fixture
def plain_video(tmp_path: Path) -> Path:
    """Three seconds of a dark blue slide: a video without tissue and without sound."""
    frame = np.full((180, 320, 3), (23, 39, 74), dtype=np.uint8)
    write_clip(tmp_path / "plain.mp4", [frame] * 30, fps=10)
    return tmp_path / "plain.mp4"


def assert_one_sentence(result: tuple[int, str, str], *words: str) -> None:
    code, out, err = result
    last = err.strip().splitlines()[-1]
    assert code not in (0, 1)
    assert last.startswith("videopath: error: ")
    assert "Traceback" not in err
    assert out == ""
    for word in words:
        assert word in last


def test_version_and_help_answer(run: Run) -> None:
    assert run("--version") == (0, f"{__version__}\n", "")
    code, out, _ = run("--help")
    assert code == 0
    assert "Example: videopath demo" in out


def test_every_verb_has_help_with_an_example(run: Run) -> None:
    verbs = [command.name for command in app.registered_commands]
    assert verbs == [
        "demo",
        "curate",
        "instruct",
        "labels",
        "plan",
        "train",
        "merge",
        "evaluate",
        "probe",
        "score",
        "compare",
        "leaderboard",
        "convert",
        "ask",
        "app",
        "serve",
        "doctor",
    ]
    for verb in verbs:
        code, out, _ = run(verb, "--help")
        assert code == 0
        assert f"Example: videopath {verb}" in out


def test_an_unknown_option_is_named(run: Run) -> None:
    code, _, err = run("curate", "--bogus")
    assert code == 2
    assert "No such option: --bogus" in err


def test_a_lecture_that_does_not_exist_is_named(run: Run, tmp_path: Path) -> None:
    assert_one_sentence(run("demo", "--lecture", tmp_path / "none.mp4", "--out", tmp_path / "out"), "none.mp4")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["demo", "curate"])
def test_a_file_that_is_no_video_is_named_and_nothing_is_left(run: Run, tmp_path: Path, verb: str) -> None:
    fake = tmp_path / "notes.mp4"
    fake.write_text("not a video")
    words = ["curate", fake] if verb == "curate" else ["demo", "--lecture", fake]
    assert_one_sentence(run(*words, "--out", tmp_path / "out"), "notes.mp4")
    assert not (tmp_path / "out" / "curated" / "clips.jsonl").exists()
    assert not (tmp_path / "out" / "clips.jsonl").exists()


def test_a_video_without_tissue_is_named_and_no_clips_are_written(run: Run, tmp_path: Path, plain_video: Path) -> None:
    assert_one_sentence(run("curate", plain_video, "--out", tmp_path / "out"), "no tissue")
    assert not list(tmp_path.rglob("clips.jsonl"))


def test_an_empty_folder_of_lectures_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lectures").mkdir()
    assert_one_sentence(run("curate", tmp_path / "lectures", "--out", tmp_path / "out"), "lectures")
    assert not (tmp_path / "out").exists()


def test_output_of_another_configuration_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".claim.json").write_text(json.dumps({"what": "demo", "key": "0123456789abcdef"}))
    assert_one_sentence(run("demo", "--out", tmp_path / "out"), "another input or configuration")


def test_a_foreign_folder_is_refused_and_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.docx").touch()
    assert_one_sentence(run("curate", lecture_path(), "--out", tmp_path / "out"), "not of a curate run")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.docx"]


def test_an_unknown_setting_names_the_nearest_known_one(run: Run, tmp_path: Path) -> None:
    result = run("curate", lecture_path(), "--out", tmp_path / "out", "--set", "clips.max_second=4")
    assert_one_sentence(result, "clips.max_second", "max_seconds")


@pytest.mark.parametrize("model", ["someone/some-model", "missing_folder/"])
def test_a_model_that_cannot_be_had_is_named(run: Run, tmp_path: Path, plain_video: Path, model: str) -> None:
    assert_one_sentence(run("ask", plain_video, "-q", "What is it?", "--model", model), model.rstrip("/"))


def test_a_recipe_that_does_not_exist_is_named(run: Run, tmp_path: Path) -> None:
    assert_one_sentence(run("train", tmp_path / "none.yaml"), "none.yaml")


def test_a_folder_that_was_not_curated_is_named(run: Run, tmp_path: Path) -> None:
    assert_one_sentence(run("instruct", tmp_path, "--out", tmp_path / "out"), "clips.jsonl")


def test_a_full_or_read_only_disk_is_one_sentence(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "clips.jsonl")

    monkeypatch.setattr("videopath_hf.curation.pipeline.curate", full)
    assert_one_sentence(run("curate", lecture_path(), "--out", tmp_path / "out"), "No space left on device")


def test_ctrl_c_is_one_sentence_that_says_how_to_go_on(
    run: Run, tmp_path: Path, plain_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("videopath_hf.curation.pipeline.curate", interrupted)
    result = run("curate", str(plain_video), "--out", str(tmp_path / "out"))
    assert result[0] == 130
    assert_one_sentence(result, "interrupted", "run the same command again")
