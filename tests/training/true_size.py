"""A stage's model at its true size, run forward and backward on the meta device: shapes without weights."""

from typing import Any

import pytest
import torch

from videopath_hf.modeling import modeling_videopath_llava
from videopath_hf.modeling.packing_videopath_llava import num_image_tokens, num_tiles, num_video_tokens
from videopath_hf.training.plan import VIDEO_KINDS
from videopath_hf.training.recipe import Recipe

IMAGE = (768, 1024)
TEXT = 20


def dry_run(model: Any, recipe: Recipe, kind: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """One sample of `kind` through the whole model and back; returns its loss, which has a shape and no value."""
    # Placeholders are counted by value, and nothing has one here; what they must be counts in `num_video_tokens`.
    monkeypatch.setattr(modeling_videopath_llava, "check_placeholders", lambda *_: None)
    layout = model.config.layout
    media: dict[str, Any]
    if kind in VIDEO_KINDS:
        frames = recipe.frames.num_frames
        count = num_video_tokens(frames, layout)
        media = {"pixel_values_videos": _pixels(frames, layout), "video_num_frames": torch.tensor([frames])}
    else:
        tiles = num_tiles(IMAGE, layout)
        count = num_image_tokens(IMAGE, tiles, layout)
        media = {"pixel_values": _pixels(tiles, layout), "image_sizes": torch.tensor([IMAGE])}
    model.float()  # autocast, which brings different types together in training, does not know the meta device
    length = count + TEXT
    ids = torch.zeros(1, length, dtype=torch.long, device="meta")
    mask = torch.zeros(1, 1, length, length, device="meta")  # a whole one, since making one would look at values
    outputs = model(input_ids=ids, attention_mask=mask, labels=ids, use_cache=False, **media)
    seen = outputs.video_outputs if kind in VIDEO_KINDS else outputs.image_outputs
    (features,) = seen.pooler_output
    assert features.shape == (count, model.config.text_config.hidden_size)
    outputs.loss.backward()
    return outputs.loss


def _pixels(tiles: int, layout: Any) -> torch.Tensor:
    return torch.zeros(1, tiles, 3, layout.tile, layout.tile, device="meta")
