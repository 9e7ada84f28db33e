"""Images to tiles of pixel values, bitwise as the published implementation makes them with PIL."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.image_processing_utils import BatchFeature
from transformers.image_utils import ImageInput, PILImageResampling, SizeDict
from transformers.models.auto.image_processing_auto import AutoImageProcessor
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorKwargs,
    LlavaOnevisionImageProcessorPil,
)
from transformers.utils import TensorType

from .configuration_videopath_llava import VideoPathLlavaConfig
from .packing_videopath_llava import (
    Size,
    check_aspect_ratio,
    fitted_size,
    is_tiled,
    parse_pinpoints,
    select_resolution,
)
from .remote_code_videopath_llava import PROCESSOR_CLASSES, CarriesCode

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Values = np.ndarray[Any, np.dtype[np.float32]]

_WORTH_THREADS = 1 << 24
"""Bytes of values from which on it pays to start threads that look them up."""


def to_rgb_pixels(image: Any) -> Pixels:
    """One image or frame as uint8 [H, W, 3] RGB.

    Args:
        image (`PIL.Image.Image`, `np.ndarray` or `torch.Tensor`): arrays are uint8, [H, W], [H, W, C] or [C, H, W]
            with 1, 3 or 4 channels; a fourth one (alpha) is dropped.

    Raises:
        ValueError: for another type, dtype or shape.
    """
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    pixels = image.numpy(force=True) if isinstance(image, torch.Tensor) else image
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        seen = f"{pixels.dtype} of shape {pixels.shape}" if isinstance(pixels, np.ndarray) else type(image).__name__
        raise ValueError(f"an image or frame must be a PIL image or uint8 pixels [H, W, C], not {seen}")
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[-1] not in (1, 3, 4) and pixels.shape[0] in (1, 3, 4):
        pixels = pixels.transpose(1, 2, 0)
    if pixels.shape[-1] not in (1, 3, 4) or 0 in pixels.shape:
        raise ValueError(f"an image or frame must have 1, 3 or 4 channels and at least one pixel, not {pixels.shape}")
    return np.ascontiguousarray(np.repeat(pixels, 3, axis=2) if pixels.shape[-1] == 1 else pixels[..., :3])


def resize_pixels(pixels: Pixels, size: Size, resample: int) -> Pixels:
    """Resize uint8 [H, W, 3] to `size` (height, width) with PIL, whose filters are the published implementation's."""
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), resample=Image.Resampling(resample)))


def pixel_values(
    items: Sequence[Sequence[Pixels]],
    do_rescale: bool,
    rescale_factor: float,
    do_normalize: bool,
    mean: Sequence[float],
    std: Sequence[float],
) -> Values:
    """Rescale and normalise N lists of at most T uint8 tiles [H, W, 3] to float32 [N, T, 3, H, W], zeros filling up.

    A byte has 256 values: each is computed once in float32, in the order of operations of the published
    implementation, and looked up.
    """
    table: Values = np.arange(256, dtype=np.float32)[:, None].repeat(3, axis=1)
    if do_rescale:
        table = (table.astype(np.float64) * rescale_factor).astype(np.float32)
    if do_normalize:
        table = np.divide(table - np.asarray(mean, dtype=np.float32), np.asarray(std, dtype=np.float32))
    height, width = items[0][0].shape[:2]
    values: Values = np.zeros((len(items), max(map(len, items)), 3, height, width), dtype=np.float32)

    def fill(task: tuple[Values, Pixels]) -> None:
        planes, tile = task
        for channel, plane in enumerate(planes):
            # A byte is never out of range; the default mode would check and copy, at ten times the cost.
            np.take(table[:, channel], tile[..., channel], out=plane, mode="clip")

    tasks = [task for row, tiles in zip(values, items, strict=True) for task in zip(row, tiles, strict=False)]
    if values.nbytes < _WORTH_THREADS:
        deque(map(fill, tasks), maxlen=0)
        return values
    with ThreadPoolExecutor() as pool:
        deque(pool.map(fill, tasks), maxlen=0)
    return values


def values_of(processor: Any, items: Sequence[Sequence[Pixels]]) -> torch.Tensor:
    """Pixel values float32 [N, T, 3, S, S] that an image or video processor makes of N lists of at most T tiles."""
    return torch.from_numpy(
        pixel_values(
            items,
            processor.do_rescale,
            processor.rescale_factor,
            processor.do_normalize,
            processor.image_mean,
            processor.image_std,
        )
    )


def check_options(size: SizeDict, **options: Any) -> None:
    """Raise `ValueError` for an option of transformers' processors that a tower of square tiles cannot honour."""
    if size.height is None or size.height != size.width:
        raise ValueError(f"size is {size}; tiles are square: give height and width, both the same")
    for name, fixed in (("do_resize", True), ("do_convert_rgb", True), ("do_pad", True), ("do_center_crop", False)):
        if options.get(name) is (not fixed):
            raise ValueError(f"{name}={not fixed} is not supported: only {name}={fixed} is")


class VideoPathLlavaImageProcessorKwargs(LlavaOnevisionImageProcessorKwargs, total=False):  # type: ignore[call-arg]
    r"""
    image_aspect_ratio (`str`, *optional*):
        How an image meets square tiles: `"anyres"`, `"anyres_max_N"`, `"pad"` or `"square"`.
    """

    image_aspect_ratio: str | None
    image_grid_pinpoints: list | str


class VideoPathLlavaImageProcessor(CarriesCode, LlavaOnevisionImageProcessorPil):
    r"""
    Cuts images into tiles: bicubic resizing by PIL, `u8 / 255`, mean and standard deviation 0.5.

    With `image_aspect_ratio` `"anyres"` or `"anyres_max_N"` an image becomes its squashed whole and the tiles of the
    canvas of `image_grid_pinpoints` it fits best; with `"pad"` one tile, filled up to a square with the mean colour;
    with `"square"` one tile, squashed.

    Returned are `pixel_values` float32 [images, tiles, 3, S, S] (zero tiles fill up), `image_sizes` [images, 2] as
    (height, width) and `image_num_tiles` [images].
    """

    auto_classes = PROCESSOR_CLASSES
    model_input_names = ["pixel_values", "image_sizes", "image_num_tiles"]  # noqa: RUF012
    valid_kwargs = VideoPathLlavaImageProcessorKwargs
    image_mean = [0.5, 0.5, 0.5]  # noqa: RUF012
    image_std = [0.5, 0.5, 0.5]  # noqa: RUF012
    image_aspect_ratio = "anyres_max_9"
    image_grid_pinpoints: list | str = "(1x1),...,(6x6)"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_aspect_ratio(self.image_aspect_ratio)
        sizes = parse_pinpoints(self.image_grid_pinpoints, self.size.height)
        self.image_grid_pinpoints = [list(size) for size in sizes]

    def _validate_preprocess_kwargs(self, **kwargs: Any) -> None:
        check_options(**kwargs)
        super()._validate_preprocess_kwargs(**kwargs)

    def process_image(self, image: ImageInput, **kwargs: Any) -> Pixels:
        """One image as uint8 [H, W, 3] RGB."""
        return to_rgb_pixels(image)

    def _preprocess(
        self,
        images: list[Pixels],
        batch_num_images: list[int],
        size: SizeDict,
        image_aspect_ratio: str,
        image_grid_pinpoints: list | str,
        resample: PILImageResampling,
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: Sequence[float],
        image_std: Sequence[float],
        return_tensors: str | TensorType | None,
        **kwargs: Any,
    ) -> BatchFeature:
        check_aspect_ratio(image_aspect_ratio)
        pinpoints = parse_pinpoints(image_grid_pinpoints, size.height)
        items = [
            self._cut(image, image_aspect_ratio, pinpoints, size.height, resample, image_mean) for image in images
        ]
        data = {
            "pixel_values": pixel_values(items, do_rescale, rescale_factor, do_normalize, image_mean, image_std),
            "image_sizes": np.array([image.shape[:2] for image in images]),
            "image_num_tiles": np.array([len(tiles) for tiles in items]),
        }
        return BatchFeature(data=data, tensor_type=return_tensors)

    def cut(self, image: Any, image_aspect_ratio: str | None = None) -> list[Pixels]:
        """The tiles of one image, uint8 [S, S, 3], the squashed whole first; [`values_of`] makes values of them."""
        aspect_ratio = image_aspect_ratio or self.image_aspect_ratio
        check_aspect_ratio(aspect_ratio)
        pinpoints = parse_pinpoints(self.image_grid_pinpoints, self.size.height)
        pixels = to_rgb_pixels(image)
        return self._cut(pixels, aspect_ratio, pinpoints, self.size.height, self.resample, self.image_mean)

    def _cut(
        self,
        image: Pixels,
        image_aspect_ratio: str,
        pinpoints: list[Size],
        tile: int,
        resample: int,
        image_mean: Sequence[float],
    ) -> list[Pixels]:
        if is_tiled(image_aspect_ratio):
            return self._tiles(image, pinpoints, tile, resample)
        if image_aspect_ratio == "pad":
            image = _pad_to_square(image, [int(level * 255) for level in image_mean])
        return [self._squash(image, tile, resample)]

    @staticmethod
    def _squash(image: Pixels, tile: int, resample: int) -> Pixels:
        return resize_pixels(image, (tile, tile), resample)

    def _tiles(self, image: Pixels, pinpoints: list[Size], tile: int, resample: int) -> list[Pixels]:
        height, width = select_resolution(image.shape[:2], pinpoints)
        fitted = resize_pixels(image, fitted_size(image.shape[:2], (height, width)), resample)
        top, left = (height - fitted.shape[0]) // 2, (width - fitted.shape[1]) // 2
        canvas = np.zeros((height, width, 3), dtype=np.uint8)
        canvas[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
        grid = canvas.reshape(height // tile, tile, width // tile, tile, 3).swapaxes(1, 2)
        return [self._squash(image, tile, resample), *grid.reshape(-1, tile, tile, 3)]


def _pad_to_square(image: Pixels, background: Sequence[int]) -> Pixels:
    height, width = image.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), background, dtype=np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = image
    return square


AutoImageProcessor.register(
    VideoPathLlavaConfig,
    image_processor_classes={"pil": VideoPathLlavaImageProcessor, "torchvision": VideoPathLlavaImageProcessor},
    exist_ok=True,
)

__all__ = ["VideoPathLlavaImageProcessor"]
