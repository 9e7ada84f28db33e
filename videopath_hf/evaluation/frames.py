"""Frames of a record's media for pages: small, side by side, as one picture inside the page."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from videopath_hf.video.decode import read_frames
from videopath_hf.video.frame_index import frame_index

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

_WIDTH = 160
_A_ROW = 8


def video_strip(path: Path, times: Sequence[float], most: int = 16) -> tuple[str, list[float]]:
    """Frames of a video, as a data URI, and their times.

    Args:
        path (`Path`): the video.
        times (`Sequence[float]`): seconds of the frames a model saw; where these are unknown, eight evenly spaced ones
            are shown.
        most (`int`, defaults to 16): of more frames, so many are shown, evenly chosen.

    Raises:
        VideoError: the video cannot be decoded.
    """
    known = frame_index(path).times
    if len(times):
        indices = np.abs(known[None] - np.asarray(times)[:, None]).argmin(axis=1)
    else:
        indices = np.linspace(0, len(known) - 1, min(8, len(known))).astype(np.int64)
    shown = indices[np.linspace(0, len(indices) - 1, min(most, len(indices))).astype(np.int64)]
    frames = read_frames(path, shown.tolist(), transform=_small)
    return _uri(list(frames)), [round(float(known[index]), 1) for index in shown]


def image_strip(picture: Any) -> str:
    """One image as a data URI."""
    return _uri([_small(np.asarray(picture.convert("RGB")))])


def _small(picture: Pixels) -> Pixels:
    image = Image.fromarray(picture)
    height = max(1, round(picture.shape[0] * _WIDTH / picture.shape[1]))
    return np.asarray(image.resize((_WIDTH, height), Image.Resampling.BICUBIC))


def _uri(pictures: Sequence[Pixels]) -> str:
    blank = np.full_like(pictures[0], 255)
    width = min(_A_ROW, len(pictures))
    rows = []
    for start in range(0, len(pictures), width):
        row = list(pictures[start : start + width])
        rows.append(np.concatenate(row + [blank] * (width - len(row)), axis=1))
    stream = io.BytesIO()
    Image.fromarray(np.concatenate(rows, axis=0)).save(stream, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
