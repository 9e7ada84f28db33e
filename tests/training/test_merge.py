"""Merging: equal to the adapter, other than the base, refused when something does not fit."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.synthetic import texts
from videopath_hf.errors import UserError
from videopath_hf.files import read_json, write_json
from videopath_hf.training.merge import TOLERANCE, merge_adapter
from videopath_hf.training.parts import prepare_parts
from videopath_hf.training.recipe import LoraSettings, TrainableSettings

PARTS = TrainableSettings(projector=True, vision_tower=True, language_model="lora")


@pytest.fixture
def make(tiny: Path, tmp_path: Path) -> Callable[..., Path]:
    """Saves an adapter on the tiny checkpoint; `scale` of 0 leaves it as it was made, untrained."""

    def build(scale: float = 0.05) -> Path:
        from videopath_hf.modeling.loading import load_model
        from videopath_hf.training.merge import save_adapter

        model = prepare_parts(load_model(tiny)[0], PARTS, LoraSettings(r=4, alpha=8))
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter), alpha=scale)
        save_adapter(model, tmp_path / "adapter", str(tiny))
        return tmp_path / "adapter"

    return build


def test_the_merged_checkpoint_answers_as_the_adapter_and_not_as_the_base(
    make: Callable[..., Path], tiny: Path, tmp_path: Path
) -> None:
    from videopath_hf.modeling.loading import load_model

    adapter = make()
    result = merge_adapter(adapter, tmp_path / "merged")
    assert result.difference_to_adapter <= TOLERANCE < 0.01 < result.difference_to_base
    load_model(result.model)
    base, merged = load_file(tiny / "model.safetensors"), load_file(result.model / "model.safetensors")
    delta = load_file(adapter / "adapter_model.safetensors")
    name = "model.language_model.layers.0.self_attn.q_proj"
    a, b = (delta[f"base_model.model.{name}.lora_{letter}.weight"] for letter in "AB")
    torch.testing.assert_close(merged[f"{name}.weight"], base[f"{name}.weight"] + 8 / 4 * b @ a)


def test_merging_again_does_nothing_and_another_folder_is_not_overwritten(
    make: Callable[..., Path], tmp_path: Path
) -> None:
    adapter = make()
    first = merge_adapter(adapter, tmp_path / "merged")
    stamp = (first.model / "model.safetensors").stat().st_mtime_ns
    assert merge_adapter(adapter, tmp_path / "merged") == first
    assert (first.model / "model.safetensors").stat().st_mtime_ns == stamp
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not lose")
    with pytest.raises(UserError, match="holds other files than this adapter merged"):
        merge_adapter(adapter, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "do not lose"


def test_an_adapter_that_was_never_trained_is_refused(make: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="changes nothing"):
        merge_adapter(make(scale=0), tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_base_that_has_changed_since_is_refused(make: Callable[..., Path], tiny: Path, tmp_path: Path) -> None:
    from videopath_hf.modeling.tiny import build_tiny

    adapter = make()
    other = build_tiny(texts(), tmp_path / "other", seed=1)
    config = read_json(adapter / "adapter_config.json")
    write_json(adapter / "adapter_config.json", {**config, "base_model_name_or_path": str(other)})
    with pytest.raises(UserError, match=r"is not the checkpoint that .*adapter was trained on"):
        merge_adapter(adapter, tmp_path / "merged")
    write_json(adapter / "adapter_config.json", {**config, "base_model_name_or_path": str(tmp_path / "gone")})
    with pytest.raises(UserError, match=r"the base of .*adapter, .*gone, is gone"):
        merge_adapter(adapter, tmp_path / "merged")


def test_a_folder_without_an_adapter_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not an adapter: it has no adapter_config\.json"):
        merge_adapter(tiny, tmp_path / "merged")


def test_weights_that_do_not_merge_are_caught(
    make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft.tuners.lora.layer import Linear

    whole = Linear.get_delta_weight
    monkeypatch.setattr(Linear, "get_delta_weight", lambda self, adapter: whole(self, adapter) * 1.01)
    with pytest.raises(UserError, match=r"does not merge: .* logits differ by"):
        merge_adapter(make(), tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize("layout", ["videopath", "llava_onevision", "llava_next"])
def test_a_merged_checkpoint_loads_without_a_missing_weight_in_every_layout(
    layout: str, make: Callable[..., Path], tmp_path: Path
) -> None:
    from videopath_hf.modeling.layouts import recognise
    from videopath_hf.modeling.loading import load_model

    adapter = make()
    config = read_json(adapter / "config.json")
    write_json(adapter / "config.json", {**config, "vision_aspect_ratio": "anyres_max_9"})
    whole = load_model(merge_adapter(adapter, tmp_path / "ours").model)[0].state_dict()
    result = merge_adapter(adapter, tmp_path / "merged", layout=layout)
    assert recognise(read_json(result.model / "config.json"), result.model) == result.layout == layout
    loaded = load_model(result.model)[0].state_dict()
    assert all(torch.equal(loaded[name], weight) for name, weight in whole.items())
    assert not [path for path in result.model.iterdir() if path.name.startswith(".")]
    if layout == "llava_onevision":
        from transformers import LlavaOnevisionForConditionalGeneration

        _, report = LlavaOnevisionForConditionalGeneration.from_pretrained(result.model, output_loading_info=True)
        assert not report["missing_keys"] and not report["unexpected_keys"]


def test_newlines_that_a_layout_cannot_express_are_refused_before_merging(
    make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = make()
    config = read_json(adapter / "config.json")
    write_json(adapter / "config.json", {**config, "video_newline_position": "grid"})
    monkeypatch.setattr("videopath_hf.training.merge._merge", None)
    with pytest.raises(UserError, match="grid"):
        merge_adapter(adapter, tmp_path / "merged", layout="llava_onevision")
    with pytest.raises(UserError, match=r"layout is 'gguf'; accepted are videopath, llava_onevision, llava_next"):
        merge_adapter(adapter, tmp_path / "merged", layout="gguf")


def test_a_base_that_has_moved_is_named_and_another_one_is_refused(
    make: Callable[..., Path], tiny: Path, tmp_path: Path
) -> None:
    from videopath_hf.modeling.tiny import build_tiny

    adapter = make()
    moved = shutil.copytree(tiny, tmp_path / "moved")
    config = read_json(adapter / "adapter_config.json")
    write_json(adapter / "adapter_config.json", {**config, "base_model_name_or_path": str(tmp_path / "gone")})
    assert merge_adapter(adapter, tmp_path / "merged", base=str(moved)).base == str(moved)
    other = build_tiny(texts(), tmp_path / "other", seed=1)
    with pytest.raises(UserError, match=r"other is not the checkpoint that .*adapter was trained on: it is another"):
        merge_adapter(adapter, tmp_path / "merged2", base=str(other))


def test_an_adapter_of_a_model_of_another_shape_is_refused_even_where_nothing_tells_its_base(
    make: Callable[..., Path], tmp_path: Path
) -> None:
    from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor
    from videopath_hf.modeling.templates import CHATML_TEMPLATE
    from videopath_hf.modeling.tiny import random_model, save_checkpoint, tiny_config, train_tokenizer

    adapter = make()
    (adapter / "base.json").unlink()
    tokenizer = train_tokenizer(texts())
    text = tiny_config(tokenizer).text_config.to_dict()
    for name, change in (("narrow", {"hidden_size": 64}), ("deep", {"num_hidden_layers": 4})):
        config = tiny_config(tokenizer, text_config={**text, **change, "layer_types": None})
        (tmp_path / name).mkdir()
        processor = VideoPathLlavaProcessor.from_config(config, tokenizer, CHATML_TEMPLATE)
        save_checkpoint(random_model(config, tokenizer, 0), processor, tmp_path / name)
        with pytest.raises(UserError, match=rf"adapter does not fit .*{name}, so that is not its base: \S+") as caught:
            merge_adapter(adapter, tmp_path / "merged", base=str(tmp_path / name))
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "merged").exists()
