import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from tests.modeling.conftest import encode, noise_frames, user
from tests.modeling.reference import edit, stock_names_since_4_52
from tests.modeling.reference import edit_weights as edit_reference
from videopath_hf.errors import UserError
from videopath_hf.modeling.conversion import convert
from videopath_hf.modeling.loading import CheckpointError, load_model
from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration


@pytest.fixture
def copied(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_weights(folder: Path, name: str, value: torch.Tensor | None) -> None:
    weights = load_file(folder / "model.safetensors")
    if value is None:
        del weights[name]
    else:
        weights[name] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_sound_checkpoint_opens_in_evaluation_mode_and_the_type_asked_for(checkpoint: Path) -> None:
    model, processor = load_model(checkpoint, dtype="bfloat16")
    assert not model.training and model.dtype == torch.bfloat16
    assert processor.image_token_id == model.config.image_token_id


def test_a_missing_weight_is_named(copied: Path) -> None:
    edit_weights(copied, "model.image_newline", None)
    with pytest.raises(CheckpointError, match=r"lacks 1 weights: model\.image_newline"):
        load_model(copied)


def test_a_weight_too_many_is_named(copied: Path) -> None:
    edit_weights(copied, "model.extra", torch.zeros(2))
    with pytest.raises(CheckpointError, match=r"does not know, 1 weights: model\.extra"):
        load_model(copied)


def test_a_weight_of_another_shape_is_named(copied: Path) -> None:
    edit_weights(copied, "model.image_newline", torch.zeros(3))
    with pytest.raises(CheckpointError, match="image_newline"):
        load_model(copied)


def test_processor_and_model_must_count_alike(copied: Path) -> None:
    edit_json(copied / "processor_config.json", video_newline_position="grid")
    with pytest.raises(CheckpointError, match=r"newline_position is 'grid' in processor_config\.json and 'one_token'"):
        load_model(copied)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "qwen2"}, "of type 'qwen2'"),
        ({"model_type": "llava_onevision"}, "lacks weights"),
        ({"model_type": "llava_next"}, "of type 'llava_next'"),
    ],
)
def test_another_kind_of_checkpoint_is_named(tmp_path: Path, config: dict, message: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        load_model(tmp_path)


def test_a_checkpoint_of_the_published_implementation_opens_directly(
    reference: Path, loaded: tuple[Any, Any], checkpoint: Path
) -> None:
    model, processor = load_model(reference)
    for name, weight in loaded[0].state_dict().items():
        assert torch.equal(weight, model.state_dict()[name]), name
    assert model.config.layout == loaded[0].config.layout
    assert model.generation_config.eos_token_id == processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    inputs = encode(processor, [user(noise_frames(3), "What?")])
    ours = encode(loaded[1], [user(noise_frames(3), "What?")])
    assert torch.equal(inputs["input_ids"], ours["input_ids"])
    with torch.inference_mode():
        assert torch.equal(model(**inputs).logits, loaded[0](**ours).logits)


@pytest.mark.parametrize("spelling", ["published", "new"])
def test_a_plain_llava_onevision_checkpoint_opens_directly(reference: Path, tmp_path: Path, spelling: str) -> None:
    edit(reference, image_aspect_ratio="anyres_max_9")
    convert(reference, tmp_path / "stock", "llava_onevision")
    if spelling == "new":
        stock_names_since_4_52(tmp_path / "stock" / "model.safetensors")
    model, processor = load_model(tmp_path / "stock")
    expected, other = load_model(reference)
    assert model.state_dict().keys() == expected.state_dict().keys()
    for name, weight in expected.state_dict().items():
        assert torch.equal(weight, model.state_dict()[name]), name
    messages = [user(noise_frames(3), noise_frames(1)[0], "What?")]
    assert torch.equal(encode(processor, messages)["input_ids"], encode(other, messages)["input_ids"])


def test_from_pretrained_opens_it_too_and_saves_it_as_ours(
    reference: Path, loaded: tuple[Any, Any], tmp_path: Path
) -> None:
    edit(reference, torch_dtype="bfloat16")
    model = VideoPathLlavaForConditionalGeneration.from_pretrained(reference, dtype="bfloat16")
    assert model.dtype == torch.bfloat16 and model.config.image_token_id == loaded[0].config.image_token_id
    model.save_pretrained(tmp_path / "saved")
    again = VideoPathLlavaForConditionalGeneration.from_pretrained(tmp_path / "saved", dtype="bfloat16")
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("model.norm.weight"), r"lacks 1 weights, e\.g\. model\.language_model\.norm"),
        (lambda weights: weights.update({"model.norm.bias": torch.zeros(1)}), "does not know"),
        (lambda weights: weights.update({"model.image_newline": torch.zeros(3)}), "another shape"),
    ],
)
def test_a_spoilt_checkpoint_of_theirs_never_runs_on_random_weights(
    reference: Path, change: Callable[..., Any], message: str
) -> None:
    edit_reference(reference, change)
    for opens in (load_model, VideoPathLlavaForConditionalGeneration.from_pretrained):
        with pytest.raises(CheckpointError, match=message):
            opens(reference)


def test_weights_nobody_needs_do_not_stop_a_checkpoint_of_theirs(reference: Path, loaded: tuple[Any, Any]) -> None:
    def change(weights: dict[str, torch.Tensor]) -> None:
        weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
        weights["model.vision_tower.vision_tower.vision_model.head.probe"] = torch.ones(1, 1, 4)
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()

    edit(reference, tie_word_embeddings=True)
    edit_reference(reference, change)
    for model in (load_model(reference)[0], VideoPathLlavaForConditionalGeneration.from_pretrained(reference)):
        assert model.lm_head.weight is model.get_input_embeddings().weight
        assert torch.equal(model.lm_head.weight, loaded[0].get_input_embeddings().weight)


def test_auto_classes_never_fill_weights_with_random_numbers(copied: Path) -> None:
    edit_weights(copied, "model.image_newline", None)
    with pytest.raises(CheckpointError, match=r"lacks 1 weights: model\.image_newline"):
        AutoModelForImageTextToText.from_pretrained(copied)
    _, report = AutoModelForImageTextToText.from_pretrained(copied, output_loading_info=True)
    assert set(report["missing_keys"]) == {"model.image_newline"}


def test_a_checkpoint_that_merges_flat_needs_no_newline_token(reference: Path) -> None:
    edit(reference, mm_patch_merge_type="flat", image_aspect_ratio="square")
    edit_reference(reference, lambda weights: weights.pop("model.image_newline"))
    model, _ = load_model(reference)
    assert not model.model.image_newline.any()


def test_an_adapter_is_told_to_be_merged(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="merge it first"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("./no/such/folder", "does not exist"),
        ("nobody/no-such-model", "Hub"),
        ("no-such-folder", "does not exist"),
    ],
)
def test_what_is_not_there_is_one_sentence(path: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_and_a_broken_file_are_one_sentence(tmp_path: Path, copied: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        load_model(tmp_path)
    (copied / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="cannot be opened") as caught:
        load_model(copied)
    assert "\n" not in str(caught.value)


def test_an_unknown_type_of_numbers_is_refused(checkpoint: Path) -> None:
    with pytest.raises(UserError, match="float64"):
        load_model(checkpoint, dtype="float64")


@pytest.mark.parametrize("chosen", ["eager", {"vision_config": "eager", "text_config": "sdpa"}])
def test_attention_is_passed_on(checkpoint: Path, chosen: Any) -> None:
    model, _ = load_model(checkpoint, attn_implementation=chosen)
    named = {"vision_config": chosen, "text_config": chosen} if isinstance(chosen, str) else chosen
    assert {part: getattr(model.config, part)._attn_implementation for part in named} == named


def test_a_device_map_decides_instead_of_the_device(checkpoint: Path) -> None:
    model, _ = load_model(checkpoint, device="cpu", device_map={"": "meta"})
    assert model.device.type == "meta" and not model.training


def test_attention_that_is_not_there_is_one_sentence(checkpoint: Path) -> None:
    for chosen in ("flash_attention_9", {"text_config": "flash_attention_9"}):
        with pytest.raises(CheckpointError, match=r"cannot be opened: .*flash_attention_9") as caught:
            load_model(checkpoint, attn_implementation=chosen)
        assert "\n" not in str(caught.value)


def test_a_folder_has_no_revision(checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match="only models of the Hub have revisions"):
        load_model(checkpoint, revision="main")


@pytest.mark.parametrize("layout", ["ours", "theirs"])
def test_a_model_of_the_hub_opens_at_a_revision_and_knows_its_commit(
    checkpoint: Path, reference: Path, tmp_path: Path, layout: str
) -> None:
    commit = "0123456789abcdef" * 2 + "01234567"
    stored = tmp_path / "hub" / "models--somebody--model"
    shutil.copytree(checkpoint if layout == "ours" else reference, stored / "snapshots" / commit)
    (stored / "refs").mkdir()
    (stored / "refs" / "v1").write_text(commit)
    code = (
        "from videopath_hf.modeling.loading import CheckpointError, load_model\n"
        "print(load_model('somebody/model', revision='v1')[0].config._commit_hash)\n"
        "try:\n    load_model('somebody/model', revision='v2')\n"
        "except CheckpointError as error:\n    print(error)"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found, refusal = done.stdout.splitlines()
    assert found == commit
    assert "no model of that id and revision 'v2' can be fetched" in refusal


def test_fewer_bits_need_bitsandbytes(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="8-bit weights need `bitsandbytes`"):
        load_model(checkpoint, bits=8)
