"""Media opened for real, each once: whether they can be read, how large they are, and what their frames hash to."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple

from videopath_hf.data.stores import Found, MediaStores, as_file
from videopath_hf.errors import DISK_TROUBLES, UserError
from videopath_hf.records import Media

_HASHED_FRAMES = 8

Fault = Literal["missing", "empty", "broken", "refused"]


class Look(NamedTuple):
    """What was seen of a medium.

    Args:
        fault (`str`, *optional*): `missing`, `empty`, `broken` or `refused`; None for a sound one.
        reason (`str`): why.
        width (`int`), height (`int`): pixels.
        frames (`int`): 1 for an image.
    """

    fault: Fault | None
    reason: str = ""
    width: int = 0
    height: int = 0
    frames: int = 0


class MediaLooker:
    """Looks at media, several at once, and keeps what it saw on disk: a file that did not change is not opened again.

    Args:
        path (`Path`): database of what was seen.
    """

    def __init__(self, path: Path) -> None:
        from videopath_hf.video.backends import cpus

        path.parent.mkdir(parents=True, exist_ok=True)
        self._base = sqlite3.connect(path)
        self._base.execute("CREATE TABLE IF NOT EXISTS looks (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
        self._pool = ThreadPoolExecutor(cpus())

    def look(self, media: Sequence[tuple[MediaStores, Media]]) -> list[Look]:
        """What each of some media is like, in their order."""
        values = self._each(media, "look", lambda found, medium: list(_look(found, medium.type)))
        return [value if isinstance(value, Look) else Look(*value) for value in values]

    def hashes(self, media: Sequence[tuple[MediaStores, Media]]) -> list[list[str]]:
        """Perceptual hashes of some frames of each of some sound media; frames that are nearly empty have none."""
        values = self._each(media, "hashes", lambda found, medium: _hashes(found, medium.type))
        return [[] if isinstance(value, Look) else value for value in values]

    def _each(self, media: Sequence[tuple[MediaStores, Media]], what: str, work: Any) -> list[Any]:
        found = [_find(stores, medium) for stores, medium in media]
        keys = [f"{what}:{item.key}" if isinstance(item, Found) else None for item in found]
        known = {key: self._known(key) for key in keys if key}
        new = {
            key: (item, medium)
            for key, item, (_, medium) in zip(keys, found, media, strict=True)
            if key and known[key] is None
        }
        for key, value in zip(new, self._pool.map(lambda pair: work(*pair), new.values()), strict=True):
            self._base.execute("INSERT INTO looks VALUES (?, ?)", (key, json.dumps(value)))
            known[key] = value
        self._base.commit()
        return [known[key] if key else item for key, item in zip(keys, found, strict=True)]

    def _known(self, key: str) -> Any:
        row = self._base.execute("SELECT value FROM looks WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def close(self) -> None:
        """Let go of the threads and the database."""
        self._pool.shutdown(cancel_futures=True)
        self._base.close()


def _find(stores: MediaStores, medium: Media) -> Found | Look:
    try:
        found = stores.find(medium.path)
    except UserError as error:
        return Look("refused", str(error))
    if found is None:
        return Look("missing", f"{medium.path} is in none of {', '.join(map(str, stores.places))}")
    return found if found.size else Look("empty", f"{found.place} has 0 bytes")


def _look(found: Found, kind: str) -> Look:
    from PIL import Image

    try:
        with as_file(found) as path:
            return _image(path) if kind == "image" else _video(path)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno in DISK_TROUBLES:
            raise
        return Look("broken", f"{found.place}: {' '.join(str(error).split())}")
    except UserError as error:
        return Look("broken", str(error))


def _image(path: Path) -> Look:
    from PIL import Image

    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        image.load()  # `verify` reads the headers of most formats only
        return Look(None, "", *image.size, 1)


def _video(path: Path) -> Look:
    from videopath_hf.video.decode import iter_frames
    from videopath_hf.video.frame_index import frame_index

    first = next(iter_frames(path)).image
    return Look(None, "", first.shape[1], first.shape[0], len(frame_index(path).times))


def _hashes(found: Found, kind: str) -> list[str]:
    import numpy as np
    from PIL import Image

    from videopath_hf.curation.duplicates import frame_hash
    from videopath_hf.video.sampling import sample_video

    try:
        with as_file(found) as path:
            if kind == "image":
                with Image.open(path) as image:
                    pictures: Iterable[Any] = [np.asarray(image.convert("RGB"))]
            else:
                pictures = sample_video(path, _HASHED_FRAMES).frames
            return [value for picture in pictures if (value := frame_hash(picture)) is not None]
    except UserError:
        return []  # its first frame can be read and a later one cannot: nothing to compare
