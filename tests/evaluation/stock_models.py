"""Tiny random models of other families, each saved as its owners save theirs: config, weights, processor, template."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from videopath_hf.modeling.loading import quiet_transformers
from videopath_hf.modeling.tiny import train_tokenizer

_TEXTS = ["Which diagnosis fits the tissue in this video best?", "The villi are blunt.\nDiagnosis: Celiac disease"]
_TEMPLATE = """{% for m in messages %}<|im_start|>{{ m.role }}
{% for c in m.content %}{% if c.type == 'image' %}IMAGE{% elif c.type == 'video' %}VIDEO{% else %}{{ c.text }}{% endif
%}{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
_SIZE = {"height": 56, "width": 56}
_TOWER = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 56,
    "patch_size": 14,
}


def _tokenizer(tokens: tuple[str, ...], image: str, video: str = "") -> Any:
    tokenizer = train_tokenizer(_TEXTS * 3)
    tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)}, replace_extra_special_tokens=False)
    tokenizer.chat_template = _TEMPLATE.replace("IMAGE", image).replace("VIDEO", video)
    return tokenizer


def _text(tokenizer: Any, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32768,
        "bos_token_id": None,
        "eos_token_id": tokenizer.convert_tokens_to_ids("<|im_end|>"),
        "pad_token_id": tokenizer.pad_token_id,
        **more,
    }


def _save(model_class: Any, config: Any, processor: Any, out: Path) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = model_class(config)
        for weight in model.parameters():
            if weight.ndim > 1:  # larger than these families start with, so that answers differ between pictures
                torch.nn.init.normal_(weight, std=0.08)
    text = config.get_text_config()
    model.generation_config.update(eos_token_id=[text.eos_token_id], pad_token_id=text.pad_token_id)
    with quiet_transformers():
        model.save_pretrained(out)
        processor.save_pretrained(out)
    return out


def llava_onevision(out: Path) -> Path:
    """LLaVA-OneVision in transformers' own layout."""
    tokenizer = _tokenizer(("<image>", "<video>"), "<image>\n", "<video>\n")
    grid = [[56, 112], [112, 56], [112, 112]]
    config = transformers.LlavaOnevisionConfig(
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **_TOWER},
        text_config={"model_type": "qwen2", **_text(tokenizer)},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=grid,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_9",
    )
    processor = transformers.LlavaOnevisionProcessor(
        transformers.LlavaOnevisionImageProcessor(size=_SIZE, image_grid_pinpoints=grid),
        tokenizer,
        transformers.LlavaOnevisionVideoProcessor(size=_SIZE),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=tokenizer.chat_template,
        vision_aspect_ratio="anyres_max_9",
    )
    return _save(transformers.LlavaOnevisionForConditionalGeneration, config, processor, out)


def _qwen(out: Path, tower: dict[str, Any], family: str) -> Path:
    tokenizer = _tokenizer(
        ("<|vision_start|>", "<|vision_end|>"),
        "<|vision_start|><|image_pad|><|vision_end|>",
        "<|vision_start|><|video_pad|><|vision_end|>",
    )
    names = {"image_token_id": "image_pad", "video_token_id": "video_pad"}
    names |= {"vision_start_token_id": "vision_start", "vision_end_token_id": "vision_end"}
    rope = {"rope_type": "default", "type": "mrope", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    config = getattr(transformers, f"{family}Config")(
        vision_config=tower,
        text_config=_text(tokenizer, rope_parameters=rope),
        **{field: tokenizer.convert_tokens_to_ids(f"<|{token}|>") for field, token in names.items()},
    )
    processor = getattr(transformers, f"{family}Processor")(
        transformers.Qwen2VLImageProcessor(size={"shortest_edge": 28 * 28, "longest_edge": 56 * 56}),
        tokenizer,
        transformers.Qwen2VLVideoProcessor(size={"shortest_edge": 2 * 28 * 28, "longest_edge": 32 * 56 * 56}),
        chat_template=tokenizer.chat_template,
    )
    return _save(getattr(transformers, f"{family}ForConditionalGeneration"), config, processor, out)


def qwen2_vl(out: Path) -> Path:
    """Qwen2-VL."""
    tower = {"depth": 2, "embed_dim": 32, "num_heads": 4, "mlp_ratio": 2, "patch_size": 14, "hidden_size": 64}
    return _qwen(out, tower, "Qwen2VL")


def qwen2_5_vl(out: Path) -> Path:
    """Qwen2.5-VL, which also reads how many seconds lie between frames."""
    tower = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 4, "patch_size": 14}
    tower |= {"out_hidden_size": 64, "window_size": 56, "fullatt_block_indexes": [1], "tokens_per_second": 2}
    return _qwen(out, tower, "Qwen2_5_VL")


def idefics3(out: Path) -> Path:
    """Idefics3, which takes images only, and cuts them into tiles."""
    rows = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    tokens = ("<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", *rows)
    tokenizer = _tokenizer(tokens, "<image>")
    config = transformers.Idefics3Config(
        vision_config=_TOWER,
        text_config={"model_type": "llama", **_text(tokenizer)},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
    )
    processor = transformers.Idefics3Processor(
        transformers.Idefics3ImageProcessor(size={"longest_edge": 112}, max_image_size={"longest_edge": 56}),
        tokenizer,
        image_seq_len=4,
        chat_template=tokenizer.chat_template,
    )
    return _save(transformers.Idefics3ForConditionalGeneration, config, processor, out)


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "llava_onevision": llava_onevision,
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "idefics3": idefics3,
}
