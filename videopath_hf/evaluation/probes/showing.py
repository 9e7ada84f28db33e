"""Clips decoded once and shown in many ways."""

import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from videopath_hf.evaluation.probes.settings import Probe
from videopath_hf.modeling.image_processing_videopath_llava import resize_pixels
from videopath_hf.modeling.session import DecodedVideo, is_image

if TYPE_CHECKING:
    from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Indices = np.ndarray[Any, np.dtype[np.int64]]

_BORDER = 16  # a needle's border is this part of its side
_YELLOW = (255, 221, 0)


class Clip(NamedTuple):
    """A video, decoded once for all probes.

    Args:
        plain (`DecodedVideo`): as the model's processor samples it.
        sampled (`Mapping[int, DecodedVideo]`): with other numbers of evenly spaced frames.
    """

    plain: DecodedVideo
    sampled: Mapping[int, DecodedVideo]


def decode_clip(processor: "VideoPathLlavaProcessor", path: Path, counts: Sequence[int]) -> Clip:
    """Decode the frames that a video's probes need, each once, squashed to the model's input.

    Args:
        processor (`VideoPathLlavaProcessor`): of the model.
        path (`Path`): the video.
        counts (`Sequence[int]`): numbers of evenly spaced frames beside the processor's own choice.

    Raises:
        VideoError: it cannot be decoded.
    """
    video = processor.video_processor
    chosen: dict[int | None, Indices] = {}

    def choose(metadata: Any) -> Indices:
        chosen[None] = video.sample_frames(metadata, video.num_frames, video.fps, video.sampling)
        for count in counts:
            chosen[count] = video.sample_frames(metadata, count, None, "uniform")
        return np.unique(np.concatenate(list(chosen.values())))

    frames, metadata = video.fetch_videos(path, choose, transform=_squash(video))
    place = {index: number for number, index in enumerate(metadata.frames_indices)}

    def part(indices: Indices) -> DecodedVideo:
        rows = [place[index] for index in indices.tolist()]
        times = [metadata.times[row] for row in rows]
        known = dataclasses.replace(metadata, frames_indices=indices.tolist(), times=times)
        return DecodedVideo(frames[rows], known)

    return Clip(part(chosen[None]), {count: part(chosen[count]) for count in counts})


def needle_frame(processor: "VideoPathLlavaProcessor", path: Path) -> Pixels:
    """The frame in the middle of a video with a yellow border, uint8 [S, S, 3].

    Raises:
        VideoError: it cannot be decoded.
    """
    video = processor.video_processor

    def middle(metadata: Any) -> Indices:
        return np.array([metadata.total_num_frames // 2])

    (decoded,), _ = video.fetch_videos(path, middle, transform=_squash(video))
    frame: Pixels = decoded.copy()
    width = max(1, frame.shape[0] // _BORDER)
    for edge in (frame[:width], frame[-width:], frame[:, :width], frame[:, -width:]):
        edge[...] = _YELLOW
    return frame


def _squash(video: Any) -> Callable[[Pixels], Pixels]:
    return partial(resize_pixels, size=(video.size["height"], video.size["width"]), resample=video.resample)


def shown(probe: Probe, clip: Clip, seed: str, needle: Pixels | None = None) -> DecodedVideo:
    """A clip as a probe shows it; nothing of `clip` is changed.

    Its time sentence, if there is one, goes on naming the times at which the unchanged frames stand.

    Args:
        probe (`Probe`): any but `no_frames`.
        clip (`Clip`): the clip.
        seed (`str`): decides which frames are black or change places.
        needle (`np.ndarray`, *optional*): the frame of the probe `needle`, uint8 [S, S, 3].
    """
    if probe.kind == "frames":
        return clip.sampled[int(probe.amount or 0)]
    frames, metadata = clip.plain
    if probe.kind == "reversed":
        return DecodedVideo(frames[::-1].copy(), metadata)
    if probe.kind == "shuffled":
        return DecodedVideo(frames[_moved(len(frames), probe.amount or 0, seed)], metadata)
    changed = frames.copy()
    if probe.kind == "black":
        order = random.Random(f"{seed}:black").sample(range(len(frames)), len(frames))
        changed[order[: round((probe.amount or 0) * len(frames))]] = 0
    elif probe.kind == "needle" and needle is not None:
        changed[round((probe.amount or 0) * (len(frames) - 1))] = needle
    return DecodedVideo(changed, metadata)


def black_image(image: Any) -> Any:
    """As many black pixels."""
    return np.zeros_like(np.asarray(image))


def read_media(processor: "VideoPathLlavaProcessor", paths: Sequence[Path], counts: Sequence[int]) -> list[Any]:
    """Media of a record: a `Clip` for each video, an opened image for each image.

    Raises:
        VideoError: a video cannot be decoded.
        ValueError: an image cannot be read.
    """
    return [
        processor.read_images([path])[0] if is_image(path) else decode_clip(processor, path, counts) for path in paths
    ]


def _moved(total: int, share: float, seed: str) -> list[int]:
    """Where each frame comes from: a share of them, at least two, in one ring, so that each of these moves."""
    order = list(range(total))
    count = min(total, max(2, round(share * total))) if share and total > 1 else 0
    ring = random.Random(f"{seed}:shuffled").sample(order, count)
    for at, place in enumerate(ring):
        order[place] = ring[at - 1]
    return order
