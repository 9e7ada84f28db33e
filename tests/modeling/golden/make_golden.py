"""Write golden.json and golden.safetensors: the model's arithmetic, computed by code that shares nothing with it.

    python tests/modeling/golden/make_golden.py

It follows the written description of the published implementation step by step: loops over single tokens, no torch,
nothing imported of the package. Resizing is Pillow's, whose order of passes for portrait shapes changed in version 13:
the pictures here are wide or square, for which 10.3 to 13 give the same levels.
"""

import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

Array = np.ndarray[Any, Any]
HERE = Path(__file__).parent

AUTHORS_PINPOINTS = "[(384, 768), (768, 384), (768, 768), (1152, 384), (384, 1152)]"
ALL_GRIDS = "(1x1),...,(6x6)"
SIZES = [(748, 792), (792, 748), (820, 369), (369, 820), (1, 1), (720, 1280), (384, 384), (3000, 200), (1154, 2307)]
"""(height, width); who rounds instead of cutting off gets other token counts for the first, another canvas for the
last."""


def taken_frames(total: int, fps: float, limit: int, strategy: str, video_fps: float) -> list[int]:
    """Numbers of the frames shown."""
    if strategy == "fps":
        step = max(1, round(fps / video_fps))
        chosen = list(range(0, total, step))
        if len(chosen) <= limit:
            return chosen
    return [int(place) for place in np.linspace(0, total - 1, min(limit, total))]


def canvases(text: str, tile: int) -> list[tuple[int, int]]:
    """Pinpoints as the authors write them, in (width, height)."""
    if text == ALL_GRIDS:
        return [(i * tile, j * tile) for i in range(1, 7) for j in range(1, 7)]
    return [tuple(pair) for pair in json.loads(text.replace("(", "[").replace(")", "]"))]


def best_canvas(size: tuple[int, int], pinpoints: list[tuple[int, int]]) -> tuple[int, int]:
    """Most pixels kept, then fewest wasted, then the first; (width, height)."""
    height, width = size

    def badness(canvas: tuple[int, int]) -> tuple[int, int]:
        scale = min(canvas[0] / width, canvas[1] / height)
        kept = min(int(width * scale) * int(height * scale), width * height)
        return -kept, canvas[0] * canvas[1] - kept

    return min(pinpoints, key=badness)


def shown_tokens(size: tuple[int, int], canvas: tuple[int, int], tile: int, side: int) -> tuple[range, range]:
    """Rows and columns of the canvas' tokens that show the image, not its black border."""
    height, width = size
    rows, columns = canvas[1] // tile * side, canvas[0] // tile * side
    if width / height > columns / rows:
        border = (rows - int(height * (columns / width))) // 2
        return range(border, rows - border), range(columns)
    border = (columns - int(width * (rows / height))) // 2
    return range(rows), range(border, columns - border)


def shrunk(rows: int, columns: int, side: int, aspect: str) -> tuple[int, int]:
    """Size of the grid of tokens after the limit of `anyres_max_N`."""
    if not aspect.startswith("anyres_max_"):
        return rows, columns
    times = math.sqrt(rows * columns / (int(aspect.removeprefix("anyres_max_")) * side * side))
    return (int(rows // times), int(columns // times)) if times > 1.1 else (rows, columns)


def between(grid: Array, rows: int, columns: int) -> Array:
    """Bilinear interpolation [height, width, dim] -> [rows, columns, dim]: pixel centres, no smoothing, one by one."""

    def source(index: int, old: int, new: int) -> tuple[int, int, float]:
        place = max(0.0, (index + 0.5) * old / new - 0.5)
        first = min(int(place), old - 1)
        return first, min(first + 1, old - 1), place - first

    out = np.zeros((rows, columns, grid.shape[2]))
    for row, column in product(range(rows), range(columns)):
        top, bottom, down = source(row, grid.shape[0], rows)
        left, right, across = source(column, grid.shape[1], columns)
        upper = grid[top, left] * (1 - across) + grid[top, right] * across
        lower = grid[bottom, left] * (1 - across) + grid[bottom, right] * across
        out[row, column] = upper * (1 - down) + lower * down
    return out


def image_tokens(tiles: Array, size: tuple[int, int], newline: Array, choices: dict[str, Any]) -> Array:
    """Sequence of tokens of one image; `tiles` is [tiles, side * side, dim], the whole image first."""
    side, tile, aspect = choices["side"], choices["tile"], choices["aspect_ratio"]
    if choices["merge_type"] == "flat":
        return np.concatenate(list(tiles))
    if len(tiles) == 1:
        return np.concatenate([tiles[0], newline[None]])
    canvas = best_canvas(size, canvases(choices["pinpoints"], tile))
    across = canvas[0] // tile

    def token(row: int, column: int) -> Array:
        which = 1 + row // side * across + column // side
        return tiles[which][row % side * side + column % side]

    rows, columns = shown_tokens(size, canvas, tile, side)
    grid = np.array([[token(row, column) for column in columns] for row in rows])
    target = shrunk(*grid.shape[:2], side, aspect)
    if target != grid.shape[:2]:
        grid = between(grid, *target)
    sequence = list(tiles[0])
    for line in grid:
        sequence += [*line, newline]
    return np.array(sequence)


def pooled(frame: Array, side: int, mode: str) -> Array:
    """One frame [side * side, dim] with 2 x 2 tokens made one: [rows, columns, dim]."""
    grid = frame.reshape(side, side, -1)
    if mode == "bilinear":
        return between(grid, math.ceil(side / 2), math.ceil(side / 2))
    reduce = np.mean if mode == "average" else np.max
    half = side // 2
    squares = [[grid[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] for j in range(half)] for i in range(half)]
    return np.array([[reduce(square, axis=(0, 1)) for square in line] for line in squares])


def video_tokens(frames: Array, newline: Array, side: int, mode: str, position: str) -> Array:
    """Sequence of tokens of one video; `frames` is [frames, side * side, dim]."""
    sequence: list[Array] = []
    for frame in frames:
        for line in pooled(frame, side, mode):
            sequence += [*line, newline] if position == "grid" else [*line]
        if position == "frame":
            sequence.append(newline)
    if position == "one_token":
        sequence.append(newline)
    return np.array(sequence)


def resized(pixels: Array, width: int, height: int) -> Array:
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def image_levels(pixels: Array, tile: int, aspect: str, pinpoints: str) -> Array:
    """Tiles of one image as levels from 0 to 255: uint8 [tiles, tile, tile, 3]."""
    height, width = pixels.shape[:2]
    if aspect == "pad":
        side = max(height, width)
        square = np.full((side, side, 3), 127, np.uint8)
        top, left = (side - height) // 2, (side - width) // 2
        square[top : top + height, left : left + width] = pixels
        return resized(square, tile, tile)[None]
    tiles = [resized(pixels, tile, tile)]
    if aspect.startswith("anyres"):
        wide, high = best_canvas((height, width), canvases(pinpoints, tile))
        if wide / width < high / height:
            new_width, new_height = wide, min(math.ceil(height * (wide / width)), high)
        else:
            new_width, new_height = min(math.ceil(width * (high / height)), wide), high
        canvas = np.zeros((high, wide, 3), np.uint8)
        top, left = (high - new_height) // 2, (wide - new_width) // 2
        canvas[top : top + new_height, left : left + new_width] = resized(pixels, new_width, new_height)
        for y, x in product(range(0, high, tile), range(0, wide, tile)):
            tiles.append(canvas[y : y + tile, x : x + tile])
    return np.stack(tiles)


def make() -> tuple[dict[str, Any], dict[str, Array]]:
    """All cases, and the tensors that they name."""
    random = np.random.default_rng(2505)
    cases: dict[str, Any] = {"made_with_pillow": Image.__version__}
    tensors: dict[str, Array] = {}

    numbers = [(2250, 25.0), (690, 29.97), (31, 25.0), (33, 30.0), (1, 25.0), (12, 0.2), (801, 25.0), (800, 25.0)]
    strategies = [(32, "uniform", 1.0), (7, "uniform", 1.0), (32, "fps", 1.0), (32, "fps", 2.0), (4, "fps", 0.5)]
    cases["sampling"] = [
        {"given": [*clip, *how], "frames": taken_frames(*clip, *how)} for clip, how in product(numbers, strategies)
    ]

    cases["counts"] = []
    for size, pinpoints, aspect in product(SIZES, (AUTHORS_PINPOINTS, ALL_GRIDS), ("anyres", "anyres_max_4")):
        canvas = best_canvas(size, canvases(pinpoints, 384))
        rows, columns = (len(shown) for shown in shown_tokens(size, canvas, 384, 27))
        rows, columns = shrunk(rows, columns, 27, aspect)
        given = {"size": size, "pinpoints": pinpoints, "aspect_ratio": aspect}
        tiles = 1 + canvas[0] // 384 * (canvas[1] // 384)
        cases["counts"].append({**given, "tiles": tiles, "tokens": 27 * 27 + rows * (columns + 1)})

    newline = tensors["newline"] = random.standard_normal(2).astype(np.float32)
    cases["images"] = []
    pinpoints = "[(28, 56), (56, 28), (56, 56), (84, 84)]"
    for index, (size, aspect, merge) in enumerate(
        product([(30, 50), (90, 41), (70, 70)], ["anyres", "anyres_max_2", "square"], ["spatial_unpad", "flat"])
    ):
        choices = {"side": 3, "tile": 28, "aspect_ratio": aspect, "merge_type": merge, "pinpoints": pinpoints}
        canvas = best_canvas(size, canvases(pinpoints, 28))
        count = 1 if aspect == "square" else 1 + canvas[0] // 28 * (canvas[1] // 28)
        tiles = random.standard_normal((count, 9, 2)).astype(np.float32)
        tensors[f"image_{index}_tiles"] = tiles
        tensors[f"image_{index}_tokens"] = image_tokens(tiles, size, newline, choices).astype(np.float32)
        cases["images"].append({"size": size, **choices})

    cases["videos"] = []
    for side in (4, 5):
        tensors[f"frames_{side}"] = random.standard_normal((3, side * side, 2)).astype(np.float32)
    for index, (side, mode, position) in enumerate(
        product((4, 5), ("bilinear", "average", "max"), ("grid", "frame", "one_token", "no_token"))
    ):
        tokens = video_tokens(tensors[f"frames_{side}"], newline, side, mode, position)
        tensors[f"video_{index}_tokens"] = tokens.astype(np.float32)
        cases["videos"].append({"side": side, "pool_mode": mode, "newline_position": position})

    cases["pixels"] = []
    levels = np.arange(256, dtype=np.float64) * (1 / 255)
    tensors["values_of_levels"] = (levels.astype(np.float32) - np.float32(0.5)) / np.float32(0.5)
    for index, (height, width) in enumerate([(24, 50), (40, 40), (9, 71)]):
        smooth = random.integers(0, 256, (height // 3 + 1, width // 3 + 1, 3), dtype=np.uint8)
        tensors[f"picture_{index}"] = resized(smooth, width, height)
        for aspect in ("anyres", "pad", "square"):
            made = image_levels(tensors[f"picture_{index}"], 28, aspect, pinpoints)
            tensors[f"picture_{index}_{aspect}"] = made
            cases["pixels"].append({"picture": index, "aspect_ratio": aspect, "pinpoints": pinpoints, "tile": 28})
    return json.loads(json.dumps(cases)), tensors


if __name__ == "__main__":
    made_cases, made_tensors = make()
    (HERE / "golden.json").write_text(json.dumps(made_cases, indent=None) + "\n", encoding="utf-8")
    save_file({name: np.ascontiguousarray(value) for name, value in made_tensors.items()}, HERE / "golden.safetensors")
