"""Images that are not pictures yet: files, web addresses, base64 and bytes, opened."""

import io
from pathlib import Path
from typing import Any

from PIL import Image
from transformers.image_utils import load_image

from videopath_hf.video.container import VideoError
from videopath_hf.video.fetch import download, is_address


def read_images(images: Any) -> Any:
    """Image files, addresses and files' contents of a nested list opened, everything else as it is.

    Raises:
        ValueError: for one that cannot be read; it is named.
    """
    if isinstance(images, (list, tuple)):
        return [read_images(image) for image in images]
    if isinstance(images, (bytes, bytearray, memoryview)):
        return _open_image(f"given as {len(images)} bytes", io.BytesIO(images))
    if isinstance(images, Path) or (isinstance(images, str) and _is_path(images)):
        path = Path(images)
        if not path.exists():
            raise ValueError(f"image {images} cannot be read: it does not exist")
        return _open_image(str(images), path)
    if not isinstance(images, str):
        return images
    if not is_address(images):
        images = f"data:;base64,{images}"
    file = io.BytesIO()
    try:
        download(images, file, "image")
    except VideoError as error:
        raise ValueError(str(error)) from None
    file.seek(0)
    return _open_image(images[:80], file)


def _open_image(name: str, file: Path | io.BytesIO) -> Image.Image:
    try:
        return load_image(Image.open(file))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"image {name} cannot be read: {_first_words(error)}") from None


def _first_words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _is_path(text: str) -> bool:
    """Whether text that stands for an image is a path, not an address or the picture itself in base64."""
    return not text.startswith(("http://", "https://", "data:")) and len(text) < 1024
