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
            _download(video, path)
        else:
            path.write_bytes(bytes(video))
        try:
            yield path
        except VideoError as error:
            name = _shorten(video) if isinstance(video, str) else f"the video given as {len(video)} bytes"
            raise VideoError(str(error).replace(f"video {path}", name).replace(str(path), name)) from None


def _download(address: str, path: Path) -> None:
    if address.startswith("data:"):
        header, _, body = address.partition(",")
        try:
            path.write_bytes(base64.b64decode(body, validate=True) if header.endswith(";base64") else body.encode())
        except binascii.Error as error:
            raise VideoError(f"the video in {_shorten(address)} is not valid base64 ({error})") from None
        return
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except urllib.error.HTTPError as error:
        raise VideoError(
            f"video {_shorten(address)} cannot be fetched: the server answers {error.code} {error.reason}"
        ) from None
    except (urllib.error.URLError, OSError, HTTPException, ValueError) as error:
        why = getattr(error, "reason", None)
        raise VideoError(
            f"video {_shorten(address)} cannot be fetched: {why if isinstance(why, str) else reason(why or error)}"
        ) from None


def _shorten(address: str) -> str:
    return address if len(address) <= _SHOWN else f"{address[:_SHOWN]}..."
