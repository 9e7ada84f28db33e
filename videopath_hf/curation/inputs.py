"""Which files a run curates, and what they are called in its records."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from videopath_hf.errors import UserError
from videopath_hf.files import file_sha256

VIDEO_SUFFIXES = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mkv",
        ".mov",
        ".avi",
        ".webm",
        ".mpg",
        ".mpeg",
        ".wmv",
        ".flv",
        ".ts",
        ".mts",
        ".m2ts",
        ".ogv",
        ".3gp",
    ]
)


class Lecture(NamedTuple):
    """An input: its id (used in file names), the name that records carry (no machine path), its file and hash."""

    video_id: str
    source: str
    path: Path
    sha256: str


def find_lectures(inputs: Sequence[Path], out: Path) -> list[Lecture]:
    """List the video files among files and folders (searched to any depth, sorted; hidden ones and `out` left out).

    Files of one stem get distinct ids: the stem and the first 8 digits of the content's SHA-256, whatever their order.

    Raises:
        UserError: no input was given, one does not exist or cannot be read, or a folder holds no video file.
    """
    if not inputs:
        raise UserError("no input was given; name at least one lecture video or a folder of them")
    found: dict[Path, tuple[str, Path]] = {}
    for given in inputs:
        for path, source in _files(Path(given), out.resolve()):
            found.setdefault(path.resolve(), (source, path))
    stems = [slug(path.stem) for _, path in found.values()]
    repeated = Counter(stem.lower() for stem in stems)
    lectures: list[Lecture] = []
    taken: Counter[str] = Counter()
    for stem, (source, path) in zip(stems, found.values(), strict=True):
        try:
            sha256 = file_sha256(path)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
        name = stem if repeated[stem.lower()] == 1 else f"{stem}_{sha256[:8]}"
        taken[name.lower()] += 1
        lectures.append(
            Lecture(name if taken[name.lower()] == 1 else f"{name}_{taken[name.lower()]}", source, path, sha256)
        )
    return lectures


def slug(stem: str) -> str:
    """A file name's stem as an id: letters, digits, dot, dash and underscore; the rest become underscores."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", stem).strip("._-") or "video"


def _files(given: Path, out: Path) -> list[tuple[Path, str]]:
    if not given.exists():
        raise UserError(f"input {given} does not exist")
    if not given.is_dir():
        return [(given, given.name)]
    files = sorted(
        path
        for path in given.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(given).parts)
        and not path.resolve().is_relative_to(out)
    )
    if not files:
        raise UserError(
            f"input folder {given} holds no video file (looked for {', '.join(sorted(VIDEO_SUFFIXES))}, at any depth)"
        )
    return [(path, path.relative_to(given).as_posix()) for path in files]
