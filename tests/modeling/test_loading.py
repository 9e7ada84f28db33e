import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from videopath_hf.errors import UserError
from videopath_hf.modeling.loading import CheckpointError, load_model


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
        ({"model_type": "qwen2", "mm_projector_type": "mlp2x_gelu"}, "convert it first"),
    ],
)
def test_another_kind_of_checkpoint_is_named(tmp_path: Path, config: dict, message: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        load_model(tmp_path)


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
