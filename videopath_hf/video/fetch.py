"""Videos that are not files yet: addresses on the web and bytes in memory, as a file for as long as it is read."""

import base64
import binascii
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

from videopath_hf.video.container import VideoError, reason

_TIMEOUT = 30.0  # seconds without an answer
_SHOWN = 80  # characters of an address in a message


def is_address(value: object) -> bool:
    """Whether text is a web address or a `data:` address, not a path."""
    return isinstance(value, str) and value.startswith(("http://", "https://", "data:"))


@contextmanager
def local_video(video: str | Path | bytes) -> Iterator[Path]:
    """A path to read `video` from: its own, or a temporary file's, gone afterwards, for an address or bytes.

    Raises:
        VideoError: if an address does not answer with a file.
    """
    if isinstance(video, Path) or (isinstance(video, str) and not is_address(video)):
        yield Path(video)
        return
    with tempfile.TemporaryDirectory(prefix="videopath_") as folder:
        path = Path(folder) / "video"
        if isinstance(video, str):
            with path.open("wb") as file:
                download(video, file)
        else:
            path.write_bytes(bytes(video))
        try:
            yield path
        except VideoError as error:
            name = _shorten(video) if isinstance(video, str) else f"the video given as {len(video)} bytes"
            raise VideoError(str(error).replace(f"video {path}", name).replace(str(path), name)) from None


def download(address: str, file: BinaryIO, what: str = "video") -> None:
    """Write what a web address or a `data:` address in base64 holds into an open file.

    Raises:
        VideoError: if it cannot be had; the message calls it `what`.
    """
    if address.startswith("data:"):
        try:
            file.write(base64.b64decode(address.partition(",")[2], validate=True))
        except binascii.Error as error:
            raise VideoError(f"{what} {_shorten(address)} is not valid base64 ({error})") from None
        return
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT) as answer:
            shutil.copyfileobj(answer, file)
    except urllib.error.HTTPError as error:
        why = f"the server answers {error.code} {error.reason}"
        raise VideoError(f"{what} {_shorten(address)} cannot be fetched: {why}") from None
    except (OSError, HTTPException, ValueError) as error:
        inner = getattr(error, "reason", error)
        why = reason(inner) if isinstance(inner, Exception) else str(inner)
        raise VideoError(f"{what} {_shorten(address)} cannot be fetched: {why}") from None


def _shorten(address: str) -> str:
    return address if len(address) <= _SHOWN else f"{address[:_SHOWN]}..."
