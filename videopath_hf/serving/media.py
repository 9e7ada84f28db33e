"""Media that strangers send: fetched within limits, looked at before they are decoded, and named in messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from videopath_hf.errors import UserError
from videopath_hf.video.container import open_video
from videopath_hf.video.fetch import download, is_address
from videopath_hf.video.public import public_opener

Kind = Literal["image", "video"]
_SHOWN = 80  # characters of an address in a message


@dataclass(frozen=True)
class MediaLimits:
    """What a request may bring.

    Args:
        files (`int`, defaults to 8): images and videos together.
        bytes (`int`, defaults to 200 MB): of all of them together.
        seconds (`float`, defaults to 60): that fetching one may take.
        pixels (`int`, defaults to 50 million): of an image, or of a frame of a video.
        private (`bool`, defaults to `False`): whether addresses of the own machine and network may be fetched.
    """

    files: int = 8
    bytes: int = 200_000_000
    seconds: float = 60.0
    pixels: int = 50_000_000
    private: bool = False


class Medium(NamedTuple):
    """What a request names: `address` is a web address, or the content in base64 as a `data:` address."""

    kind: Kind
    address: str


class Fetched(NamedTuple):
    """A medium as a file, whose suffix tells images from videos, and what messages call it."""

    kind: Kind
    path: Path
    name: str


def fetch_media(media: Sequence[Medium], folder: Path, limits: MediaLimits) -> list[Fetched]:
    """Write media into `folder`, each once it is known to be of its kind and within the limits.

    Raises:
        UserError: too many, an address that is neither of the web nor `data:`, one that is not public, content that
            is too large, takes too long or is no image or video.
    """
    if len(media) > limits.files:
        raise UserError(f"the request holds {len(media)} images and videos; at most {limits.files} are accepted")
    fetched = []
    left = limits.bytes
    for number, medium in enumerate(media, start=1):
        path = folder / (f"{number}.png" if medium.kind == "image" else str(number))
        found = Fetched(medium.kind, path, _name(medium, number))
        try:
            _download(medium, path, limits, left)
            _check_pixels(found, limits)
        except UserError as error:
            raise UserError(named(str(error), [found])) from None
        left -= path.stat().st_size
        fetched.append(found)
    return fetched


def named(message: str, media: Sequence[Fetched]) -> str:
    """A message about temporary files as one about what the request named."""
    for medium in media:
        for shown in (f"{medium.kind} {medium.path}", str(medium.path)):
            message = message.replace(shown, medium.name)
    return message


def _name(medium: Medium, number: int) -> str:
    address = medium.address
    if address.startswith("data:"):
        return f"{medium.kind} {number} of the request"
    return f"{medium.kind} {address if len(address) <= _SHOWN else f'{address[:_SHOWN]}...'}"


def _download(medium: Medium, path: Path, limits: MediaLimits, left: int) -> None:
    if not is_address(medium.address):
        raise UserError(
            f"{medium.kind} {medium.address[:_SHOWN]!r} is not accepted; give an address that starts with http:// or "
            f"https://, or the content as data:{medium.kind}/...;base64,..."
        )
    opener = None if limits.private else public_opener()
    with path.open("wb") as file:
        download(medium.address, file, medium.kind, left, limits.seconds, opener)


def _check_pixels(medium: Fetched, limits: MediaLimits) -> None:
    """Raise `UserError` for more pixels than accepted, by the file's own header."""
    if medium.kind == "video":
        with open_video(medium.path) as source:
            size = source.stream.codec_context.width, source.stream.codec_context.height
    else:
        size = _image_size(medium.path)
    if size[0] * size[1] > limits.pixels:
        raise UserError(
            f"{medium.name} has {size[0]}x{size[1]} pixels, more than the {limits.pixels:,} accepted; shrink it"
        )


def _image_size(path: Path) -> tuple[int, int]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"image {path} cannot be read: {' '.join(str(error).split())[:200]}") from None
