"""Settings of plain `llava_onevision` checkpoints, which need no code of ours, and ours."""

from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
)

from videopath_hf.modeling.checks_videopath_llava import CheckpointError
from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
from videopath_hf.modeling.packing_videopath_llava import max_tiles
from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor

NOTES = (
    "transformers' llava_onevision rounds where the published implementation truncates: a few image sizes get another "
    "number of tokens",
    "its image processor is up to 4 levels, its video processor up to 2 levels of 255 off the published pixels",
    "it samples frames as floor(i N / n), takes all of them unless do_sample_frames is set, and shows several images "
    "of one prompt as one tile each",
    "its repetition penalty also counts the prompt",
)
"""What stays different when such a checkpoint runs without our code."""

_OURS_ALONE = {
    "patch_merge_type": "spatial_unpad",
    "video_newline_position": "one_token",
    "video_pool_mode": "bilinear",
    "video_pool_stride": 2,
}
"""Our fields that llava_onevision lacks, and what it always does."""


def config_from_stock(source: Any, settings: dict[str, Any]) -> VideoPathLlavaConfig:
    """Our configuration for the config.json of a plain llava_onevision checkpoint."""
    fields = {key: value for key, value in settings.items() if key not in ("model_type", "architectures", "auto_map")}
    try:
        # llava-hf's own defaults fill what the file leaves out, not ours.
        stock = LlavaOnevisionConfig.from_dict(fields)
        own = {key: getattr(stock, key) for key in ("image_token_index", "video_token_index", "vision_aspect_ratio")}
        own["image_grid_pinpoints"] = [list(size) for size in stock.image_grid_pinpoints]
        return VideoPathLlavaConfig.from_dict({**fields, **own, **_OURS_ALONE})
    except (ValueError, TypeError, KeyError, StrictDataclassError) as error:
        raise CheckpointError(f"{source}/config.json: {' '.join(str(error).split())}") from None


def stock_config(source: Any, config: VideoPathLlavaConfig) -> LlavaOnevisionConfig:
    """The plain llava_onevision configuration of one of ours.

    Raises:
        CheckpointError: naming the settings it has no counterpart for.
    """
    odd = [f"{key} = {getattr(config, key)!r}" for key, only in _OURS_ALONE.items() if getattr(config, key) != only]
    if max_tiles(config.vision_aspect_ratio) is None:
        odd.append(f"image_aspect_ratio = {config.vision_aspect_ratio!r}")
    if odd:
        raise CheckpointError(
            f"{source} has {', '.join(odd)}, which plain llava_onevision cannot express (it has one_token newlines, "
            "bilinear pooling by 2, spatial_unpad and anyres_max_N); use the layout videopath"
        )
    fields = config.to_dict()
    for key in ("model_type", "auto_map", "architectures", *_OURS_ALONE):
        fields.pop(key, None)
    return LlavaOnevisionConfig.from_dict({**fields, "architectures": ["LlavaOnevisionForConditionalGeneration"]})


def save_stock(folder: Path, config: LlavaOnevisionConfig, processor: VideoPathLlavaProcessor) -> None:
    """Write config.json and the processor's files of a plain llava_onevision checkpoint."""
    tile = config.vision_config.image_size
    pixels = {"size": {"height": tile, "width": tile}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3}
    side = tile // config.vision_config.patch_size
    tokens = side**2 + (config.vision_feature_select_strategy == "default")
    template = str(processor.chat_template)
    for tag in ("{%- generation -%}\n", "{%- endgeneration -%}\n"):  # other engines' Jinja does not know it
        template = template.replace(tag, "")
    stock = LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(
            image_grid_pinpoints=[list(size) for size in config.image_grid_pinpoints], **pixels
        ),
        tokenizer=processor.tokenizer,
        video_processor=LlavaOnevisionVideoProcessor(num_frames=processor.video_processor.num_frames, **pixels),
        num_image_tokens=tokens,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        chat_template=template,
        image_token=processor.image_token,
        video_token=processor.video_token,
        vision_aspect_ratio=config.vision_aspect_ratio,
    )
    config.save_pretrained(folder)
    stock.save_pretrained(folder)
