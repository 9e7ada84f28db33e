"""A new model from a vision tower and a language model that exist: what the alignment stage starts from."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from videopath_hf.files import atomic_dir
from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
from videopath_hf.modeling.loading import CheckpointError, quiet_transformers
from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration
from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor
from videopath_hf.modeling.templates import CHATML_TEMPLATE

_MARKS = ("<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|video_pad|>")


def assemble_model(
    vision: str | Path, text: str | Path, out: str | Path, seed: int = 0, dtype: str = "float32", **choices: Any
) -> Path:
    """Join a vision tower and a language model by a random projector, and save model and processor.

    A SigLIP tower loses its last layer and its head, as in the published implementation. Any other tower is kept
    whole: say with `vision_feature_layer` and `vision_feature_select_strategy` ("default" drops a class token) what is
    taken from it.

    Args:
        vision (`str` or `Path`): folder or Hub id of a transformers vision model, or of one that has a vision part.
        text (`str` or `Path`): folder or Hub id of a causal language model and its tokenizer.
        out (`str` or `Path`): folder to write; replaced if it exists.
        seed (`int`, defaults to 0): of the projector, the newline token and the rows of tokens that are added.
        dtype (`str`, defaults to `"float32"`): type of all weights.
        choices: fields of [`VideoPathLlavaConfig`], e.g. `video_newline_position="grid"`.

    Returns:
        `Path`: `out`.

    Raises:
        CheckpointError: if one of both cannot be opened or lacks weights.
    """
    kind = getattr(torch, dtype)
    tower_config = _tower_config(vision)
    with quiet_transformers():
        tower, decoder = _open(AutoModel, vision, kind, tower_config), _open(AutoModelForCausalLM, text, kind)
        tokenizer = AutoTokenizer.from_pretrained(text)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # new rows of embeddings are drawn near the mean of the others
        _add_marks(tokenizer, decoder)
    config = VideoPathLlavaConfig(
        **{
            "vision_config": tower_config,
            "text_config": decoder.config,
            "image_token_index": tokenizer.convert_tokens_to_ids("<|image_pad|>"),
            "video_token_index": tokenizer.convert_tokens_to_ids("<|video_pad|>"),
            **choices,
        }
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = VideoPathLlavaForConditionalGeneration(config).to(kind)
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.model.language_model.load_state_dict(decoder.base_model.state_dict())
    model.lm_head.load_state_dict(decoder.get_output_embeddings().state_dict())
    model.generation_config = GenerationConfig(
        do_sample=False,
        eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"),
        pad_token_id=tokenizer.pad_token_id,
        suppress_tokens=list(range(len(tokenizer), config.text_config.vocab_size)) or None,
    )
    out = Path(out)
    with atomic_dir(out) as folder, quiet_transformers():
        model.save_pretrained(folder)
        VideoPathLlavaProcessor.from_config(config, tokenizer, CHATML_TEMPLATE).save_pretrained(folder)
    return out


def _tower_config(vision: str | Path) -> PreTrainedConfig:
    try:
        whole = AutoConfig.from_pretrained(vision)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"vision tower {vision} cannot be opened: {' '.join(str(error).split())}") from None
    config = getattr(whole, "vision_config", whole)
    if config.model_type == "siglip_vision_model":
        config.num_hidden_layers -= 1
        config.vision_use_head = False
    return config


def _open(auto: Any, path: str | Path, dtype: torch.dtype, config: PreTrainedConfig | None = None) -> Any:
    options = {} if config is None else {"config": config}
    try:
        model, report = auto.from_pretrained(path, dtype=dtype, output_loading_info=True, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} cannot be opened: {' '.join(str(error).split())}") from None
    if report["missing_keys"]:
        raise CheckpointError(
            f"{path} lacks {len(report['missing_keys'])} weights, e.g. {min(report['missing_keys'])}"
        )
    return model


def _add_marks(tokenizer: PreTrainedTokenizerBase, decoder: Any) -> None:
    """Make ChatML's marks and the placeholders single tokens, with rows of embeddings where those do not suffice."""
    known = tokenizer.get_vocab()
    tokenizer.add_tokens([mark for mark in _MARKS if mark not in known], special_tokens=True)
    if len(tokenizer) > decoder.config.vocab_size:
        decoder.resize_token_embeddings(len(tokenizer))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    tokenizer.chat_template = CHATML_TEMPLATE
