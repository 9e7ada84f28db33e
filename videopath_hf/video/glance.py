"""Small pictures, fast: of every frame of a long video, for what looks at structure and not at exact colours."""

from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame

from videopath_hf.video.container import Geometry, plane_samples

_FULL_RANGE = 2  # AVCOL_RANGE_JPEG

Picture = np.ndarray[Any, np.dtype[np.uint8]]


def glance(frame: VideoFrame, geometry: Geometry) -> Picture:
    """Convert like `geometry.picture` to uint8 [height, width, 3] RGB, both even, at a third of its cost.

    The planes of 4:2:0 frames are averaged down before their colours are converted, by the matrix of BT.601 whatever
    the video's; frames of other formats are converted exactly.
    """
    if frame.format.name != "yuv420p" or frame.color_range == _FULL_RANGE:
        return geometry.picture(frame)
    turned = geometry.rotation % 180 != 0
    width, height = (geometry.height, geometry.width) if turned else (geometry.width, geometry.height)
    packed = np.empty((height * 3 // 2, width), dtype=np.uint8)  # Y, then U and V at half the size, as OpenCV wants
    chroma = packed[height:].reshape(2, height // 2, width // 2)
    for plane, target in zip(frame.planes, (packed[:height], *chroma), strict=True):
        target[:] = shrink(plane_samples(plane, plane.width), *target.shape[::-1])
    image: Picture = cv2.cvtColor(packed, cv2.COLOR_YUV2RGB_I420)
    return np.ascontiguousarray(np.rot90(image, geometry.rotation // 90)) if geometry.rotation else image


def shrink(image: Picture, width: int, height: int) -> Picture:
    """Scale a picture, uint8 [H, W] or [H, W, 3], by averaging.

    OpenCV halves a picture many times as fast as it scales by other factors, so it is halved while that goes evenly.
    """
    tall, wide = image.shape[:2]
    while tall >= 2 * height and wide >= 2 * width and tall % 2 == wide % 2 == 0:
        tall, wide = tall // 2, wide // 2
        image = _resized(image, wide, tall)
    return image if (tall, wide) == (height, width) else _resized(image, width, height)


def _resized(image: Picture, width: int, height: int) -> Picture:
    found: Picture = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return found
