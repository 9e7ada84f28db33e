import pytest
import torch

from videopath_hf.modeling.packing_videopath_llava import (
    Layout,
    fitted_size,
    num_image_tokens,
    num_tiles,
    num_video_tokens,
    pack_image,
    pack_video,
    parse_pinpoints,
    select_resolution,
    shrunk_size,
    unpad_margins,
)

AUTHORS = [(384, 768), (768, 384), (768, 768), (1152, 384), (384, 1152)]


def layout(**changes: object) -> Layout:
    base = Layout(27, 384, "anyres", "spatial_unpad", parse_pinpoints(str(AUTHORS), 384), "grid", "bilinear", 2)
    return base._replace(**changes)  # type: ignore[arg-type]


def test_pinpoints_are_width_height_in_text_and_height_width_in_lists() -> None:
    assert parse_pinpoints(str(AUTHORS), 384)[:2] == [(768, 384), (384, 768)]
    assert parse_pinpoints(AUTHORS, 384)[:2] == [(384, 768), (768, 384)]
    assert parse_pinpoints("(1x1),...,(2x3)", 10) == [(10, 10), (20, 10), (30, 10), (10, 20), (20, 20), (30, 20)]


def test_of_equally_good_pinpoints_the_first_wins() -> None:
    # A small square keeps all its pixels on every canvas, and both 2-tile canvases waste as much.
    assert select_resolution((80, 80), [(104, 208), (208, 104), (208, 208)]) == (104, 208)
    assert select_resolution((80, 80), [(208, 104), (104, 208), (208, 208)]) == (208, 104)


def test_resizing_rounds_up_and_cutting_the_border_truncates() -> None:
    assert fitted_size((333, 517), (208, 208)) == (134, 208)
    # 792 * (54 / 748) is 57.17..., 748 * (54 / 792) is 51: a hair below in floating point, so 50.
    assert int(748 * (54 / 792)) == 50
    assert unpad_margins((792, 748), (54, 54)) == (0, 2)


def test_shrinking_sets_in_above_eleven_tenths() -> None:
    assert shrunk_size((81, 81), 27, 9) == (81, 81)
    assert shrunk_size((89, 89), 27, 9) == (89, 89)
    assert shrunk_size((108, 108), 27, 9) == (81, 81)
    assert shrunk_size((162, 162), 27, None) == (162, 162)


@pytest.mark.parametrize("aspect_ratio", ["anyres", "anyres_max_2", "pad", "square"])
@pytest.mark.parametrize("merge_type", ["spatial_unpad", "flat"])
@pytest.mark.parametrize("size", [(333, 517), (792, 748), (20, 900), (1, 1)])
def test_images_pack_to_as_many_tokens_as_counted(aspect_ratio: str, merge_type: str, size: tuple[int, int]) -> None:
    choices = layout(side=3, aspect_ratio=aspect_ratio, merge_type=merge_type)
    tiles = num_tiles(size, choices)
    packed = pack_image(torch.randn(tiles, 9, 4), size, torch.zeros(4), choices)
    assert packed.shape == (num_image_tokens(size, tiles, choices), 4)


@pytest.mark.parametrize("newline_position", ["grid", "frame", "one_token", "no_token"])
@pytest.mark.parametrize("pool_mode", ["bilinear", "average", "max"])
@pytest.mark.parametrize("merge_type", ["spatial_unpad", "flat"])
def test_videos_pack_to_as_many_tokens_as_counted(newline_position: str, pool_mode: str, merge_type: str) -> None:
    choices = layout(side=5, newline_position=newline_position, pool_mode=pool_mode, merge_type=merge_type)
    packed = pack_video(torch.randn(3, 25, 4), torch.zeros(4), choices)
    assert packed.shape == (num_video_tokens(3, choices), 4)


def test_video_tokens_are_those_of_the_published_geometry() -> None:
    counts = {name: num_video_tokens(32, layout(newline_position=name)) for name in ("grid", "frame", "one_token")}
    assert counts == {"grid": 32 * 210, "frame": 32 * 197, "one_token": 32 * 196 + 1}


def test_newline_tokens_stand_where_their_position_says() -> None:
    features, newline = torch.ones(2, 9, 1), torch.zeros(1)

    def places(position: str) -> list[int]:
        packed = pack_video(features, newline, layout(side=3, newline_position=position))
        return (packed[:, 0] == 0).nonzero()[:, 0].tolist()

    assert places("grid") == [2, 5, 8, 11]
    assert places("frame") == [4, 9]
    assert places("one_token") == [8]
    assert places("no_token") == []


def test_tiles_are_joined_by_row_behind_the_whole_image() -> None:
    choices = layout(side=2, pinpoints=[(384, 768)])
    tiles = torch.stack([torch.full((4, 1), float(index)) for index in range(3)])
    packed = pack_image(tiles, (384, 768), torch.full((1,), 9.0), choices)[:, 0].tolist()
    assert packed == [0, 0, 0, 0, 1, 1, 2, 2, 9, 1, 1, 2, 2, 9]
