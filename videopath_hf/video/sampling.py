"""Which frames of a clip a model sees."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from videopath_hf.video.decode import Backend, Pictures, Transform, read_frames
from videopath_hf.video.frame_index import frame_index

Strategy = Literal["uniform", "fps"]
Indices = np.ndarray[Any, np.dtype[np.int64]]


class SampledVideo(NamedTuple):
    """The frames of a clip that a model sees.

    Args:
        frames (`np.ndarray`): uint8 [F, H, W, 3] RGB, or what `transform` made of them.
        indices (`np.ndarray`): int64 [F], their numbers in the video.
        times (`np.ndarray`): float64 [F], seconds from the start of the video.
    """

    frames: Pictures
    indices: Indices
    times: np.ndarray[Any, np.dtype[np.float64]]


def sample_indices(
    total: int, fps: float, num_frames: int = 32, strategy: Strategy = "uniform", video_fps: float = 1.0
) -> Indices:
    """Choose frames as the published implementation does (arXiv 2505.04192, its loaders at commit 9e75a9d).

    Its training takes `"fps"`, its inference `"uniform"`; they differ on clips of up to `num_frames` seconds. Two
    things are ours: a step is at least 1 frame, where theirs fails on videos of 0.5 fps and less, and `"uniform"`
    takes every frame of a clip of fewer than `num_frames` frames once, where theirs repeats them.

    Args:
        total (`int`): number of frames of the clip.
        fps (`float`): its average frames per second.
        num_frames (`int`, defaults to 32): with `"uniform"` how many, with `"fps"` at most how many.
        strategy (`str`, defaults to `"uniform"`): `"uniform"`: evenly spaced from the first frame to the last;
            `"fps"`: `video_fps` frames a second, and as `"uniform"` where these are more than `num_frames`.
        video_fps (`float`, defaults to 1.0): frames a second that `"fps"` takes.

    Returns:
        `np.ndarray`: int64 [F] frame numbers, ascending.
    """
    for name, value in (("total", total), ("fps", fps), ("num_frames", num_frames), ("video_fps", video_fps)):
        if not value > 0:
            raise ValueError(f"{name} must be above 0, not {value}")
    if strategy not in ("uniform", "fps"):
        raise ValueError(f"strategy must be 'uniform' or 'fps', not {strategy!r}")
    if strategy == "fps":
        indices = np.arange(0, total, max(1, round(fps / video_fps)), dtype=np.int64)
        if len(indices) <= num_frames:
            return indices
    return np.linspace(0, total - 1, min(num_frames, total), dtype=np.int64)


def sample_video(
    path: str | Path,
    num_frames: int = 32,
    strategy: Strategy = "uniform",
    backend: Backend = "pyav",
    video_fps: float = 1.0,
    transform: Transform | None = None,
) -> SampledVideo:
    """Read the frames of a clip that `sample_indices` chooses; `transform` as of `read_frames`.

    Raises:
        VideoError: for a file that is not a video or does not decode.
    """
    times = frame_index(path).times
    fps = (len(times) - 1) / float(times[-1] - times[0]) if len(times) > 1 else 1.0
    indices = sample_indices(len(times), fps, num_frames, strategy, video_fps)
    return SampledVideo(read_frames(path, indices.tolist(), backend, transform), indices, times[indices])
