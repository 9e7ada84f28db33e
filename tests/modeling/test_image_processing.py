import numpy as np
import pytest
import torch
from PIL import Image

from videopath_hf.modeling.image_processing_videopath_llava import VideoPathLlavaImageProcessor

SIZE = {"height": 28, "width": 28}
PINPOINTS = [[28, 56], [56, 28], [56, 56]]


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8))


def as_values(pixels: np.ndarray) -> torch.Tensor:
    scaled = pixels.astype(np.float64) * (1 / 255)
    return torch.from_numpy(((scaled.astype(np.float32) - np.float32(0.5)) / np.float32(0.5)).transpose(2, 0, 1))


def test_square_is_bitwise_the_squashed_picture(image: Image.Image) -> None:
    processor = VideoPathLlavaImageProcessor(size=SIZE, image_aspect_ratio="square", image_grid_pinpoints=PINPOINTS)
    values = processor(image, return_tensors="pt")["pixel_values"]
    expected = as_values(np.asarray(image.resize((28, 28), Image.Resampling.BICUBIC)))
    assert values.shape == (1, 1, 3, 28, 28)
    assert torch.equal(values[0, 0], expected)


def test_pad_fills_up_with_the_mean_colour(image: Image.Image) -> None:
    processor = VideoPathLlavaImageProcessor(size=SIZE, image_aspect_ratio="pad", image_grid_pinpoints=PINPOINTS)
    square = Image.new("RGB", (90, 90), (127, 127, 127))
    square.paste(image, (0, 25))
    expected = as_values(np.asarray(square.resize((28, 28), Image.Resampling.BICUBIC)))
    assert torch.equal(processor(image, return_tensors="pt")["pixel_values"][0, 0], expected)


def test_anyres_gives_the_whole_and_the_tiles_of_a_black_canvas(image: Image.Image) -> None:
    processor = VideoPathLlavaImageProcessor(size=SIZE, image_aspect_ratio="anyres", image_grid_pinpoints=PINPOINTS)
    result = processor(image, return_tensors="pt")
    canvas = Image.new("RGB", (56, 28))
    canvas.paste(image.resize((56, 25), Image.Resampling.BICUBIC), (0, 1))
    left, right = canvas.crop((0, 0, 28, 28)), canvas.crop((28, 0, 56, 28))
    pictures = [image.resize((28, 28), Image.Resampling.BICUBIC), left, right]
    assert result["image_num_tiles"].tolist() == [3] and result["image_sizes"].tolist() == [[40, 90]]
    assert torch.equal(result["pixel_values"][0], torch.stack([as_values(np.asarray(p)) for p in pictures]))


def test_images_of_unequal_tile_counts_are_filled_up(image: Image.Image) -> None:
    processor = VideoPathLlavaImageProcessor(size=SIZE, image_aspect_ratio="anyres", image_grid_pinpoints=PINPOINTS)
    result = processor([image, image.crop((0, 0, 40, 40))], return_tensors="pt")
    counts = result["image_num_tiles"].tolist()
    assert counts == [3, 5] and result["pixel_values"].shape == (2, 5, 3, 28, 28)
    assert not result["pixel_values"][0, 3:].any()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((8, 8, 3), dtype=np.float32), "uint8"),
        (np.zeros((8, 8, 2), dtype=np.uint8), "channels"),
        (np.zeros((0, 8, 3), dtype=np.uint8), "at least one pixel"),
    ],
)
def test_what_is_not_a_picture_is_refused(given: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VideoPathLlavaImageProcessor(size=SIZE, image_grid_pinpoints=PINPOINTS)(given)


@pytest.mark.parametrize("option", [{"do_resize": False}, {"do_center_crop": True}, {"size": {"shortest_edge": 28}}])
def test_options_without_effect_are_refused(image: Image.Image, option: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        VideoPathLlavaImageProcessor(size=SIZE, image_grid_pinpoints=PINPOINTS)(image, **option)


def test_extreme_shapes_are_processed(image: Image.Image) -> None:
    processor = VideoPathLlavaImageProcessor(size=SIZE, image_aspect_ratio="anyres", image_grid_pinpoints=PINPOINTS)
    result = processor([image.resize((1, 1)), image.resize((2000, 3))], return_tensors="pt")
    assert torch.isfinite(result["pixel_values"]).all()
