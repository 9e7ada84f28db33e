"""Output folders and finished steps: one run at a time, one configuration a folder, nothing finished is done again;
and what every run tells of itself."""

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from videopath_hf.errors import UserError
from videopath_hf.files import read_json, write_json


@contextmanager
def claim_output(
    out: str | Path, key: str, what: str, same: Callable[[str, str], bool] | None = None
) -> Iterator[Path]:
    """Create `out` for the work that `key` (a hash of inputs and configuration) stands for, and hold it.

    A folder that holds the same work is continued; a folder of anything else is refused, never mixed. Work whose
    finished parts have keys of their own may be continued under another key: `same`, given the folder's key and the
    new one, says so, and the folder is the new one's from then on.

    Raises:
        UserError: the folder cannot be written, is held by a running process, holds other files, or holds
            the output of another configuration.
    """
    out = Path(out)
    created = not out.exists()
    claim = {"what": what, "key": key}
    lock = FileLock(out / ".lock", timeout=0)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _check_claim(out, claim, same)
        lock.acquire()
    except Timeout:
        raise UserError(f"output folder {out} is in use by another run; wait for it or give another --out") from None
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"output {out} is or lies below a file; give a folder with --out") from None
    except OSError as error:
        raise UserError(f"output folder {out} cannot be written ({error.strerror}); give another with --out") from None
    try:
        _check_claim(out, claim, same)  # again: another run may have claimed it in between
        if not (out / ".claim.json").exists() or read_json(out / ".claim.json") != claim:
            write_json(out / ".claim.json", claim)
        yield out
    except UserError:
        if created and all(path.name.startswith(".") for path in out.iterdir()):
            shutil.rmtree(out)  # a mistake of the user's, found before anything was made
        raise
    finally:
        lock.release()
        if created and out.is_dir() and all(path.name in (".lock", ".claim.json") for path in out.iterdir()):
            shutil.rmtree(out)  # the run failed before it made anything


def check_output(out: str | Path, key: str, what: str, same: Callable[[str, str], bool] | None = None) -> None:
    """Refuse a folder that `claim_output` would refuse as another's, without making or changing anything.

    Raises:
        UserError: the folder holds other files, or the output of another configuration.
    """
    out = Path(out)
    if out.is_dir():
        _check_claim(out, {"what": what, "key": key}, same)
    elif out.exists():
        raise UserError(f"output {out} is or lies below a file; give a folder with --out")


def _check_claim(out: Path, claim: dict[str, str], same: Callable[[str, str], bool] | None) -> None:
    path = out / ".claim.json"
    if not path.exists():
        if any(not entry.name.startswith(".") for entry in out.iterdir()):
            raise UserError(
                f"output folder {out} holds files that are not of a {claim['what']} run; give an empty one with --out"
            )
        return
    seen = read_json(path)
    continued = same is not None and seen.get("what") == claim["what"] and same(str(seen.get("key")), claim["key"])
    if seen != claim and not continued:
        raise UserError(
            f"output folder {out} holds output of `{seen.get('what')}` for another input or configuration "
            f"({seen.get('key')}, this one is {claim['key']}); give another folder with --out or delete it"
        )


class Steps:
    """Runs named steps once: a step whose key is already on disk is not run again.

    Args:
        folder (`Path`): where one JSON per finished step is kept: its key, its result and its seconds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds: dict[str, float] = {}

    def run(self, name: str, key: str, work: Callable[[], Any]) -> Any:
        """Return `work()`, which must be plain JSON, or what it returned when it last ran with this `key`."""
        path = self.folder / f"{name}.json"
        if path.exists() and (done := read_json(path))["key"] == key:
            self.seconds[name] = done["seconds"]
            return done["result"]
        # Work replaces files: from here on what is on disk is no longer what the old key stands for.
        path.unlink(missing_ok=True)
        start = time.perf_counter()
        result = work()
        self.seconds[name] = round(time.perf_counter() - start, 3)
        write_json(path, {"key": key, "seconds": self.seconds[name], "result": result})
        return result

    def forget(self, name: str) -> None:
        """Have a step done again: what it made is gone."""
        (self.folder / f"{name}.json").unlink(missing_ok=True)


def peak_memory() -> int:
    """Bytes: the most that this process, or one it waited for, ever held."""
    import resource  # POSIX only

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


@cache
def _trim() -> Callable[[int], int]:
    import ctypes

    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library than glibc
        return lambda _: 0
    return trim


def trim_memory() -> None:
    """Give freed memory back to the system. glibc keeps it, cut in pieces that larger pictures do not fit into, so
    that a process which works in several threads grows."""
    _trim()(0)


def installed_versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Versions of packages; None for one that is not installed."""
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found
