"""Zip files nobody vouches for: members are listed and read one by one, and nothing is unpacked under their names."""

import shutil
import stat
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import IO

from videopath_hf.errors import UserError

_RATIO = 200  # times its packed size that a member may have: video hardly shrinks, JSON by 10 to 30
_SMALL = 1 << 20  # bytes up to which a member's ratio does not matter
_LARGEST = 1 << 34  # bytes of one member
_SYMLINK = stat.S_IFLNK


class Archive:
    """A zip file's members by name, without those that must not be trusted.

    Args:
        path (`Path`): the file.

    `members` can be read; `refused` maps the name of each other one to the reason: it leads out of the archive, is
    encrypted, a link, named twice, or unpacks to more than any honest member would (a zip bomb).

    Raises:
        UserError: no such file, or not a zip file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._zip = zipfile.ZipFile(self.path)
        except FileNotFoundError:
            raise UserError(f"{path} does not exist") from None
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise UserError(f"{path} cannot be read as a zip file ({error}); it is damaged or cut off") from None
        named: dict[str, list[zipfile.ZipInfo]] = defaultdict(list)
        for info in self._zip.infolist():
            if not info.is_dir() and not info.filename.startswith("__MACOSX/"):
                named[info.filename.removeprefix("./")].append(info)
        self.members: dict[str, zipfile.ZipInfo] = {}
        self.refused: dict[str, str] = {}
        for name, infos in named.items():
            if fault := _fault(name, infos):
                self.refused[name] = fault
            else:
                self.members[name] = infos[0]

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A member for reading; no more than its listed size ever comes, and its checksum is compared.

        Raises:
            UserError: it is damaged or packed in a way that cannot be read, found at the start or while it is read.
        """
        try:
            with self._zip.open(self.members[name]) as stream:
                yield stream
        except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error) as error:
            raise UserError(f"{self.path}: member {name} is damaged or cannot be read: {error}") from None

    def extract(self, name: str, target: Path) -> None:
        """Write a member's content to `target`; raises `UserError` as `open` does."""
        with self.open(name) as source, target.open("wb") as stream:
            shutil.copyfileobj(source, stream, 1 << 20)


def _fault(name: str, infos: list[zipfile.ZipInfo]) -> str | None:
    info = infos[0]
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith("/") or "\\" in name or PureWindowsPath(name).drive or not name.isprintable():
        return "its name leads out of the archive or is not plain"
    if len(infos) > 1:
        return f"its name stands in the archive {len(infos)} times"
    if info.flag_bits & 1:
        return "it is encrypted"
    if stat.S_IFMT(info.external_attr >> 16) == _SYMLINK:
        return "it is a link"
    if info.file_size > _LARGEST:
        return f"it unpacks to {info.file_size} bytes, more than {_LARGEST}"
    if info.file_size > _SMALL and info.file_size > _RATIO * max(1, info.compress_size):
        return f"it unpacks to {info.file_size} bytes from {info.compress_size}, as zip bombs do"
    return None
