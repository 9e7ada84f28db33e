"""Videos that are not files yet: addresses on the web and bytes in memory, as a file for as long as it is read."""

import base64
import binascii
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin

from videopath_hf.video.container import VideoError, reason

MAX_BYTES = 2 * 10**9
"""Largest download: two hours of a 720p lecture are under 1 GB."""
MAX_SECONDS = 3600.0
"""Longest download; a server that sends byte after byte must not hold a run for ever."""

_TIMEOUT = 30.0  # seconds without an answer
_PIECE = 1 << 16
_REDIRECTS = 10
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


def download(
    address: str,
    file: BinaryIO,
    what: str = "video",
    max_bytes: int = MAX_BYTES,
    max_seconds: float = MAX_SECONDS,
    opener: urllib.request.OpenerDirector | None = None,
) -> None:
    """Write what a web address or a `data:` address in base64 holds into an open file.

    Args:
        address (`str`): `http:`, `https:` or `data:`; a server may redirect to the first two only.
        file (`BinaryIO`): open for writing; after an error it may hold a part.
        what (`str`, defaults to `"video"`): what messages call it.
        max_bytes (`int`, defaults to 2 GB): most that is accepted, by the server's word and by count.
        max_seconds (`float`, defaults to 3600): longest time that it may take altogether.
        opener (`urllib.request.OpenerDirector`, *optional*): what connects; of
            [`~videopath_hf.video.public.public_opener`], it goes to public addresses only.

    Raises:
        VideoError: if it is no such address, cannot be had, is too large or takes too long.
    """
    name = f"{what} {_shorten(address)}"
    if address.startswith("data:"):
        file.write(_from_base64(address, name, max_bytes))
        return
    deadline = time.monotonic() + max_seconds
    try:
        with _open(opener or _OPENER, address, name, min(_TIMEOUT, max_seconds)) as answer:
            _copy(answer, file, name, max_bytes, deadline, max_seconds)
    except VideoError:
        raise
    except urllib.error.HTTPError as error:
        raise VideoError(f"{name} cannot be fetched: the server answers {error.code} {error.reason}") from None
    except (OSError, HTTPException, ValueError) as error:
        inner = getattr(error, "reason", error)
        why = reason(inner) if isinstance(inner, Exception) else str(inner)
        raise VideoError(f"{name} cannot be fetched: {why}") from None


def _open(opener: urllib.request.OpenerDirector, address: str, name: str, timeout: float) -> Any:
    """The answer of a web address, or of the one that it redirects to in the end.

    urllib would follow redirects to other protocols, and read a redirect's own content whole, however long it is.
    """
    if not is_address(address):
        raise VideoError(f"{name} cannot be fetched: it is no address that starts with http://, https:// or data:")
    for _ in range(_REDIRECTS):
        try:
            return opener.open(address, timeout=timeout)
        except urllib.error.HTTPError as error:
            target = error.headers.get("Location")
            if error.code not in (301, 302, 303, 307, 308) or target is None:
                raise
            error.close()
        address = urljoin(address, target)
        if not address.startswith(("http://", "https://")):
            raise VideoError(f"{name} cannot be fetched: it redirects to {_shorten(address)}, not to http or https")
    raise VideoError(f"{name} cannot be fetched: it redirects more than {_REDIRECTS} times")


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves it to `download` to follow redirects."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """None leaves the answer as an error, which `_open` reads."""


_OPENER = urllib.request.build_opener(NoRedirects)


def _copy(answer: Any, file: BinaryIO, name: str, max_bytes: int, deadline: float, max_seconds: float) -> None:
    announced = answer.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(name, int(announced), max_bytes)
    copied = 0
    while piece := answer.read1(_PIECE):  # what there is, without waiting for a whole piece
        copied += len(piece)
        if copied > max_bytes:
            raise _too_large(name, None, max_bytes)
        if time.monotonic() > deadline:
            raise VideoError(
                f"{name} cannot be fetched: {copied:,} bytes came in {max_seconds:g} s, which is all the time it may "
                "take; download it yourself and give the file"
            )
        file.write(piece)
    if announced.isdecimal() and copied < int(announced):
        raise VideoError(f"{name} cannot be fetched: it breaks off after {copied:,} of {int(announced):,} bytes")


def _from_base64(address: str, name: str, max_bytes: int) -> bytes:
    text = address.partition(",")[2]
    if len(text) // 4 * 3 > max_bytes + 2:  # without making it
        raise _too_large(name, len(text) // 4 * 3, max_bytes)
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise VideoError(f"{name} is not valid base64 ({error})") from None
    if len(content) > max_bytes:
        raise _too_large(name, len(content), max_bytes)
    return content


def _too_large(name: str, size: int | None, max_bytes: int) -> VideoError:
    held = "sends more" if size is None else f"holds {size:,} bytes, more"
    return VideoError(f"{name} {held} than the {max_bytes:,} bytes accepted; download it yourself and give the file")


def _shorten(address: str) -> str:
    return address if len(address) <= _SHOWN else f"{address[:_SHOWN]}..."
