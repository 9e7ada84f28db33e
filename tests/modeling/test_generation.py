"""What people do with a model besides asking it in float32, one prompt at a time."""

import copy
import importlib.util
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from transformers import TextIteratorStreamer

from tests.modeling.conftest import encode, noise_frames, user
from videopath_hf.errors import UserError
from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration as Model
from videopath_hf.modeling.quantization import quantization

Loaded = tuple[Any, Any]
PROMPTS = [
    [user(noise_frames(4, seed=1), "Which diagnosis fits this clip best?")],
    [user(noise_frames(1, seed=2)[0], noise_frames(1, 80, 60, seed=3)[0], "Compare.")],
    [user("What is a goblet cell?")],
    [user(noise_frames(9, seed=4), noise_frames(1, seed=5)[0], "And these?")],
]


def answers(loaded: Loaded, prompts: list[Any], **options: Any) -> list[list[int]]:
    model, processor = loaded
    inputs = encode(processor, prompts).to(model.device, dtype=model.dtype)
    settings = {"do_sample": False, "max_new_tokens": 6, "min_new_tokens": 6, **options}
    return model.generate(**inputs, **settings)[:, inputs["input_ids"].shape[1] :].tolist()


def test_a_mixed_batch_answers_as_each_prompt_alone(loaded: Loaded) -> None:
    assert answers(loaded, PROMPTS) == [answers(loaded, [prompt])[0] for prompt in PROMPTS]


def test_tokens_stream_while_they_are_generated(loaded: Loaded) -> None:
    model, processor = loaded
    inputs = encode(processor, PROMPTS[0])
    streamer = TextIteratorStreamer(processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
    options = {**inputs, "do_sample": False, "max_new_tokens": 6, "streamer": streamer}
    thread = Thread(target=model.generate, kwargs=options)
    thread.start()
    text = "".join(streamer)
    thread.join()
    whole = model.generate(**inputs, do_sample=False, max_new_tokens=6)[0, inputs["input_ids"].shape[1] :]
    assert text == processor.decode(whole, skip_special_tokens=True)


@pytest.mark.parametrize(
    "chosen", ["eager", "sdpa", {"vision_config": "eager", "text_config": "sdpa"}, {"vision_config": "sdpa"}]
)
def test_attention_is_chosen_for_each_tower(checkpoint: Path, loaded: Loaded, chosen: Any) -> None:
    model = Model.from_pretrained(checkpoint, attn_implementation=chosen).eval()
    named = {"vision_config": chosen, "text_config": chosen} if isinstance(chosen, str) else chosen
    for part, implementation in named.items():
        assert getattr(model.config, part)._attn_implementation == implementation
    inputs = encode(loaded[1], PROMPTS[0])
    assert torch.allclose(model(**inputs).logits, loaded[0](**inputs).logits, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near_full_precision(checkpoint: Path, loaded: Loaded, dtype: torch.dtype) -> None:
    model = Model.from_pretrained(checkpoint, dtype=dtype).eval()
    inputs = encode(loaded[1], PROMPTS[0])
    half = model(**inputs.to("cpu", dtype=dtype)).logits
    assert half.dtype == dtype
    full = loaded[0](**inputs.to("cpu", dtype=torch.float32)).logits
    assert (half.float() - full).abs().max() < 0.05 * full.abs().max() + 0.05
    assert len(answers((model, loaded[1]), PROMPTS)) == len(PROMPTS)


@pytest.mark.parametrize("device_map", ["cpu", "auto", {"": "cpu"}])
def test_a_device_map_places_the_model(checkpoint: Path, loaded: Loaded, device_map: Any) -> None:
    model = Model.from_pretrained(checkpoint, device_map=device_map).eval()
    assert answers((model, loaded[1]), PROMPTS[:1]) == answers(loaded, PROMPTS[:1])


def test_a_static_cache_gives_the_same_answers(loaded: Loaded) -> None:
    assert answers(loaded, PROMPTS[:1], cache_implementation="static") == answers(loaded, PROMPTS[:1])
    assert answers(loaded, PROMPTS, cache_implementation="static") == answers(loaded, PROMPTS)


@pytest.mark.slow
def test_a_compiled_model_gives_the_same_numbers(loaded: Loaded, make_clip: Callable[..., Path]) -> None:
    # "eager" traces and guards as every other backend does, without a compiler's minutes.
    inputs = encode(loaded[1], PROMPTS[0])
    compiled = torch.compile(copy.deepcopy(loaded[0]), backend="eager")
    with torch.no_grad():
        assert torch.allclose(compiled(**inputs).logits, loaded[0](**inputs).logits, atol=1e-5)


def test_quantization_without_bitsandbytes_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"4-bit weights need `bitsandbytes`.*pip install bitsandbytes"):
        quantization(4)


def test_other_bits_are_refused() -> None:
    with pytest.raises(UserError, match="bits is 3; accepted are 4 and 8"):
        quantization(3)


@pytest.mark.parametrize("bits", [4, 8])
def test_quantized_language_models_answer(checkpoint: Path, loaded: Loaded, bits: int) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    model = Model.from_pretrained(checkpoint, quantization_config=quantization(bits), device_map="cpu").eval()
    kinds = {type(module).__name__ for module in model.model.language_model.modules()}
    assert kinds & {"Linear4bit", "Linear8bitLt"}
    assert not {type(module).__name__ for module in model.model.vision_tower.modules()} & {
        "Linear4bit",
        "Linear8bitLt",
    }
    assert len(answers((model, loaded[1]), PROMPTS[:1])[0]) == 6
