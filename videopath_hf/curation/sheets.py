"""Contact sheets and keyframes as JPEG files."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from videopath_hf.curation.tissue import Picture
from videopath_hf.files import atomic_path
from videopath_hf.video.glance import shrink

_WIDTH = 900  # pixels of a sheet
_COLUMNS = 4
_GAP = 4


def write_jpeg(path: Path, image: Picture, quality: int = 90) -> None:
    """Write an RGB picture, uint8 [H, W, 3], whole or not at all."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise OSError(f"{path}: a picture of shape {image.shape} cannot be encoded as JPEG")
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())


def spread(total: int, wanted: int) -> list[int]:
    """At most `wanted` numbers of `total`, evenly spread from the first to the last."""
    return np.linspace(0, total - 1, min(total, wanted), dtype=int).tolist() if total else []


def contact_sheet(frames: Sequence[Picture]) -> Picture:
    """Put frames side by side, wrapped into rows: uint8 [H, W, 3] RGB, at most 900 wide."""
    columns = len(frames) if len(frames) <= _COLUMNS else min(_COLUMNS, -(-len(frames) // 2))
    width = (_WIDTH - (_COLUMNS - 1) * _GAP) // max(columns, _COLUMNS - 1)
    height = round(width * frames[0].shape[0] / frames[0].shape[1])
    rows = -(-len(frames) // columns)
    sheet = np.full((rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), 255, dtype=np.uint8)
    for number, frame in enumerate(frames):
        x, y = (number % columns) * (width + _GAP), (number // columns) * (height + _GAP)
        sheet[y : y + height, x : x + width] = shrink(frame, width, height)
    return sheet
