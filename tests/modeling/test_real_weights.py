"""A tower and a decoder of other families than the default ones, with their real weights.

The folders are made by `tools/offline_models.py OUT dinov2-small smollm2-135m` of the team's shared folder;
VIDEOPATH_OFFLINE_MODELS is that OUT.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Dinov2Model

from tests.modeling.conftest import encode, noise_frames, user
from videopath_hf.modeling.assembly import assemble_model
from videopath_hf.modeling.loading import load_model
from videopath_hf.modeling.session import VideoSession

pytestmark = [pytest.mark.slow, pytest.mark.needs_shared]
QUESTIONS = ("What is the capital of France?", "Name three organs of the human body.")


@pytest.fixture(scope="module")
def parts() -> tuple[Path, Path]:
    """Folders of the tower and the decoder."""
    root = os.environ.get("VIDEOPATH_OFFLINE_MODELS")
    if root is None:
        pytest.skip("VIDEOPATH_OFFLINE_MODELS names no folder (tools/offline_models.py of the shared folder makes it)")
    for name in ("dinov2-small", "smollm2-135m"):
        if not (Path(root) / name / "config.json").is_file():
            pytest.skip(f"VIDEOPATH_OFFLINE_MODELS, {root}, holds no {name}: tools/offline_models.py {root} {name}")
    return Path(root) / "dinov2-small", Path(root) / "smollm2-135m"


@pytest.fixture(scope="module")
def folder(parts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both joined: patch tokens of DINOv2's middle layer, which knows most of tissue."""
    choices = {"vision_feature_layer": 6, "vision_feature_select_strategy": "default"}
    return assemble_model(*parts, tmp_path_factory.mktemp("real") / "model", vision_aspect_ratio="square", **choices)


@pytest.fixture(scope="module")
def real(folder: Path) -> tuple[Any, Any]:
    return load_model(folder)


def test_the_projector_sees_the_patch_tokens_of_the_middle_layer(
    parts: tuple[Path, Path], real: tuple[Any, Any]
) -> None:
    model, processor = real
    inputs = encode(processor, [user(noise_frames(2), "What?")])
    seen = []
    hook = model.model.multi_modal_projector.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.inference_mode():
        packed = model.model.get_video_features(inputs["pixel_values_videos"]).pooler_output[0]
        hook.remove()
        stock = Dinov2Model.from_pretrained(parts[0]).eval()
        hidden = stock(inputs["pixel_values_videos"][0], output_hidden_states=True).hidden_states
    assert hidden[6].shape == (2, 1 + 37 * 37, 384)
    assert torch.equal(seen[0], hidden[6][:, 1:])
    assert not torch.equal(seen[0], hidden[5][:, 1:])
    assert len(packed) == inputs["input_ids"][0].tolist().count(processor.video_token_id) == 2 * 19 * 19 + 1


def test_text_is_answered_as_by_the_decoder_alone(parts: tuple[Path, Path], real: tuple[Any, Any]) -> None:
    model, processor = real
    tokenizer = AutoTokenizer.from_pretrained(parts[1])
    stock = AutoModelForCausalLM.from_pretrained(parts[1], dtype=torch.float32).eval()
    for question in QUESTIONS:
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        options = {**ids, "do_sample": False, "max_new_tokens": 24}
        expected = stock.generate(**options)[0]
        assert torch.equal(model.generate(**options)[0], expected)
        assert processor.decode(expected) == tokenizer.decode(expected)


def test_it_answers_about_a_video_afresh_and_in_a_session(
    real: tuple[Any, Any], make_clip: Callable[..., Path]
) -> None:
    model, processor = real
    inputs = encode(processor, [user(make_clip(2), QUESTIONS[0])])
    output = model.generate(**inputs, do_sample=False, max_new_tokens=8)[0, inputs["input_ids"].shape[1] :].tolist()
    reply = VideoSession(model, processor, [make_clip(2)]).ask(QUESTIONS[0], max_new_tokens=8)
    assert reply.tokens == output and reply.text


def test_it_is_saved_and_opened_again_bit_by_bit(real: tuple[Any, Any], tmp_path: Path) -> None:
    model, processor = real
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again, report = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    load_model(tmp_path)
