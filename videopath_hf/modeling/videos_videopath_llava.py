"""What counts as a video, what is known of it, and the frames of one that is given as pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.video_utils import VideoMetadata

from .image_processing_videopath_llava import Pixels, to_rgb_pixels

Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass
class VideoPathVideoMetadata(VideoMetadata):
    """What is known of a video, and which of its frames were taken.

    Args:
        times (`list[float]`, *optional*): seconds of the frames taken; None for frames given without their times.
    """

    times: list[float] | None = None

    @property
    def timestamps(self) -> list[float]:
        """Seconds of the frames taken, from the file's own time stamps where there are any."""
        return self.times if self.times is not None else super().timestamps


def is_video(value: Any) -> bool:
    """Whether `value` is one video: a path, an address, bytes, pixels with 4 dimensions, or a list of frames."""
    if is_file(value):
        return True
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return value.ndim == 4
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(_is_frame(frame) for frame in value)


def flatten_videos(videos: Any) -> list[Any]:
    """All videos of a nested list, in order. A list of frames is one video; a list of paths is several.

    Raises:
        ValueError: for something that is neither a video nor a list of videos.
    """
    if is_video(videos):
        return [videos]
    if isinstance(videos, (np.ndarray, torch.Tensor)) and videos.ndim == 5:
        return list(videos)
    if isinstance(videos, (list, tuple)):
        return [video for item in videos for video in flatten_videos(item)]
    raise ValueError(
        "a video must be a path, an address, bytes, pixels [F, H, W, 3] or a list of frames, not "
        f"{type(videos).__name__}"
    )


def is_file(value: Any) -> bool:
    """Whether `value` is a path, an address or the bytes of a file."""
    return isinstance(value, (str, Path, bytes, bytearray, memoryview))


def _is_frame(value: Any) -> bool:
    return isinstance(value, Image.Image) or (isinstance(value, (np.ndarray, torch.Tensor)) and value.ndim in (2, 3))


def list_metadata(metadata: Any, videos: int) -> list[VideoMetadata | None]:
    """What is known of each of so many videos.

    Raises:
        ValueError: if it was given for another number of videos.
    """
    if metadata is None:
        return [None] * videos
    given = metadata if isinstance(metadata, list) else [metadata]
    flat = [one for item in given for one in (item if isinstance(item, list) else [item])]
    if len(flat) != videos:
        raise ValueError(f"video_metadata has {len(flat)} entries for {videos} videos; pass one for each")
    return [one if isinstance(one, VideoMetadata) else VideoPathVideoMetadata(**one) for one in flat]


def take_frames(
    video: Any, known: VideoMetadata | None, sample_indices_fn: Callable[..., Indices] | None
) -> tuple[Pixels, VideoMetadata]:
    """The frames chosen of a video given as pixels, uint8 [F, H, W, 3], and its metadata.

    Raises:
        ValueError: for a video without frames, and for frames of unequal size.
    """
    total = len(video)
    if total == 0:
        raise ValueError("a video given as pixels has no frame; at least one is needed")
    metadata = known or VideoPathVideoMetadata(total_num_frames=total)
    metadata.total_num_frames = total
    indices = np.arange(total) if sample_indices_fn is None else sample_indices_fn(metadata)
    frames = [to_rgb_pixels(video[index]) for index in indices.tolist()]
    sizes = sorted({frame.shape[:2] for frame in frames})
    if len(sizes) > 1:
        raise ValueError(f"the frames of one video differ in size: (height, width) {sizes[0]} and {sizes[-1]}")
    metadata.frames_indices = indices.tolist()
    metadata.height, metadata.width = sizes[0]
    return np.stack(frames), metadata
