from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from videopath_hf.data.folder import read_instructions
from videopath_hf.data.media import media_paths
from videopath_hf.errors import UserError
from videopath_hf.evaluation.answering import Answerer
from videopath_hf.modeling.loading import load_model
from videopath_hf.video.encode import write_clip


@pytest.fixture(scope="module")
def answerer(tiny: Path) -> Answerer:
    return Answerer(*load_model(tiny), "tiny")


@pytest.fixture
def clip(dataset: Path) -> Path:
    """A clip of four frames at 2 a second."""
    (path,) = media_paths(dataset, read_instructions(dataset, ["video"], "test")[0])
    return path


def inputs_of(answerer: Answerer, monkeypatch: pytest.MonkeyPatch, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """What the model is given for a question asked afresh."""
    seen: dict[str, Any] = {}
    base, generate = answerer.model.model, answerer.model.generate
    encode = {"pixel_values": base.get_image_features, "pixel_values_videos": base.get_video_features}

    def spy_on(name: str) -> Any:
        def spy(*pixels: Any, **named: Any) -> Any:
            seen[name] = named[name] if named else pixels[0]
            return encode[name](*pixels, **named)

        return spy

    def spy_generate(**inputs: Any) -> Any:
        seen.update(inputs)
        return generate(**inputs)

    with monkeypatch.context() as patch:
        patch.setattr(base, "get_image_features", spy_on("pixel_values"))
        patch.setattr(base, "get_video_features", spy_on("pixel_values_videos"))
        patch.setattr(answerer.model, "generate", spy_generate)
        Answerer(answerer.model, answerer.processor, "tiny").ask(*args, **kwargs, max_new_tokens=1)
    return seen


def test_an_answer_says_how_it_came_to_be(answerer: Answerer, clip: Path) -> None:
    answer = answerer.ask([clip], "Which diagnosis?", id="r1", max_new_tokens=5, reference_diagnosis="x")
    assert answer.frame_times == [0.0, 0.5, 1.0, 1.5]
    assert 1 <= answer.tokens <= 5
    assert tuple(answer.seconds) == ("decode", "preprocess", "vision", "prefill", "generate")
    assert all(value >= 0 for value in answer.seconds.values())
    assert (answer.id, answer.model, answer.media, answer.frames_zeroed) == ("r1", "tiny", [str(clip)], False)
    assert answer.reference_diagnosis == "x"
    assert answer == answerer.ask(
        [clip], "Which diagnosis?", id="r1", max_new_tokens=5, reference_diagnosis="x"
    ).model_copy(update={"seconds": answer.seconds})


def test_what_the_model_says_is_taken_apart(answerer: Answerer, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Blunt villi.\nDiagnosis: Celiac disease"

    def speak(**inputs: Any) -> torch.Tensor:
        spoken = answerer.processor.tokenizer(said + "<|im_end|>", return_tensors="pt")["input_ids"]
        return torch.cat([inputs["input_ids"], spoken], dim=1)

    monkeypatch.setattr(answerer.model, "generate", speak)
    answer = answerer.ask([clip], "Which diagnosis?")
    assert (answer.answer, answer.description, answer.diagnosis) == (said, "Blunt villi.", "Celiac disease")


def test_the_model_is_given_what_the_processor_makes_of_the_file(
    answerer: Answerer, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = inputs_of(answerer, monkeypatch, [clip], "Which diagnosis?")
    content = [{"type": "video", "path": str(clip)}, {"type": "text", "text": "Which diagnosis?"}]
    expected = answerer.processor.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=True,
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
    )
    for name in ("input_ids", "attention_mask", "pixel_values_videos"):
        assert torch.equal(seen[name], expected[name]), name
    assert seen["do_sample"] is False


def test_blind_the_model_sees_as_many_black_frames_and_the_same_words(
    answerer: Answerer, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = inputs_of(answerer, monkeypatch, [clip], "Which diagnosis?")
    blind = inputs_of(answerer, monkeypatch, [clip], "Which diagnosis?", zero_frames=True)
    assert torch.equal(full["input_ids"], blind["input_ids"])
    assert full["pixel_values_videos"].shape == blind["pixel_values_videos"].shape
    assert (blind["pixel_values_videos"] == -1).all()
    assert not (full["pixel_values_videos"] == -1).all()


def test_blind_answers_do_not_depend_on_the_clip(answerer: Answerer, dataset: Path) -> None:
    clips = [media_paths(dataset, record)[0] for record in read_instructions(dataset, ["video"], "test")]
    first, second = (answerer.ask([clip], "What?", zero_frames=True, max_new_tokens=8) for clip in clips)
    assert first.answer == second.answer
    assert first.frames_zeroed


def test_a_long_clip_gives_as_many_frames_as_the_processor_takes(answerer: Answerer, tmp_path: Path) -> None:
    frames = [np.full((32, 32, 3), number, np.uint8) for number in range(80)]
    write_clip(tmp_path / "long.mp4", frames, 2.0)
    answer = answerer.ask([tmp_path / "long.mp4"], "What?", max_new_tokens=1)
    assert len(answer.frame_times) == 32
    assert (answer.frame_times[0], answer.frame_times[-1]) == (0.0, 39.5)


def test_images_and_videos_can_be_asked_about_together(
    answerer: Answerer, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(np.full((40, 60, 3), 99, np.uint8)).save(tmp_path / "a.PNG")
    seen = inputs_of(answerer, monkeypatch, [tmp_path / "a.PNG", clip], "What?")
    assert seen["pixel_values"].shape[0] == 1
    assert seen["pixel_values_videos"].shape[0] == 1
    blind = inputs_of(answerer, monkeypatch, [tmp_path / "a.PNG", clip], "What?", zero_frames=True)
    assert torch.equal(blind["input_ids"], seen["input_ids"])
    # Tiles are padded with zeros in number; the first tile is the image itself.
    assert (blind["pixel_values"][0, 0] == -1).all()


def test_a_picture_that_is_open_already_is_answered_about_as_its_file(answerer: Answerer, tmp_path: Path) -> None:
    for colour in (40, 200):
        Image.fromarray(np.full((40, 60, 3), colour, np.uint8)).save(tmp_path / "a.png")
        with Image.open(tmp_path / "a.png") as picture:
            given = answerer.ask([picture.copy()], "What?", max_new_tokens=4)
        assert given.answer == answerer.ask([tmp_path / "a.png"], "What?", max_new_tokens=4).answer
        assert given.media == ["Image"] and given.seconds["vision"] > 0


def test_media_that_cannot_be_read_are_named(answerer: Answerer, tmp_path: Path) -> None:
    for name in ("a.jpg", "a.mp4"):
        with pytest.raises(UserError, match=name):
            answerer.ask([tmp_path / name], "What?")
        (tmp_path / name).write_text("text")
        with pytest.raises(UserError, match=name):
            answerer.ask([tmp_path / name], "What?")


def test_questions_about_the_same_media_pay_for_looking_once(answerer: Answerer, clip: Path) -> None:
    fresh = Answerer(answerer.model, answerer.processor, "tiny")
    first, second = (fresh.ask([clip], question, max_new_tokens=4) for question in ("Which organ?", "Any necrosis?"))
    assert first.seconds["decode"] > 0 and first.seconds["vision"] > 0
    assert second.seconds["decode"] == second.seconds["vision"] == 0
    again = Answerer(answerer.model, answerer.processor, "tiny").ask([clip], "Any necrosis?", max_new_tokens=4)
    assert again.seconds["decode"] > 0
    assert (again.answer, again.frame_times) == (second.answer, second.frame_times)


def test_a_file_written_anew_and_other_frames_are_looked_at_again(answerer: Answerer, tmp_path: Path) -> None:
    fresh = Answerer(answerer.model, answerer.processor, "tiny")
    for frames in (4, 6):
        write_clip(tmp_path / "clip.mp4", [np.full((32, 32, 3), number, np.uint8) for number in range(frames)], 2.0)
        assert len(fresh.ask([tmp_path / "clip.mp4"], "What?", max_new_tokens=1).frame_times) == frames
    fresh.processor.video_processor.num_frames = 3
    try:
        assert len(fresh.ask([tmp_path / "clip.mp4"], "What?", max_new_tokens=1).frame_times) == 3
    finally:
        fresh.processor.video_processor.num_frames = 32


def test_a_placeholder_in_a_question_is_refused(answerer: Answerer, clip: Path) -> None:
    with pytest.raises(UserError, match=r"holds the placeholder <\|video_pad\|>"):
        answerer.ask([clip], "What is <|video_pad|>?")
