"""Evidence is the change of an answer's log-probability, as of greying parts out and reading everything again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.modeling.conftest import TEXTS, encode, noise_frames, user
from videopath_hf.modeling.evidence import Evidence, occlude
from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor
from videopath_hf.modeling.session import VideoSession
from videopath_hf.modeling.templates import CHATML_TEMPLATE
from videopath_hf.modeling.tiny import random_model, tiny_config, train_tokenizer

QUESTION = "Describe the tissue."


def read_whole(loaded: tuple[Any, Any], medium: Any, tokens: list[int], target: slice) -> float:
    """Log-probability of some of the answer's tokens, everything read afresh from pixels."""
    model, processor = loaded
    inputs = encode(processor, [user(medium, QUESTION)], do_sample_frames=False)
    prompt = inputs["input_ids"].shape[1]
    inputs["input_ids"] = torch.cat((inputs["input_ids"], torch.tensor([tokens])), dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    with torch.inference_mode():
        scores = model(**inputs).logits[0, prompt - 1 : -1].log_softmax(-1)
    return float(scores[range(len(tokens)), tokens][target].sum())


def last(steps: Any) -> Evidence:
    return list(steps)[-1]


@pytest.mark.parametrize("newlines", ["grid", "frame", "one_token", "no_token"])
def test_drops_are_those_of_reading_everything_again(newlines: str) -> None:
    tokenizer = train_tokenizer(TEXTS)
    config = tiny_config(tokenizer, video_newline_position=newlines)
    processor = VideoPathLlavaProcessor.from_config(config, tokenizer, CHATML_TEMPLATE)
    loaded = (random_model(config, tokenizer, 1), processor)
    session = VideoSession(*loaded, [noise_frames(5)], keep_shown=True)
    tokens = session.ask(QUESTION, max_new_tokens=6).tokens
    target = slice(1, 5)
    # Three frames a batch: batches that begin at different frames, and one that is not full.
    found = last(
        occlude(session, QUESTION, tokens, target, top=1, grid=2, batch_tokens=3 * len(session.prompt_ids(QUESTION)))
    )
    frames = session.shown[0]
    whole = read_whole(loaded, frames, tokens, target)
    blind = read_whole(loaded, np.full_like(frames, 128), tokens, target)
    assert found.log_prob == pytest.approx(whole, abs=1e-4)
    assert found.blind == pytest.approx(blind, abs=1e-4)
    assert found.complete and found.measured == 2 * 5 + 4
    for number in range(5):
        missed, alone = frames.copy(), np.full_like(frames, 128)
        missed[number], alone[number] = 128, frames[number]
        assert found.without[number] == pytest.approx(whole - read_whole(loaded, missed, tokens, target), abs=1e-4)
        assert found.alone[number] == pytest.approx(read_whole(loaded, alone, tokens, target) - blind, abs=1e-4)
        assert found.frames[number] == pytest.approx((found.without[number] + found.alone[number]) / 2)
    (strongest,) = found.regions
    assert strongest == int(np.argmax(found.frames))
    alone = np.full_like(frames, 128)
    alone[strongest] = frames[strongest]
    base = read_whole(loaded, alone, tokens, target)
    alone[strongest, :49, 49:] = 128
    assert found.regions[strongest][0][1] == pytest.approx(base - read_whole(loaded, alone, tokens, target), abs=1e-4)
    assert len({round(drop, 6) for row in found.regions[strongest] for drop in row}) == 4


def test_regions_of_an_image_reach_all_its_tiles(loaded: tuple[Any, Any], tmp_path: Path) -> None:
    image = noise_frames(1, height=120, width=200, seed=3)[0]
    Image.fromarray(image).save(tmp_path / "slide.png")
    session = VideoSession(*loaded, [tmp_path / "slide.png"], keep_shown=True)
    tokens = session.ask(QUESTION, max_new_tokens=6).tokens
    found = last(occlude(session, QUESTION, tokens, grid=1))
    whole = read_whole(loaded, image, tokens, slice(None))
    masked = image.copy()
    masked[60:, :100] = 128
    assert found.frames == []
    assert found.blind == pytest.approx(read_whole(loaded, np.full_like(image, 128), tokens, slice(None)), abs=1e-4)
    assert found.regions[0][1][0] == pytest.approx(whole - read_whole(loaded, masked, tokens, slice(None)), abs=1e-4)
    assert found.regions[0][1][0] != pytest.approx(0, abs=1e-6)


def test_what_is_measured_first_covers_the_whole_clip(loaded: tuple[Any, Any]) -> None:
    session = VideoSession(*loaded, [noise_frames(8)], keep_shown=True)
    tokens = session.ask(QUESTION, max_new_tokens=3).tokens
    steps = occlude(session, QUESTION, tokens, batch_tokens=1)
    for _ in range(5):
        found = next(steps)
    known = [number for number, drop in enumerate(found.frames) if drop is not None]
    assert known == [0, 2, 4, 6]
    assert not found.complete


def test_when_time_is_up_no_part_is_begun(loaded: tuple[Any, Any]) -> None:
    session = VideoSession(*loaded, [noise_frames(8)], keep_shown=True)
    tokens = session.ask(QUESTION, max_new_tokens=3).tokens
    (found,) = occlude(session, QUESTION, tokens, max_seconds=0)
    assert (found.measured, found.complete) == (0, False)


def test_what_cannot_be_measured_is_said(loaded: tuple[Any, Any], make_clip: Callable[..., Path]) -> None:
    session = VideoSession(*loaded, [make_clip(6)])
    tokens = session.ask(QUESTION, max_new_tokens=3).tokens
    with pytest.raises(ValueError, match="one medium that the session kept, not of 0"):
        next(occlude(session, QUESTION, tokens))
    kept = VideoSession(*loaded, [make_clip(6)], keep_shown=True)
    with pytest.raises(ValueError, match="holds no token"):
        next(occlude(kept, QUESTION, tokens, slice(3, 3)))
