import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from tests.modeling.conftest import checkpoint, make_clip, noise_frames  # noqa: F401
from videopath_hf import RESEARCH_NOTICE
from videopath_hf.cli.main import app
from videopath_hf.errors import UserError
from videopath_hf.evaluation.answering import Answerer
from videopath_hf.serving.ask import DEFAULT_QUESTION, NO_DIAGNOSIS

Ask = Callable[..., str]


@pytest.fixture
def ask(checkpoint: Path) -> Ask:  # noqa: F811
    """Runs `videopath ask` with a tiny model and returns what it prints; errors come as they are raised."""

    def run(*arguments: Any) -> str:
        words = ["ask", *map(str, arguments), "--model", str(checkpoint), "--max-new-tokens", "4"]
        result = CliRunner().invoke(app, words)
        if result.exception is not None:
            raise result.exception
        return result.stdout

    return run


def test_the_json_tells_all_about_each_answer(ask: Ask, checkpoint: Path, make_clip: Callable[..., Path]) -> None:  # noqa: F811
    clip = make_clip(50)
    printed = json.loads(ask(clip, "-q", "Which organ?", "-q", "Any necrosis?", "--frames", 5, "--json"))
    assert printed["notice"] == RESEARCH_NOTICE
    first, second = printed["answers"]
    assert [first["question"], second["question"]] == ["Which organ?", "Any necrosis?"]
    for answer in (first, second):
        assert answer["frame_times"] == pytest.approx([0, 1.2, 2.4, 3.6, 4.9])
        assert answer["model"] == str(checkpoint)
        assert {"answer", "description", "diagnosis", "revision"} <= set(answer)
        assert 1 <= answer["tokens"] <= 4
        assert list(answer["seconds"]) == ["decode", "preprocess", "vision", "prefill", "generate"]
    assert first["seconds"]["decode"] > 0
    assert second["seconds"]["decode"] == second["seconds"]["vision"] == 0


def test_device_and_precision_are_chosen_and_half_precision_is_used(
    ask: Ask,
    make_clip: Callable[..., Path],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    class Noting(Answerer):
        def __init__(self, model: Any, *args: Any) -> None:
            seen.append((model.device.type, model.dtype))
            super().__init__(model, *args)

    monkeypatch.setattr("videopath_hf.evaluation.answering.Answerer", Noting)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ask(make_clip(6), "-q", "What?")
    ask(make_clip(6), "-q", "What?", "--device", "cpu", "--dtype", "bfloat16")
    assert seen == [("cpu", torch.float32), ("cpu", torch.bfloat16)]


def test_frames_may_be_taken_by_the_second(ask: Ask, make_clip: Callable[..., Path]) -> None:  # noqa: F811
    (answer,) = json.loads(ask(make_clip(50), "-q", "What?", "--sampling", "fps", "--json"))["answers"]
    assert answer["frame_times"] == [0, 1, 2, 3, 4]


def test_without_a_question_the_best_diagnosis_is_asked_for(ask: Ask, make_clip: Callable[..., Path]) -> None:  # noqa: F811
    printed = ask(make_clip(6))
    assert printed.startswith(f"Question: {DEFAULT_QUESTION}\n")
    assert f"Diagnosis: {NO_DIAGNOSIS}" in printed
    assert printed.rstrip().endswith(RESEARCH_NOTICE)


def test_a_stream_prints_the_words_of_the_answer(ask: Ask, make_clip: Callable[..., Path]) -> None:  # noqa: F811
    (answer,) = json.loads(ask(make_clip(6), "-q", "What?", "--json"))["answers"]
    printed = ask(make_clip(6), "-q", "What?", "--stream")
    assert answer["answer"] in printed
    assert NO_DIAGNOSIS in printed


def test_images_and_videos_are_shown_together(ask: Ask, make_clip: Callable[..., Path], tmp_path: Path) -> None:  # noqa: F811
    Image.fromarray(noise_frames(1)[0]).save(tmp_path / "slide.png")
    (answer,) = json.loads(ask(make_clip(6), tmp_path / "slide.png", "-q", "What?", "--json"))["answers"]
    assert answer["media"] == [str(make_clip(6)), str(tmp_path / "slide.png")]
    assert len(answer["frame_times"]) == 6


def test_fewer_bits_need_bitsandbytes(
    ask: Ask,
    make_clip: Callable[..., Path],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else find(name))
    with pytest.raises(UserError, match="4-bit weights need `bitsandbytes`"):
        ask(make_clip(6), "--quantization", "4bit")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.mp4", "-q", "What?"], "none.mp4 does not exist"),
        (["http://127.0.0.1:9/a.mp4", "-q", "What?"], "http://127.0.0.1:9/a.mp4 cannot be fetched"),
        (["CLIP", "-q", " "], "a question is blank"),
        (["CLIP", "-q", "<|video_pad|>?"], "holds the placeholder"),
        (["CLIP", "--stream", "--json"], "give one of them"),
        (["CLIP", "--device", "cuda:99"], "device is 'cuda:99', but torch finds"),
        (["CLIP", "--revision", "main"], "only models of the Hub have revisions"),
        (["TEXT.png", "-q", "What?"], "TEXT.png cannot be read"),
        (["TEXT.mp4", "-q", "What?"], "TEXT.mp4 is not a video"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    ask: Ask,
    make_clip: Callable[..., Path],  # noqa: F811
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    for name in ("TEXT.png", "TEXT.mp4"):
        (tmp_path / name).write_text("words")
    places = {"CLIP": make_clip(6), "TEXT.png": tmp_path / "TEXT.png", "TEXT.mp4": tmp_path / "TEXT.mp4"}
    with pytest.raises(UserError, match=message.replace(".", r"\.")) as caught:
        ask(*(places.get(argument, argument) for argument in arguments))
    assert "\n" not in str(caught.value)
