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


def find_lectures(inputs: Sequence[Path], out: Path, notes: list[str] | None = None) -> list[Lecture]:
    """List the video files among files and folders (searched to any depth, sorted; hidden ones and `out` left out).

    Files of one stem get distinct ids: the stem and the first 8 digits of the content's SHA-256, whatever their order.
    In a folder, links that lead out of it, or nowhere, are not followed.

    Args:
        inputs (`Sequence[Path]`): files and folders.
        out (`Path`): the output folder.
        notes (`list[str]`, *optional*): is filled with a sentence for each video of a folder that was left out.

    Raises:
        UserError: no input was given, one does not exist or cannot be read, or a folder holds no video file.
    """
    notes = [] if notes is None else notes
    if not inputs:
        raise UserError("no input was given; name at least one lecture video or a folder of them")
    found: dict[Path, tuple[str, Path]] = {}
    for given in inputs:
        for path, source in _files(Path(given), out.resolve(), notes):
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


def shown(name: str) -> str:
    """A file's name as it can be written to a record: bytes of it that are no UTF-8 become escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _files(given: Path, out: Path, notes: list[str]) -> list[tuple[Path, str]]:
    if not given.exists():
        raise UserError(f"input {given} does not exist")
    if given.is_file():
        return [(given, shown(given.name))]
    if not given.is_dir():
        raise UserError(f"input {given} is neither a file nor a folder")
    found = []
    for path in sorted(given.rglob("*")):
        relative = path.relative_to(given)
        video = path.suffix.lower() in VIDEO_SUFFIXES
        if any(part.startswith(".") for part in relative.parts) or path.resolve().is_relative_to(out):
            continue
        why = _left_out(path, given, video)
        if why is not None:
            notes.append(f"{shown(relative.as_posix())} was left out: {why}")
        elif video and path.is_file():
            found.append((path, shown(relative.as_posix())))
    if not found:
        accepted = ", ".join(sorted(VIDEO_SUFFIXES))
        also = f"; {'; '.join(notes)}" if notes else ""
        raise UserError(f"input folder {given} holds no video file (looked for {accepted}, at any depth){also}")
    return found


def _left_out(path: Path, given: Path, video: bool) -> str | None:
    """Why something in a folder is not looked at, if a user could miss it."""
    if path.is_symlink() and path.is_dir():
        return "links to folders are not followed; name the folder as an input"
    if not video or path.is_dir():
        return None
    if path.is_symlink() and not path.exists():
        return "the link leads nowhere"
    if not path.is_file():
        return "it is no regular file"
    if not path.resolve().is_relative_to(given.resolve()):
        return "the link leads out of the input folder; name the file itself as an input"
    return None
