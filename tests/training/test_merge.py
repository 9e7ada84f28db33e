"""Merging: equal to the adapter, other than the base, refused when something does not fit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.synthetic import texts
from videopath_hf.errors import UserError
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
    from videopath_hf.files import read_json, write_json
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
