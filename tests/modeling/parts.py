"""Tiny random towers and language models as their owners save them, to be joined."""

from pathlib import Path

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM, SiglipConfig, SiglipModel

from tests.modeling.conftest import TEXTS
from videopath_hf.modeling.tiny import train_tokenizer

TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
VISION = {
    "hidden_size": 24,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 42,
    "patch_size": 14,
}


def siglip(out: Path) -> Path:
    """A whole SigLIP: vision and text, all layers and the head."""
    text = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4}
    torch.manual_seed(1)
    SiglipModel(SiglipConfig(vision_config=VISION, text_config=text)).save_pretrained(out)
    return out


def qwen2(out: Path) -> Path:
    """A Qwen2 and a tokenizer with fewer tokens than it has rows."""
    tokenizer = train_tokenizer(TEXTS)
    torch.manual_seed(2)
    Qwen2ForCausalLM(Qwen2Config(vocab_size=len(tokenizer) + 6, **TEXT)).save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out
