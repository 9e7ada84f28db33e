"""Records as the model sees them, before they share a batch; and the memory that keeps them for later epochs."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from videopath_hf.modeling.image_processing_videopath_llava import Pixels
from videopath_hf.modeling.packing_videopath_llava import Layout, num_image_tokens, num_video_tokens
from videopath_hf.modeling.videos_videopath_llava import VideoPathVideoMetadata

PIXELS = "pixel_values"
VIDEO_PIXELS = "pixel_values_videos"


class Media(NamedTuple):
    """What one sample shows, ready for the vision tower.

    Args:
        tiles (`dict[str, list]`): by the input they become, [`PIXELS`] or [`VIDEO_PIXELS`], the tiles of each image
            or the frames of each clip, uint8 [S, S, 3]: a quarter of the memory of their values.
        tensors (`dict[str, torch.Tensor]`): inputs that are whole already.
        tokens (`dict[str, list[int]]`): by `image` and `video`, how many tokens each becomes.
        clips (`list[VideoPathVideoMetadata]`): what is known of each clip.
    """

    tiles: dict[str, list[Sequence[Pixels]]]
    tensors: dict[str, torch.Tensor]
    tokens: dict[str, list[int]]
    clips: list[VideoPathVideoMetadata]


class Sample(NamedTuple):
    """A record as the model sees it, before it shares a batch: `ids` and `labels` int64 [T], and its media."""

    ids: torch.Tensor
    labels: torch.Tensor
    media: Media

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        tiles = sum(tile.nbytes for items in self.media.tiles.values() for item in items for tile in item)
        return tiles + sum(part.nbytes for part in (self.ids, self.labels, *self.media.tensors.values()))


def visual_tokens(tensors: Mapping[str, torch.Tensor], layout: Layout) -> dict[str, list[int]]:
    """How many tokens each image and each clip becomes: by `image` and `video`, from the inputs that count them."""
    sizes, tiles = tensors.get("image_sizes", ()), tensors.get("image_num_tiles", ())
    return {
        "image": [
            num_image_tokens((int(height), int(width)), int(count), layout)
            for (height, width), count in zip(sizes, tiles, strict=True)
        ],
        "video": [num_video_tokens(int(frames), layout) for frames in tensors.get("video_num_frames", ())],
    }


class SampleCache:
    """Samples in memory, the one used longest ago first to go.

    Args:
        capacity (`int`): bytes; 0 keeps nothing.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.size = 0
        self._samples: OrderedDict[str, Sample] = OrderedDict()

    def get(self, key: str) -> Sample | None:
        """What was put under `key`, or `None`."""
        if key in self._samples:
            self._samples.move_to_end(key)
        return self._samples.get(key)

    def put(self, key: str, sample: Sample) -> None:
        """Keep a sample if it fits."""
        if sample.nbytes > self.capacity:
            return
        self._samples[key] = sample
        self.size += sample.nbytes
        while self.size > self.capacity:
            self.size -= self._samples.popitem(last=False)[1].nbytes


def stack_filled(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Concatenate along the first dimension; the second, where there is one, filled up to the longest with zeros."""
    if len(parts) == 1:
        return parts[0]
    if parts[0].ndim == 1:
        return torch.cat(list(parts))
    shape = (sum(len(part) for part in parts), max(part.shape[1] for part in parts), *parts[0].shape[2:])
    joined = parts[0].new_zeros(shape)
    row = 0
    for part in parts:
        joined[row : row + len(part), : part.shape[1]] = part
        row += len(part)
    return joined
