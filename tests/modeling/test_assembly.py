from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    Dinov2Config,
    Dinov2Model,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2ForCausalLM,
    SiglipModel,
)

from tests.modeling.conftest import TEXTS, encode, noise_frames, user
from tests.modeling.parts import TEXT, qwen2, siglip
from videopath_hf.modeling.assembly import assemble_model
from videopath_hf.modeling.loading import CheckpointError, load_model
from videopath_hf.modeling.tiny import train_tokenizer


@pytest.fixture
def tower(tmp_path: Path) -> Path:
    return siglip(tmp_path / "siglip")


@pytest.fixture
def decoder(tmp_path: Path) -> Path:
    return qwen2(tmp_path / "qwen")


def answer_is_finite(model: Any, processor: Any) -> bool:
    inputs = encode(processor, [user(noise_frames(2), noise_frames(1)[0], "What?")])
    return bool(torch.isfinite(model(**inputs).logits).all())


def test_both_parts_keep_their_weights_and_siglip_loses_its_last_layer(
    tower: Path, decoder: Path, tmp_path: Path
) -> None:
    out = assemble_model(tower, decoder, tmp_path / "out", video_newline_position="grid")
    model, processor = load_model(out)
    assert model.config.vision_config.num_hidden_layers == 2 and model.config.layout.newline_position == "grid"
    whole, plain = SiglipModel.from_pretrained(tower), Qwen2ForCausalLM.from_pretrained(decoder)
    kept = {name: weight for name, weight in whole.vision_model.state_dict().items()}
    for name, weight in model.model.vision_tower.state_dict().items():
        assert torch.equal(weight, kept[name]), name
    for name, weight in model.model.language_model.state_dict().items():
        assert torch.equal(weight, plain.model.state_dict()[name]), name
    assert torch.equal(model.lm_head.weight, plain.lm_head.weight)
    rows = len(processor.tokenizer)
    assert model.generation_config.suppress_tokens == list(range(rows, rows + 6))
    assert answer_is_finite(model, processor)


def test_the_seed_decides_the_projector_alone(tower: Path, decoder: Path, tmp_path: Path) -> None:
    first, again, other = (
        load_model(assemble_model(tower, decoder, tmp_path / str(index), seed=seed))[0].state_dict()
        for index, seed in enumerate((0, 0, 1))
    )
    differing = {name for name in first if not torch.equal(first[name], other[name])}
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert {name.split(".")[1] for name in differing} == {"multi_modal_projector", "image_newline"}


def test_a_tower_with_a_class_token_and_a_tied_decoder_that_needs_more_rows(tmp_path: Path) -> None:
    Dinov2Model(
        Dinov2Config(hidden_size=24, num_hidden_layers=3, num_attention_heads=4, image_size=42, patch_size=14)
    ).save_pretrained(tmp_path / "dino")
    tokenizer = train_tokenizer(TEXTS)
    file = tmp_path / "llama" / "tokenizer.json"
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), tie_word_embeddings=True, **TEXT)).save_pretrained(
        tmp_path / "llama"
    )
    tokenizer.save_pretrained(tmp_path / "llama")
    for name in (file, file.with_name("tokenizer_config.json")):
        name.write_text(name.read_text().replace("<|video_pad|>", "<|other|>"))
    parts = (tmp_path / "dino", tmp_path / "llama")
    choices = {"vision_feature_layer": 2, "vision_feature_select_strategy": "default"}
    model, processor = load_model(assemble_model(*parts, tmp_path / "out", **choices))
    assert model.config.text_config.vocab_size == len(processor.tokenizer) == len(tokenizer) + 1
    assert model.lm_head.weight is model.get_input_embeddings().weight
    again, _ = load_model(assemble_model(*parts, tmp_path / "again", **choices))
    assert torch.equal(model.lm_head.weight, again.lm_head.weight)  # the row that was added, too
    assert answer_is_finite(model, processor)


def test_a_part_that_is_not_there_is_named(tower: Path, decoder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"vision tower .*none cannot be opened"):
        assemble_model(tmp_path / "none", decoder, tmp_path / "out")
    (decoder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="qwen cannot be opened"):
        assemble_model(tower, decoder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
