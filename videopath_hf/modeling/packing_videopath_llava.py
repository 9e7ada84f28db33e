"""Where visual tokens come from: tiles of an image, pooled frames of a video, and the newline tokens between them.

The processor counts with these functions and the model packs with them, so the two cannot disagree. Sizes are
(height, width) in pixels or in tokens; a *tile* is one square input of the vision tower, its *side* the number of
tokens along it. The arithmetic is the published implementation's: truncation where transformers rounds, first wins.
"""

import ast
import math
import re
from typing import Any, NamedTuple

import torch
from torch import nn

Size = tuple[int, int]


class Layout(NamedTuple):
    """The choices that decide how many tokens an image or video becomes.

    Args:
        side (`int`): tokens along one side of a tile, before pooling.
        tile (`int`): pixels along one side of a tile.
        aspect_ratio (`str`): `anyres`, `anyres_max_N`, `pad` or `square`.
        merge_type (`str`): `spatial_unpad` or `flat`.
        pinpoints (`list[tuple[int, int]]`): canvas sizes in pixels, (height, width).
        newline_position (`str`): `grid`, `frame`, `one_token` or `no_token`.
        pool_mode (`str`): `bilinear`, `average` or `max`.
        pool_stride (`int`): how many tokens of a frame become one along each side.
    """

    side: int
    tile: int
    aspect_ratio: str
    merge_type: str
    pinpoints: list[Size]
    newline_position: str
    pool_mode: str
    pool_stride: int


def parse_pinpoints(value: Any, tile: int) -> list[Size]:
    """Read pinpoints in any spelling the authors use and return them as (height, width) in the same order.

    Text is the authors' and means (width, height): `"(1x1),...,(6x6)"` is every grid between both corners in tiles,
    `"[(384, 768), ...]"` a list in pixels. A list is transformers' and means (height, width).

    Raises:
        ValueError: for text in another form and for a size that is not a positive multiple of `tile`.
    """
    if isinstance(value, str):
        sizes = [(height, width) for width, height in _pinpoints_from_text(value, tile)]
    else:
        sizes = [(int(height), int(width)) for height, width in value]
    for size in sizes:
        if min(size) < tile or size[0] % tile or size[1] % tile:
            raise ValueError(
                f"image_grid_pinpoints holds {size}, which is not a multiple of the {tile} pixels of a tile"
            )
    return sizes


def _pinpoints_from_text(text: str, tile: int) -> list[Size]:
    grids = [(int(a), int(b)) for a, b in re.findall(r"\((\d+)\s*x\s*(\d+)\)", text)]
    if len(grids) >= 2:
        (first_i, first_j), (last_i, last_j) = grids[0], grids[-1]
        return [(i * tile, j * tile) for i in range(first_i, last_i + 1) for j in range(first_j, last_j + 1)]
    try:
        return [(int(a), int(b)) for a, b in ast.literal_eval(text)]
    except (ValueError, SyntaxError, TypeError):
        raise ValueError(
            f"image_grid_pinpoints is {text!r}; accepted are '(1x1),...,(6x6)' and a list of (width, height) pairs"
        ) from None


def max_tiles(aspect_ratio: str) -> int | None:
    """The N of `anyres_max_N`, and None for every other aspect ratio."""
    match = re.fullmatch(r"anyres_max_(\d+)", aspect_ratio)
    return int(match.group(1)) if match else None


def is_tiled(aspect_ratio: str) -> bool:
    """Whether an image becomes several tiles."""
    return aspect_ratio == "anyres" or max_tiles(aspect_ratio) is not None


def check_aspect_ratio(aspect_ratio: str) -> str:
    """Return `aspect_ratio`; raises `ValueError` unless it is `anyres`, `anyres_max_N`, `pad` or `square`."""
    if not (is_tiled(aspect_ratio) or aspect_ratio in ("pad", "square")):
        raise ValueError(f"image aspect ratio is {aspect_ratio!r}; accepted are anyres, anyres_max_N, pad and square")
    return aspect_ratio


def select_resolution(size: Size, pinpoints: list[Size]) -> Size:
    """The pinpoint that keeps most of an image's pixels and, of equals, wastes least; on ties the first wins."""
    height, width = size
    best, best_effective, least_wasted = pinpoints[0], -1, math.inf
    for target_height, target_width in pinpoints:
        scale = min(target_width / width, target_height / height)
        effective = min(int(width * scale) * int(height * scale), width * height)
        wasted = target_width * target_height - effective
        if effective > best_effective or (effective == best_effective and wasted < least_wasted):
            best, best_effective, least_wasted = (target_height, target_width), effective, wasted
    return best


def fitted_size(size: Size, target: Size) -> Size:
    """Size of an image scaled to fit in `target` with its shape kept; the shorter side is rounded up."""
    scale_height, scale_width = target[0] / size[0], target[1] / size[1]
    if scale_width < scale_height:
        return min(math.ceil(size[0] * scale_width), target[0]), target[1]
    return target[0], min(math.ceil(size[1] * scale_height), target[1])


def unpad_margins(size: Size, grid: Size) -> Size:
    """Rows and columns of tokens to cut from each side of `grid`, which shows an image of `size` between borders."""
    height, width = size
    grid_height, grid_width = grid
    if width / height > grid_width / grid_height:
        return (grid_height - int(height * (grid_width / width))) // 2, 0
    return 0, (grid_width - int(width * (grid_height / height))) // 2


def shrunk_size(grid: Size, side: int, limit: int | None) -> Size:
    """Size of `grid` after the shrinking of `anyres_max_N`, which sets in when it holds over 1.1^2 N tiles' tokens."""
    if limit is None:
        return grid
    ratio = math.sqrt(grid[0] * grid[1] / (limit * side**2))
    return (int(grid[0] // ratio), int(grid[1] // ratio)) if ratio > 1.1 else grid


def num_tiles(size: Size, layout: Layout) -> int:
    """Number of tiles of an image, the squashed whole included."""
    if not is_tiled(layout.aspect_ratio):
        return 1
    height, width = select_resolution(size, layout.pinpoints)
    return 1 + (height // layout.tile) * (width // layout.tile)


def num_image_tokens(size: Size, tiles: int, layout: Layout) -> int:
    """Number of tokens an image of `size` pixels takes when it was cut into `tiles` tiles."""
    base = layout.side**2
    if layout.merge_type == "flat":
        return tiles * base
    if tiles == 1:
        return base + 1
    height, width = _token_grid(size, layout)
    rows, columns = unpad_margins(size, (height, width))
    height, width = shrunk_size((height - 2 * rows, width - 2 * columns), layout.side, max_tiles(layout.aspect_ratio))
    return base + height * (width + 1)


def pooled_side(layout: Layout) -> int:
    """Tokens along one side of a pooled frame."""
    if layout.pool_mode == "bilinear":
        return math.ceil(layout.side / layout.pool_stride)
    return layout.side // layout.pool_stride


def num_video_tokens(frames: int, layout: Layout) -> int:
    """Number of tokens a video of `frames` frames takes."""
    side = pooled_side(layout)
    newlines = {"grid": frames * side, "frame": frames, "one_token": 1, "no_token": 0}
    return frames * side**2 + (0 if layout.merge_type == "flat" else newlines[layout.newline_position])


def pack_image(features: torch.Tensor, size: Size, newline: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Join the projected tiles of one image into its sequence of tokens.

    Args:
        features (`torch.Tensor` of shape `(tiles, side * side, dim)`): the whole image first, then its tiles by row.
        size (`tuple[int, int]`): height and width of the image in pixels.
        newline (`torch.Tensor` of shape `(dim,)`): the newline token.

    Returns:
        `torch.Tensor` of shape `(tokens, dim)`.
    """
    if layout.merge_type == "flat":
        return features.flatten(0, 1)
    if features.shape[0] == 1:
        return torch.cat((features[0], newline[None]))
    height, width = _token_grid(size, layout)
    side = layout.side
    grid = features[1:].view(height // side, width // side, side, side, -1)
    grid = grid.permute(4, 0, 2, 1, 3).reshape(-1, height, width)
    rows, columns = unpad_margins(size, (height, width))
    grid = grid[:, rows : height - rows, columns : width - columns]
    target = shrunk_size((grid.shape[1], grid.shape[2]), side, max_tiles(layout.aspect_ratio))
    if target != tuple(grid.shape[1:]):
        grid = nn.functional.interpolate(grid[None], target, mode="bilinear")[0]
    grid = torch.cat((grid, newline[:, None, None].expand(-1, grid.shape[1], 1)), dim=2)
    return torch.cat((features[0], grid.flatten(1).transpose(0, 1)))


def pool_frames(features: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Pool projected frames `(frames, side * side, dim)` to `(frames, pooled, pooled, dim)`."""
    side = layout.side
    grid = features.view(features.shape[0], side, side, -1).permute(0, 3, 1, 2).contiguous()
    if layout.pool_mode == "average":
        grid = nn.functional.avg_pool2d(grid, layout.pool_stride)
    elif layout.pool_mode == "max":
        grid = nn.functional.max_pool2d(grid, layout.pool_stride)
    else:
        target = pooled_side(layout)
        grid = nn.functional.interpolate(grid, size=(target, target), mode="bilinear")
    return grid.permute(0, 2, 3, 1)


def pack_video(features: torch.Tensor, newline: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Pool the projected frames of one video and join them into its sequence of tokens.

    Args:
        features (`torch.Tensor` of shape `(frames, side * side, dim)`): projected frames in order.
        newline (`torch.Tensor` of shape `(dim,)`): the newline token.

    Returns:
        `torch.Tensor` of shape `(tokens, dim)`.
    """
    pooled = pool_frames(features, layout)
    frames, height, width, dim = pooled.shape
    position = "no_token" if layout.merge_type == "flat" else layout.newline_position
    if position == "grid":
        rows = pooled.reshape(frames * height, width, dim)
        return torch.cat((rows, newline.expand(frames * height, 1, dim)), dim=1).flatten(0, 1)
    pooled = pooled.reshape(frames, height * width, dim)
    if position == "frame":
        return torch.cat((pooled, newline.expand(frames, 1, dim)), dim=1).flatten(0, 1)
    pooled = pooled.flatten(0, 1)
    return torch.cat((pooled, newline[None])) if position == "one_token" else pooled


def drop_padding(values: torch.Tensor, counts: list[int]) -> torch.Tensor:
    """The first `counts[i]` of the tiles or frames of each row, one after the other: (sum of counts, 3, S, S)."""
    if values.ndim == 4:
        values = values[:, None]
    if len(counts) != len(values) or max(counts) > values.shape[1] or min(counts) < 1:
        raise ValueError(f"pixel values of shape {tuple(values.shape)} do not hold {counts} tiles or frames")
    return torch.cat([row[:count] for row, count in zip(values, counts, strict=True)])


def check_placeholders(name: str, mask: torch.Tensor, features: list[torch.Tensor]) -> None:
    """Raise `ValueError` naming the sample whose placeholders (batch, length) are not its media's tokens."""
    wanted = mask.sum(dim=1).tolist()
    given = [len(tokens) for tokens in features]
    if sum(wanted) == sum(given):
        return
    media = iter(given)
    for sample, placeholders in enumerate(wanted):
        held = 0
        while held < placeholders:
            held += next(media, placeholders + 1)
        if held != placeholders:
            raise ValueError(
                f"sample {sample} has {placeholders} {name} placeholders, which are not the tokens of whole {name}s; "
                f"the {len(given)} {name}s of the batch have {given} tokens"
            )
    raise ValueError(f"the batch has {sum(wanted)} {name} placeholders for {name}s of {given} tokens")


def _token_grid(size: Size, layout: Layout) -> Size:
    height, width = select_resolution(size, layout.pinpoints)
    return height // layout.tile * layout.side, width // layout.tile * layout.side
