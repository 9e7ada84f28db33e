"""Our arithmetic against golden/, which independent code wrote: it needs nothing of the team's shared folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.modeling.golden.make_golden import AUTHORS_PINPOINTS, make
from videopath_hf.modeling.image_processing_videopath_llava import VideoPathLlavaImageProcessor
from videopath_hf.modeling.packing_videopath_llava import (
    Layout,
    num_image_tokens,
    num_tiles,
    num_video_tokens,
    pack_image,
    pack_video,
    parse_pinpoints,
)
from videopath_hf.modeling.video_processing_videopath_llava import VideoPathLlavaVideoProcessor
from videopath_hf.video.sampling import sample_indices

FOLDER = Path(__file__).parent / "golden"
CASES = json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))
TENSORS = load_file(FOLDER / "golden.safetensors")


def cases(kind: str) -> Any:
    """A test's parameters: number and content of every case of a kind."""
    return pytest.mark.parametrize(("index", "case"), enumerate(CASES[kind]), ids=map(str, range(len(CASES[kind]))))


def tensor(name: str) -> torch.Tensor:
    return torch.from_numpy(TENSORS[name])


def layout(**choices: Any) -> Layout:
    """The published geometry, but for what is given; pinpoints may be the authors' text."""
    base = Layout(27, 384, "anyres", "spatial_unpad", [], "grid", "bilinear", 2)._replace(**choices)
    return base._replace(pinpoints=parse_pinpoints(choices.get("pinpoints", AUTHORS_PINPOINTS), base.tile))


def test_the_files_are_what_the_script_writes() -> None:
    made, tensors = make()
    assert {**made, "made_with_pillow": None} == {**CASES, "made_with_pillow": None}
    assert tensors.keys() == TENSORS.keys()
    for name, value in tensors.items():
        assert value.dtype == TENSORS[name].dtype, name
        np.testing.assert_allclose(value, TENSORS[name], rtol=0, atol=1e-6, err_msg=name)


def test_the_frames_taken_of_a_video() -> None:
    for case in CASES["sampling"]:
        assert sample_indices(*case["given"]).tolist() == case["frames"], case["given"]


def test_the_tiles_and_tokens_of_an_image() -> None:
    for case in CASES["counts"]:
        choices = layout(aspect_ratio=case["aspect_ratio"], pinpoints=case["pinpoints"])
        size = tuple(case["size"])
        found = {"tiles": num_tiles(size, choices), "tokens": num_image_tokens(size, case["tiles"], choices)}
        assert found == {"tiles": case["tiles"], "tokens": case["tokens"]}, case


@cases("images")
def test_the_order_and_values_of_an_images_tokens(index: int, case: dict[str, Any]) -> None:
    size, choices = tuple(case["size"]), layout(**{name: case[name] for name in case if name != "size"})
    tiles, expected = tensor(f"image_{index}_tiles"), tensor(f"image_{index}_tokens")
    assert num_tiles(size, choices) == len(tiles)
    packed = pack_image(tiles, size, tensor("newline"), choices)
    assert packed.shape == expected.shape and torch.allclose(packed, expected, rtol=0, atol=1e-6)


@cases("videos")
def test_the_order_and_values_of_a_videos_tokens(index: int, case: dict[str, Any]) -> None:
    choices, expected = layout(**case), tensor(f"video_{index}_tokens")
    packed = pack_video(tensor(f"frames_{case['side']}"), tensor("newline"), choices)
    assert len(packed) == num_video_tokens(3, choices)
    assert packed.shape == expected.shape and torch.allclose(packed, expected, rtol=0, atol=1e-6)


@cases("pixels")
def test_the_pixel_values_of_an_image(index: int, case: dict[str, Any]) -> None:
    side = {"height": case["tile"], "width": case["tile"]}
    choices = {"image_aspect_ratio": case["aspect_ratio"]}
    pinpoints = [list(size) for size in parse_pinpoints(case["pinpoints"], case["tile"])]
    processor = VideoPathLlavaImageProcessor(size=side, image_grid_pinpoints=pinpoints, **choices)
    made = processor(TENSORS[f"picture_{case['picture']}"], return_tensors="np")["pixel_values"][0]
    levels = TENSORS[f"picture_{case['picture']}_{case['aspect_ratio']}"]
    np.testing.assert_array_equal(made, TENSORS["values_of_levels"][levels].transpose(0, 3, 1, 2))


def test_the_pixel_values_of_a_frame() -> None:
    processor = VideoPathLlavaVideoProcessor(size={"height": 28, "width": 28})
    for picture in range(3):
        made = processor([TENSORS[f"picture_{picture}"][None]], return_tensors="np")["pixel_values_videos"][0]
        levels = TENSORS[f"picture_{picture}_square"]
        np.testing.assert_array_equal(made, TENSORS["values_of_levels"][levels].transpose(0, 3, 1, 2))
