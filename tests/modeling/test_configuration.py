import pytest

from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig


def test_choices_survive_a_round_through_json() -> None:
    config = VideoPathLlavaConfig(
        image_aspect_ratio="pad", video_newline_position="grid", video_pool_mode="max", patch_merge_type="flat"
    )
    again = VideoPathLlavaConfig.from_dict(config.to_dict())
    assert again.layout == config.layout
    assert (again.image_aspect_ratio, again.vision_aspect_ratio) == ("pad", "pad")
    assert (again.layout.newline_position, again.layout.pool_mode, again.layout.merge_type) == ("grid", "max", "flat")


def test_default_is_the_published_geometry() -> None:
    layout = VideoPathLlavaConfig().layout
    assert (layout.side, layout.tile, layout.newline_position, layout.pool_stride) == (27, 384, "one_token", 2)
    assert len(layout.pinpoints) == 36 and layout.pinpoints[1] == (768, 384)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image_aspect_ratio", "anyres_max_"),
        ("video_newline_position", "row"),
        ("video_pool_mode", "mean"),
        ("patch_merge_type", "spatial"),
        ("video_pool_stride", 0),
        ("image_grid_pinpoints", [[384, 500]]),
        ("image_grid_pinpoints", "6x6"),
    ],
)
def test_values_outside_the_accepted_ones_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(Exception, match=field.replace("image_aspect_ratio", "aspect ratio")):
        VideoPathLlavaConfig(**{field: value})
