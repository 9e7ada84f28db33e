"""Where the media of a data file lie: in folders and in zip files, found by the paths that records give."""

import os
import posixpath
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from videopath_hf.data.archives import Archive
from videopath_hf.data.media import link_or_copy
from videopath_hf.errors import UserError
from videopath_hf.files import atomic_path, content_hash, resolve_inside


class Found(NamedTuple):
    """A medium that is there.

    Args:
        place (`str`): where, for people.
        size (`int`): bytes.
        key (`str`): what changes when the file does.
        path (`Path`, *optional*): of a file in a folder.
        member (`tuple[Archive, str]`, *optional*): of a zip file.
    """

    place: str
    size: int
    key: str
    path: Path | None = None
    member: tuple[Archive, str] | None = None


class Store(Protocol):
    """One folder or one zip file."""

    def find(self, path: str) -> Found | None:
        """The medium at a path below the store's root; raises `UserError` for one that must not be read."""
        ...


class FolderStore:
    """Media below a folder; links that lead out of it are refused."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, path: str) -> Found | None:
        """The file at a path below the folder."""
        place = resolve_inside(self.root, path)
        try:
            state = place.stat()
        except (OSError, ValueError):  # also a name that is too long
            return None
        if not place.is_file():
            return None
        return Found(str(place), state.st_size, f"{place}:{state.st_size}:{state.st_mtime_ns}", place)


class ZipStore:
    """Media in a zip file: by their full name, or by its end where no other member ends so."""

    def __init__(self, path: Path) -> None:
        self.archive = Archive(path)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for member in [*self.archive.members, *self.archive.refused]:
            self._by_name[posixpath.basename(member)].append(member)

    def find(self, path: str) -> Found | None:
        """The member of a path."""
        members = [name for name in self._by_name.get(posixpath.basename(path), ()) if f"/{name}".endswith(f"/{path}")]
        if path in members:
            members = [path]
        if not members:
            return None
        if len(members) > 1:
            raise UserError(f"{self.archive.path} holds several members that end in {path}: {', '.join(members[:3])}")
        name = members[0]
        if fault := self.archive.refused.get(name):
            raise UserError(f"{self.archive.path}: member {name} is not read: {fault}")
        info = self.archive.members[name]
        key = f"{self.archive.path.name}:{name}:{info.file_size}:{info.CRC}"
        return Found(f"{self.archive.path}:{name}", info.file_size, key, member=(self.archive, name))


class MediaStores:
    """Several stores, asked one after the other.

    Args:
        places (`Sequence[Path]`): folders and zip files.

    Raises:
        UserError: a place that is neither.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self.stores: list[Store] = []
        for place in places:
            if place.is_dir():
                self.stores.append(FolderStore(place))
            elif place.suffix.lower() == ".zip":
                self.stores.append(ZipStore(place))
            else:
                raise UserError(f"media {place} are neither a folder nor a .zip file")
        self.places = list(places)

    def find(self, path: str) -> Found | None:
        """The first store's medium of a path, or None.

        Raises:
            UserError: it is there and must not be read, or stands in several zip files with other content.
        """
        found = [item for store in self.stores if (item := store.find(path)) is not None]
        if len({item.key.split(":", 1)[-1] for item in found if item.path is None}) > 1:
            raise UserError(f"several zip files hold {path}, each another one: {found[0].place}, {found[1].place}")
        return found[0] if found else None

    def pick(self, paths: Sequence[str]) -> str:
        """The first path that is there, or the first of all."""
        if len(paths) == 1:
            return paths[0]
        for path in paths:
            try:
                if self.find(path) is not None:
                    return path
            except UserError:
                return path  # whoever reads it is told why it cannot be
        return paths[0]

    def refused(self) -> list[tuple[Path, str, str]]:
        """Members of zip files that are never read: file, name and reason."""
        zips = [store.archive for store in self.stores if isinstance(store, ZipStore)]
        return [(archive.path, name, why) for archive in zips for name, why in archive.refused.items()]

    def listing_hash(self) -> str:
        """Hash of where the media lie and, for zip files, of all that they list."""
        listed = [
            sorted((name, info.file_size, info.CRC) for name, info in store.archive.members.items())
            for store in self.stores
            if isinstance(store, ZipStore)
        ]
        return content_hash([str(place.resolve()) for place in self.places], listed)


@contextmanager
def as_file(found: Found) -> Iterator[Path]:
    """A medium as a file on disk: itself, or a copy out of the zip file that is gone afterwards."""
    if found.member is None:
        assert found.path is not None
        yield found.path
        return
    archive, member = found.member
    handle, name = tempfile.mkstemp(suffix=Path(found.place).suffix)
    os.close(handle)
    try:
        archive.extract(member, Path(name))
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def bring(found: Found, target: Path) -> None:
    """Put a medium at `target`, whole or not at all; one of its size that is there already stays."""
    if target.exists() and target.stat().st_size == found.size:
        return
    target.unlink(missing_ok=True)
    if found.path is not None:
        link_or_copy(found.path, target)
    elif found.member is not None:
        archive, name = found.member
        with atomic_path(target) as temporary:
            archive.extract(name, temporary)
