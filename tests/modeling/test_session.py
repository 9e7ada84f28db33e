import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.modeling.conftest import encode, noise_frames, user
from videopath_hf.modeling.session import STEPS, VideoSession
from videopath_hf.video.container import VideoError

Loaded = tuple[Any, Any]
QUESTIONS = ("Describe the tissue.", "Which diagnosis fits best, and why?", "Describe the tissue.")


def afresh(loaded: Loaded, message: Any, **options: Any) -> list[int]:
    """Ids that `generate` gives for a whole prompt."""
    model, processor = loaded
    inputs = encode(processor, [message], **options)
    output = model.generate(**inputs, do_sample=False, max_new_tokens=8)
    return output[0, inputs["input_ids"].shape[1] :].tolist()


def test_answers_are_those_of_asking_afresh(loaded: Loaded, make_clip: Callable[..., Path]) -> None:
    clip = make_clip(40)
    session = VideoSession(*loaded, [clip])
    for question in QUESTIONS:
        reply = session.ask(question, max_new_tokens=8)
        assert reply.tokens == afresh(loaded, user(clip, question))
        assert session.prompt_ids(question) == encode(loaded[1], [user(clip, question)])["input_ids"][0].tolist()


def test_next_token_scores_after_the_kept_cache_are_those_of_the_whole_prompt(
    loaded: Loaded, make_clip: Callable[..., Path]
) -> None:
    model, processor = loaded
    session = VideoSession(model, processor, [make_clip(20)])
    session.ask("Something else first?", max_new_tokens=3)
    scores: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[..., torch.Tensor]:
        def processor_(ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            scores.setdefault(name, logits.clone())
            return logits

        return processor_

    session.ask("What is it?", max_new_tokens=1, logits_processor=[keep("kept")])
    inputs = encode(processor, [user(make_clip(20), "What is it?")])
    model.generate(**inputs, do_sample=False, max_new_tokens=1, logits_processor=[keep("whole")])
    assert torch.allclose(scores["kept"], scores["whole"], atol=1e-5)


def test_images_videos_and_pixels_share_a_session(
    loaded: Loaded, make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    image = noise_frames(1, seed=3)[0]
    Image.fromarray(image).save(tmp_path / "slide.png")
    frames = noise_frames(5, seed=4)
    session = VideoSession(*loaded, [make_clip(6), tmp_path / "slide.png", frames])
    message = user(make_clip(6), image, frames, "Compare.")
    assert session.ask("Compare.", max_new_tokens=8).tokens == afresh(loaded, message)
    assert len(session.frame_times) == 6  # frames given as pixels carry no times


def test_media_are_looked_at_once(
    loaded: Loaded, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0
    encode_video = loaded[0].model.get_video_features

    def count(*args: Any, **kwargs: Any) -> Any:
        nonlocal looked
        looked += 1
        return encode_video(*args, **kwargs)

    monkeypatch.setattr(loaded[0].model, "get_video_features", count)
    session = VideoSession(*loaded, [make_clip(12)])
    seconds = [session.ask(question, max_new_tokens=2).seconds for question in QUESTIONS]
    assert looked == 1
    assert all(tuple(one) == STEPS for one in seconds)
    assert [one["decode"] > 0 for one in seconds] == [True, False, False]
    assert [one["vision"] > 0 for one in seconds] == [True, False, False]


def test_an_answer_comes_piece_by_piece(loaded: Loaded, make_clip: Callable[..., Path]) -> None:
    pieces: list[str] = []
    reply = VideoSession(*loaded, [make_clip(6)]).ask("Describe it.", max_new_tokens=12, on_text=pieces.append)
    assert "".join(pieces).strip() == reply.text


def test_a_stream_gives_the_pieces_and_then_the_whole_answer(loaded: Loaded, make_clip: Callable[..., Path]) -> None:
    session = VideoSession(*loaded, [make_clip(6)])
    options = {"max_new_tokens": 40, "repetition_penalty": 5.0}
    expected = session.ask("Describe it.", **options)
    pieces, stream = [], session.stream("Describe it.", **options)
    with pytest.raises(StopIteration) as end:
        while True:
            pieces.append(next(stream))
    assert len(pieces) > 1 and "".join(pieces).strip() == expected.text
    assert end.value.value.tokens == expected.tokens


def test_leaving_a_stream_stops_the_model_and_the_session_goes_on(
    loaded: Loaded, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = VideoSession(*loaded, [make_clip(6)])
    expected = session.ask("What?", max_new_tokens=4).tokens
    forward, steps = loaded[0].forward, []
    monkeypatch.setattr(loaded[0], "forward", lambda *args, **kwargs: steps.append(1) or forward(*args, **kwargs))
    stream = session.stream("Describe it.", max_new_tokens=4000, min_new_tokens=4000)
    next(stream)
    stream.close()
    assert len(steps) < 4000
    assert session.ask("What?", max_new_tokens=4).tokens == expected


def test_an_error_comes_out_of_the_stream(loaded: Loaded, make_clip: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match="holds the placeholder"):
        list(VideoSession(*loaded, [make_clip(6)]).stream("<|image_pad|>?"))


@pytest.mark.parametrize("position", ["grid", "frame", "one_token", "no_token"])
def test_answers_are_those_of_asking_afresh_whatever_the_newline_tokens(
    loaded: Loaded, make_clip: Callable[..., Path], position: str
) -> None:
    model, processor = (copy.deepcopy(part) for part in loaded)
    model.config.video_newline_position = processor.video_newline_position = position
    clip, image = make_clip(9), noise_frames(1, seed=3)[0]
    session = VideoSession(model, processor, [clip, image])
    prefix = session.prompt_ids("What?").count(processor.video_token_id)
    assert prefix == 9 * 16 + {"grid": 36, "frame": 9, "one_token": 1, "no_token": 0}[position]
    for question in QUESTIONS:
        message = user(clip, image, question)
        assert session.ask(question, max_new_tokens=8).tokens == afresh((model, processor), message)


def test_black_pictures_take_as_many_tokens(loaded: Loaded, make_clip: Callable[..., Path]) -> None:
    seen, blind = (VideoSession(*loaded, [make_clip(6)], blind=blind) for blind in (False, True))
    assert seen.prompt_ids("What?") == blind.prompt_ids("What?")
    other = VideoSession(*loaded, [make_clip(6, seed=9)], blind=True)
    assert blind.ask("What?", max_new_tokens=6).tokens == other.ask("What?", max_new_tokens=6).tokens


def test_sampling_options_of_generate_are_passed_on(loaded: Loaded, make_clip: Callable[..., Path]) -> None:
    session = VideoSession(*loaded, [make_clip(6)])
    beams = session.ask("What?", max_new_tokens=3, do_sample=True, temperature=5.0, top_k=0).tokens
    assert len(beams) <= 3
    greedy = session.ask("What?", max_new_tokens=6, repetition_penalty=5.0).tokens
    assert len(set(greedy)) == len(greedy)


def test_what_cannot_be_asked_is_refused(loaded: Loaded, make_clip: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one video or image"):
        VideoSession(*loaded, [])
    with pytest.raises(VideoError, match=r"none.mp4 does not exist"):
        VideoSession(*loaded, [tmp_path / "none.mp4"])
    with pytest.raises(ValueError, match=r"image .*none.png cannot be read: it does not exist"):
        VideoSession(*loaded, [str(tmp_path / "none.png")])
    with pytest.raises(ValueError, match=r"holds the placeholder <\|image_pad\|>"):
        VideoSession(*loaded, [make_clip(6)]).ask("What is <|image_pad|>?")
