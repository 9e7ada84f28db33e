"""Files on disk: written whole or not at all, hashed, claimed by one run at a time."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from videopath_hf.errors import UserError, first_fault

ModelT = TypeVar("ModelT", bound=BaseModel)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path` (same suffix) that replaces it when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if error.filename is None or Path(error.filename) == temporary:
            raise OSError(error.errno, error.strerror, str(path)) from None  # a write that fails does not say where
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_dir(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path` that replaces it when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, data: Any) -> None:
    """Write `data` as indented JSON, whole or not at all. NaN and infinity are refused."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; raises `UserError` where it is missing or malformed."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON: {error}") from None


def write_records(path: str | Path, records: Iterable[BaseModel]) -> int:
    """Write records as JSONL, whole or not at all, and return how many."""
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for record in records:
            stream.write(record.model_dump_json() + "\n")
            count += 1
    return count


def read_records(path: str | Path, cls: type[ModelT]) -> list[ModelT]:
    """Read a JSONL file of `cls`; raises `UserError` naming file, line and field of the first bad record."""
    return [record for _, record in iter_records(path, cls)]


def iter_records(path: str | Path, cls: type[ModelT]) -> Iterator[tuple[int, ModelT]]:
    """Read a JSONL file of `cls` record by record, each with the byte at which its line starts.

    Raises:
        UserError: naming file, line and field of the first bad record, when the reading gets there.
    """
    if not Path(path).exists():
        raise UserError(f"{path} does not exist")
    offset = 0
    with Path(path).open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield offset, _record(path, number, line, cls)
            offset += len(line)


def _record(path: str | Path, number: int, line: bytes, cls: type[ModelT]) -> ModelT:
    try:
        return cls.model_validate_json(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise UserError(f"{path}:{number}: not UTF-8 text") from None
    except ValidationError as error:
        field, message = first_fault(error)
        raise UserError(f"{path}:{number}: not a {cls.__name__}: {field or 'line'}: {message}") from None


def append_line(path: str | Path, line: str) -> None:
    """Add a line, given without its line break, to a file that only grows, and make sure that it is on disk.

    It is one write to a file opened for appending: lines of several processes do not mix.
    """
    with Path(path).open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def whole_lines(path: str | Path) -> list[str]:
    """The lines of a file that only grows, without their line breaks; a last one that a kill cut off is left out.

    A file that is not there has none.
    """
    try:
        return Path(path).read_text(encoding="utf-8").split("\n")[:-1]
    except FileNotFoundError:
        return []


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def content_hash(*parts: Any) -> str:
    """Short, stable hash of settings, records and plain values: what finished work is keyed by."""

    def plain(value: Any) -> Any:
        if isinstance(value, BaseModel):
            return value.model_dump(mode="json")
        return str(value)

    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=plain)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]  # file names may hold any bytes


def resolve_inside(root: str | Path, relative: str) -> Path:
    """Join a path from a data file to its root; raises `UserError` if it is absolute or leads out of the root."""
    root = Path(root).resolve()
    path = (root / relative).resolve()
    if Path(relative).is_absolute() or not path.is_relative_to(root):
        raise UserError(f"path {relative!r} leads out of {root}; media paths must be relative to the data's root")
    return path
