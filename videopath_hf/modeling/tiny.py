"""A tiny model of the same build, random and with a tokenizer of its own: it trains on two CPU cores in minutes."""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from videopath_hf.errors import UserError
from videopath_hf.files import atomic_dir
from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
from videopath_hf.modeling.loading import quiet_transformers
from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration
from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor
from videopath_hf.modeling.templates import CHATML_TEMPLATE

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|video_pad|>")
_TILE = 98


def build_tiny(texts: Sequence[str], out: str | Path, seed: int) -> Path:
    """Train a tokenizer on `texts`, make a random tiny model of it, and save both with their processor.

    Args:
        texts (`Sequence[str]`): what the model is to read and write; the tokenizer's words come from it, and any other
            text is spelled out in bytes.
        out (`str` or `Path`): folder of the checkpoint; replaced if it exists.
        seed (`int`): of the random weights. The same texts and seed give the same files.

    Returns:
        `Path`: `out`.

    Raises:
        UserError: if `texts` holds no text.
    """
    if not any(text.strip() for text in texts):
        raise UserError("the tiny model's tokenizer needs some text to be trained on, and all of `texts` is empty")
    tokenizer = train_tokenizer(texts)
    config = tiny_config(tokenizer)
    model = random_model(config, tokenizer, seed)
    processor = VideoPathLlavaProcessor.from_config(config, tokenizer, CHATML_TEMPLATE)
    out = Path(out)
    with atomic_dir(out) as folder:
        save_checkpoint(model, processor, folder)
    return out


def train_tokenizer(texts: Sequence[str], vocab_size: int = 2048) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most `vocab_size` tokens with ChatML's marks and the media placeholders."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIAL_TOKENS),
        min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["You are a helpful assistant.", "system\nuser\nassistant\n", *texts], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>", "<|image_pad|>", "<|video_pad|>"],
        chat_template=CHATML_TEMPLATE,
        model_max_length=32768,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def tiny_config(tokenizer: PreTrainedTokenizerBase, **changes: object) -> VideoPathLlavaConfig:
    """The tiny model's configuration: 7 x 7 tokens a tile, 4 x 4 a video frame, about a million weights.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): decides the vocabulary and the placeholders' ids.
        changes: fields of [`VideoPathLlavaConfig`] to set otherwise.
    """
    special = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    fields: dict[str, object] = {
        "vision_config": {
            "model_type": "siglip_vision_model",
            "hidden_size": 96,
            "intermediate_size": 256,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "image_size": _TILE,
            "patch_size": 14,
            "vision_use_head": False,
        },
        "text_config": {
            "model_type": "qwen2",
            "vocab_size": len(tokenizer),
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 32768,
            "bos_token_id": None,
            "eos_token_id": special["<|im_end|>"],
            "pad_token_id": special["<|endoftext|>"],
        },
        "image_token_index": special["<|image_pad|>"],
        "video_token_index": special["<|video_pad|>"],
        "vision_aspect_ratio": "anyres",
        "image_grid_pinpoints": [[2 * _TILE, _TILE], [_TILE, 2 * _TILE], [2 * _TILE, 2 * _TILE]],
    }
    return VideoPathLlavaConfig(**{**fields, **changes})


def random_model(
    config: VideoPathLlavaConfig, tokenizer: PreTrainedTokenizerBase, seed: int
) -> VideoPathLlavaForConditionalGeneration:
    """A model of random weights that depend on `seed` alone, ready to answer until its end-of-message token."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = VideoPathLlavaForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=256,
        eos_token_id=[tokenizer.eos_token_id, tokenizer.pad_token_id],
        pad_token_id=tokenizer.pad_token_id,
    )
    return model.eval()


def save_checkpoint(
    model: VideoPathLlavaForConditionalGeneration, processor: VideoPathLlavaProcessor, folder: Path
) -> None:
    """Write model and processor into `folder`, without progress bars."""
    with quiet_transformers():
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
