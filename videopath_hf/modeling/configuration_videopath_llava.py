"""Configuration of the VideoPath-LLaVA model: LLaVA-OneVision's, and the published implementation's choices."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.llava_onevision.configuration_llava_onevision import LlavaOnevisionConfig

from .packing_videopath_llava import Layout, check_aspect_ratio, parse_pinpoints
from .remote_code_videopath_llava import AUTO_MAP, CarriesCode


@strict
class VideoPathLlavaConfig(CarriesCode, LlavaOnevisionConfig):
    r"""
    Configuration of [`VideoPathLlavaModel`]: a vision tower, a two-layer projector and a language model.

    The vision tower is any transformers vision model (SigLIP by default), the language model any causal decoder
    (Qwen2 by default). The fields below are added to [`~transformers.LlavaOnevisionConfig`]'s; its
    `vision_aspect_ratio` can also be read and set as `image_aspect_ratio`.

    Args:
        image_aspect_ratio (`str`, *optional*, defaults to `"anyres_max_9"`):
            How an image meets the square tiles of the tower: `"anyres"` and `"anyres_max_N"` cut it into tiles, the
            second shrinks its tokens to about those of N tiles; `"pad"` fills it up to a square; `"square"` squashes.
        image_grid_pinpoints (`list` or `str`, *optional*):
            Canvas sizes in pixels an image may be fitted to, as `[height, width]`; text is read as the authors write
            it, `"(1x1),...,(6x6)"` in tiles or a list of `(width, height)`. Defaults to all grids up to 6 x 6 tiles.
        patch_merge_type (`str`, *optional*, defaults to `"spatial_unpad"`):
            `"spatial_unpad"` cuts the border's tokens and marks rows with newline tokens; `"flat"` does neither.
        video_newline_position (`str`, *optional*, defaults to `"one_token"`):
            Newline tokens of a video: after every row of every frame (`"grid"`, what ViDRiP-LLaVA was trained with),
            after every frame (`"frame"`), at the end (`"one_token"`, LLaVA-OneVision) or none (`"no_token"`).
        video_pool_mode (`str`, *optional*, defaults to `"bilinear"`):
            How the tokens of a frame are pooled: `"bilinear"`, `"average"` or `"max"`.
        video_pool_stride (`int`, *optional*, defaults to 2):
            How many tokens of a frame become one along each side. The published implementation always takes 2.

    Raises:
        ValueError: for a value outside the lists above and for a pinpoint that is no multiple of the tower's input.

    Example:

    ```python
    >>> from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
    >>> config = VideoPathLlavaConfig(video_newline_position="grid", image_aspect_ratio="anyres")
    >>> config.image_aspect_ratio
    'anyres'
    ```
    """

    model_type = "videopath_llava"
    auto_classes = AUTO_MAP
    attribute_map = {  # noqa: RUF012
        "image_token_id": "image_token_index",
        "video_token_id": "video_token_index",
        "image_aspect_ratio": "vision_aspect_ratio",
    }

    # Qwen2.5's <|image_pad|> and <|video_pad|>: the parent's defaults are real words there.
    image_token_index: int = 151655
    video_token_index: int = 151656
    image_grid_pinpoints: list | str | None = None
    patch_merge_type: Literal["spatial_unpad", "flat"] = "spatial_unpad"
    video_newline_position: Literal["grid", "frame", "one_token", "no_token"] = "one_token"
    video_pool_mode: Literal["bilinear", "average", "max"] = "bilinear"
    video_pool_stride: int = 2

    def __post_init__(self, **kwargs: Any) -> None:
        pinpoints = self.image_grid_pinpoints
        super().__post_init__(**kwargs)
        check_aspect_ratio(self.vision_aspect_ratio)
        if self.video_pool_stride < 1:
            raise ValueError(f"video_pool_stride is {self.video_pool_stride}; it must be at least 1")
        tile = self.vision_config.image_size
        self.image_grid_pinpoints = [
            list(size) for size in parse_pinpoints("(1x1),...,(6x6)" if pinpoints is None else pinpoints, tile)
        ]

    @property
    def layout(self) -> Layout:
        """Everything that decides how many tokens an image or a video becomes."""
        tile = self.vision_config.image_size
        return Layout(
            side=tile // self.vision_config.patch_size,
            tile=tile,
            aspect_ratio=self.vision_aspect_ratio,
            merge_type=self.patch_merge_type,
            pinpoints=parse_pinpoints(self.image_grid_pinpoints, tile),
            newline_position=self.video_newline_position,
            pool_mode=self.video_pool_mode,
            pool_stride=self.video_pool_stride,
        )


AutoConfig.register(VideoPathLlavaConfig.model_type, VideoPathLlavaConfig, exist_ok=True)

__all__ = ["VideoPathLlavaConfig"]
