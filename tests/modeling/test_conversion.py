import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.modeling.conftest import encode, noise_frames, user
from tests.modeling.reference import SETTINGS, edit, edit_weights, in_two_files
from videopath_hf.modeling.conversion import convert_reference
from videopath_hf.modeling.loading import CheckpointError, load_model
from videopath_hf.modeling.reference_settings import KNOWN_TOWERS, reference_config

Loaded = tuple[Any, Any]


def same_answers(first: Any, second: Any, processor: Any) -> bool:
    inputs = encode(processor, [user(noise_frames(3), noise_frames(1)[0], "What?")])
    with torch.inference_mode():
        return torch.equal(first(**inputs).logits, second(**inputs).logits)


def test_a_converted_checkpoint_gives_the_same_numbers(reference: Path, loaded: Loaded, tmp_path: Path) -> None:
    model, processor = load_model(convert_reference(reference, tmp_path / "ours"))
    assert model.config.layout == loaded[0].config.layout
    assert same_answers(model, loaded[0], processor)
    report = json.loads((tmp_path / "ours" / "conversion.json").read_text())
    assert report["mapped"]["model.mm_projector.2.bias"] == "model.multi_modal_projector.linear_2.bias"
    assert len(report["mapped"]) == len(model.state_dict()) and report["dropped"] == {}
    assert report["dtype"] == "float32" and len(report["sha256"]) == 1


def test_several_files_of_weights_stay_several(reference: Path, loaded: Loaded, tmp_path: Path) -> None:
    files = in_two_files(reference)
    ours = convert_reference(reference, tmp_path / "ours")
    assert sorted(path.name for path in ours.glob("*.safetensors")) == files
    model, processor = load_model(ours)
    assert same_answers(model, loaded[0], processor)
    (reference / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match="lacks model-00002"):
        convert_reference(reference, tmp_path / "again")


def test_numbers_keep_their_type(reference: Path, tmp_path: Path) -> None:
    edit_weights(reference, lambda weights: weights.update({n: w.bfloat16() for n, w in weights.items()}))
    ours = convert_reference(reference, tmp_path / "ours")
    assert {weight.dtype for weight in load_file(ours / "model.safetensors").values()} == {torch.bfloat16}
    assert json.loads((ours / "config.json").read_text())["dtype"] == "bfloat16"


def test_ids_beyond_the_tokenizer_are_kept_but_never_produced(reference: Path, tmp_path: Path) -> None:
    def widen(weights: dict[str, torch.Tensor]) -> None:
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            weights[name] = torch.cat([weights[name], torch.full((3, weights[name].shape[1]), 50.0)])

    rows = json.loads((reference / "config.json").read_text())["vocab_size"]
    edit_weights(reference, widen)
    edit(reference, vocab_size=rows + 3)
    model, processor = load_model(convert_reference(reference, tmp_path / "ours"))
    assert model.lm_head.weight.shape[0] == rows + 3
    assert model.generation_config.suppress_tokens == [rows, rows + 1, rows + 2]
    inputs = encode(processor, [user("Hi")])
    assert int(model.generate(**inputs, max_new_tokens=8)[0].max()) < rows


def test_a_head_tied_to_the_embeddings_is_dropped_if_it_is_the_same(reference: Path, tmp_path: Path) -> None:
    edit(reference, tie_word_embeddings=True)
    with pytest.raises(CheckpointError, match=r"tie_word_embeddings.* differ"):
        convert_reference(reference, tmp_path / "ours")
    edit_weights(
        reference, lambda weights: weights.update({"lm_head.weight": weights["model.embed_tokens.weight"].clone()})
    )
    model, _ = load_model(convert_reference(reference, tmp_path / "ours"))
    assert model.lm_head.weight is model.get_input_embeddings().weight
    report = json.loads((tmp_path / "ours" / "conversion.json").read_text())
    assert list(report["dropped"]) == ["lm_head.weight"]
    assert "lm_head.weight" not in load_file(tmp_path / "ours" / "model.safetensors")


def test_placeholders_are_added_to_a_tokenizer_without_them(reference: Path, tmp_path: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        file = reference / name
        file.write_text(file.read_text().replace("<|video_pad|>", "<|other|>"))
    rows = json.loads((reference / "config.json").read_text())["vocab_size"]
    with pytest.raises(CheckpointError, match=f"{rows} rows of embeddings, too few for the {rows + 1} tokens"):
        convert_reference(reference, tmp_path / "ours")

    def widen(weights: dict[str, torch.Tensor]) -> None:
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            weights[name] = torch.cat([weights[name], torch.zeros(8, weights[name].shape[1])])

    edit_weights(reference, widen)
    edit(reference, vocab_size=rows + 8)
    model, processor = load_model(convert_reference(reference, tmp_path / "ours"))
    assert model.config.video_token_id == processor.video_token_id == rows


def test_a_low_rank_adapter_is_merged_over_the_full_weights(reference: Path, loaded: Loaded, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    shutil.copy(reference / "config.json", adapter)
    settings = {"peft_type": "LORA", "bias": "none", "r": 2, "lora_alpha": 8, "target_modules": ["q_proj"]}
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    torch.manual_seed(0)
    a, b, newline = torch.randn(2, 128), torch.randn(128, 2), torch.randn(128)
    stem = "base_model.model.model.layers.1.self_attn.q_proj.lora_"
    torch.save({f"{stem}A.weight": a, f"{stem}B.weight": b}, adapter / "adapter_model.bin")
    torch.save({"base_model.model.model.image_newline": newline}, adapter / "non_lora_trainables.bin")
    model, _ = load_model(convert_reference(reference, tmp_path / "ours", adapter=adapter))
    base = loaded[0].model
    weight = model.model.language_model.layers[1].self_attn.q_proj.weight
    expected = base.language_model.layers[1].self_attn.q_proj.weight + 4.0 * (b @ a)
    assert torch.allclose(weight, expected, atol=1e-6)
    assert torch.equal(model.model.image_newline, newline)
    assert torch.equal(
        model.model.language_model.layers[0].self_attn.q_proj.weight,
        base.language_model.layers[0].self_attn.q_proj.weight,
    )

    torch.save({f"{stem.replace('q_proj', 'z_proj')}A.weight": a}, adapter / "adapter_model.bin")
    with pytest.raises(CheckpointError, match="without its B"):
        convert_reference(reference, tmp_path / "again", adapter=adapter)
    (adapter / "adapter_model.bin").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="cannot be read"):
        convert_reference(reference, tmp_path / "again", adapter=adapter)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("model.image_newline"), r"lacks 1 weights, e\.g\. model\.image_newline"),
        (lambda weights: weights.update({"model.norm.bias": torch.zeros(1)}), "does not know"),
        (lambda weights: weights.update({"model.image_newline": torch.zeros(3)}), "another shape"),
        (lambda weights: weights.update({"strange": torch.zeros(3)}), "strange, which has no place"),
    ],
)
def test_weights_that_do_not_fit_are_named_and_nothing_is_written(
    reference: Path, tmp_path: Path, change: Callable[..., Any], message: str
) -> None:
    edit_weights(reference, change)
    with pytest.raises(CheckpointError, match=message):
        convert_reference(reference, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mm_projector_type": "linear"}, "mm_projector_type = 'linear'"),
        ({"add_faster_video": True}, "add_faster_video = True"),
        ({"mm_newline_position": "row"}, "video_newline_position"),
        ({"mm_patch_merge_type": "spatial"}, "patch_merge_type"),
        ({"architectures": ["LlavaLlamaForCausalLM"]}, "LlavaLlamaForCausalLM"),
        ({"image_aspect_ratio": "highres"}, "'highres'"),
    ],
)
def test_settings_without_a_counterpart_are_named(
    reference: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    edit(reference, **changes)
    with pytest.raises(CheckpointError, match=message) as caught:
        convert_reference(reference, tmp_path / "ours")
    assert "\n" not in str(caught.value)


def test_a_tower_that_is_not_known_must_be_described(reference: Path, loaded: Loaded, tmp_path: Path) -> None:
    shutil.rmtree(reference / "vision_tower_config")
    with pytest.raises(CheckpointError, match="names vision tower 'tower', which is not known"):
        convert_reference(reference, tmp_path / "ours")
    tower = loaded[0].config.vision_config.to_dict()
    load_model(convert_reference(reference, tmp_path / "ours", vision_config=tower))


def test_a_plain_language_model_is_not_guessed_to_be_one_of_theirs(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError):
        convert_reference(tmp_path, tmp_path / "ours")


def test_pinpoints_of_their_settings_are_width_first() -> None:
    names = {"model.vision_tower.vision_tower.vision_model.encoder.layers.25.layer_norm1.bias": None}
    tower = KNOWN_TOWERS["siglip-so400m-patch14-384"]
    settings = {**SETTINGS, "image_grid_pinpoints": [[384, 768], [1152, 384]], "vocab_size": 100}
    config = reference_config(Path("x"), settings, tower, names)
    assert config.image_grid_pinpoints == [[768, 384], [384, 1152]]
    assert config.vision_config.num_hidden_layers == 26 and config.layout.side == 27
    grid = reference_config(Path("x"), {**settings, "image_grid_pinpoints": "(1x1),...,(2x2)"}, tower, names)
    assert grid.image_grid_pinpoints == [[384, 384], [768, 384], [384, 768], [768, 768]]
