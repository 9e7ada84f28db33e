"""What this machine has: every part is tried, not only looked up, in a process that a broken one may take down."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel

from videopath_hf import __version__
from videopath_hf.progress import track
from videopath_hf.serving.doctor_parts import CORE, MEGABYTES, OPTIONAL
from videopath_hf.serving.probes import ACCELERATOR, DECODER

State = Literal["ok", "missing", "failed"]
_PATIENCE = 120.0  # seconds that one part may take; a first import from a slow disk takes tens of them
_LEAST_DISK = 1.0  # GB
_DECODERS = ("pyav", "decord", "torchcodec")
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


class Check(BaseModel):
    """One thing looked at.

    Args:
        group (`str`): `"system"`, `"core"`, `"decoders"`, `"optional"` or `"places"`.
        name (`str`): what was looked at.
        state (`str`): `"ok"`; `"missing"`: not there and not needed; `"failed"`: needed or there, and broken.
        detail (`str`): what was found.
        purpose (`str`, *optional*): of a part: what it is for, so what there is not without it.
        fix (`str`, *optional*): the command that adds it.
        megabytes (`int`, *optional*): what that downloads, about.
    """

    group: Literal["system", "core", "decoders", "optional", "places"]
    name: str
    state: State
    detail: str
    purpose: str | None = None
    fix: str | None = None
    megabytes: int | None = None


class _Tried(NamedTuple):
    state: State
    detail: str


def examine(patience: float = _PATIENCE) -> list[Check]:
    """Run all checks. Nothing is downloaded; the Hub token is looked for and never shown.

    Args:
        patience (`float`, defaults to 120.0): seconds that trying one part may take.
    """
    installed = {part.distribution: found for part in OPTIONAL if (found := _version(part.distribution))}
    core = [name for name in CORE if _version(name)]
    optional = [part.module for part in OPTIONAL if part.distribution in installed]
    wanted = [*core, *(DECODER + name for name in _DECODERS), ACCELERATOR, *optional]
    tried = dict(track(_try_all(wanted, patience), "Trying what is installed", len(wanted)))
    return [
        Check(group="system", name="videopath_hf", state="ok", detail=f"{__version__} at {Path(__file__).parents[1]}"),
        Check(group="system", name="python", state="ok", detail=f"{platform.python_version()}, {platform.platform()}"),
        _cores(),
        _memory(),
        _accelerator(tried[ACCELERATOR]),
        _ffmpeg(),
        *(_core(name, tried.get(name)) for name in CORE),
        *(_decoder(name, tried[DECODER + name]) for name in _DECODERS),
        *(_optional(part, installed.get(part.distribution), tried.get(part.module)) for part in OPTIONAL),
        *(_place(*place) for place in _places()),
        _token(),
    ]


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _try_all(names: Sequence[str], patience: float) -> Iterator[tuple[str, _Tried]]:
    """Try parts one after the other; one that crashes or hangs costs its process, and the next gets a new one."""
    waiting = list(names)
    while waiting:
        for name, found in _try_until_it_ends(waiting, patience):
            waiting.remove(name)
            yield name, found


def _try_until_it_ends(names: Sequence[str], patience: float) -> Iterator[tuple[str, _Tried]]:
    command = [sys.executable, "-m", "videopath_hf.serving.probes", *names]
    environment = {**os.environ, "TRANSFORMERS_VERBOSITY": "error", "PYTHONFAULTHANDLER": ""}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environment
    )
    lines: Queue[bytes | None] = Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    Thread(target=read, daemon=True).start()
    current = names[0]
    left = len(names)
    try:
        while left:
            line = lines.get(timeout=patience)
            if line is None:
                yield current, _Tried("failed", f"crashes ({_cause(process.wait())})")
                return
            said: dict[str, Any] = json.loads(line)
            current = said["name"]
            if "state" in said:
                left -= 1
                yield current, _Tried(said["state"], said["detail"])
    except Empty:
        yield current, _Tried("failed", f"hangs: nothing came of it in {patience:g} s")
    finally:
        process.kill()
        process.wait()


def _cause(code: int) -> str:
    """How a process ended: by which signal, or with which code."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _core(name: str, tried: _Tried | None) -> Check:
    found = _version(name)
    if found is None or tried is None:
        fix = f"pip install {name}"
        return Check(group="core", name=name, state="failed", detail="not installed", fix=fix)
    if tried.state != "ok":
        detail = f"{found} does not work: {tried.detail}"
        return Check(group="core", name=name, state="failed", detail=detail, fix=_again(name, found))
    return Check(group="core", name=name, state="ok", detail=found)


def _again(distribution: str, found: str) -> str:
    """The command for a part that is there and broken: pip takes it for installed otherwise."""
    return f"pip install --force-reinstall --no-deps {distribution}=={found}"


def _optional(part: Any, found: str | None, tried: _Tried | None) -> Check:
    fix, size = f"pip install 'videopath-hf[{part.extra}]'", MEGABYTES[part.extra]
    about = {"group": "optional", "name": part.distribution, "purpose": part.purpose}
    if found is None or tried is None:
        return Check(**about, state="missing", detail="not installed", fix=fix, megabytes=size)
    if tried.state != "ok":
        detail = f"{found} does not work: {tried.detail}"
        return Check(**about, state="failed", detail=detail, fix=_again(part.distribution, found))
    return Check(**about, state="ok", detail=found if tried.detail == "imported" else f"{found}, {tried.detail}")


def _decoder(name: str, tried: _Tried) -> Check:
    purpose = "reading videos" if name == "pyav" else "reading videos as others do; pyav alone suffices"
    state: State = "failed" if tried.state == "missing" and name == "pyav" else tried.state
    return Check(group="decoders", name=name, state=state, detail=tried.detail, purpose=purpose)


def _accelerator(tried: _Tried) -> Check:
    purpose = "training and answering in minutes instead of hours"
    return Check(group="system", name="GPU", state=tried.state, detail=tried.detail, purpose=purpose)


def _ffmpeg() -> Check:
    purpose = "some transcribers, and torchcodec's libraries; the package decodes without it"
    about: Any = {"group": "system", "name": "ffmpeg", "purpose": purpose}
    program = shutil.which("ffmpeg")
    if program is None:
        return Check(**about, state="missing", detail="not on PATH", fix="apt-get install ffmpeg")
    try:
        done = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Check(**about, state="failed", detail=f"{program} does not run: {error}")
    return Check(**about, state="ok", detail=f"{' '.join(done.stdout.split()[:3])} at {program}")


def _cores() -> Check:
    from videopath_hf.video.backends import cpus

    usable, there = cpus(), os.cpu_count()
    detail = f"{usable} cores" if usable == there else f"{usable} of {there} cores may be used"
    return Check(group="system", name="processor", state="ok", detail=detail)


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    detail = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB available; the demo needs 4 GB"
    return Check(group="system", name="memory", state="ok" if memory.available > 4e9 else "failed", detail=detail)


def _places() -> list[tuple[str, Path, str]]:
    """Folders that are written to, and what for."""
    from huggingface_hub import constants

    return [
        ("this folder", Path.cwd(), "results; the demo needs 1 GB"),
        ("HF_HOME", Path(constants.HF_HOME), "models and data of the Hub; a 7B model takes 16 GB"),
        ("TMPDIR", Path(tempfile.gettempdir()), "what is fetched or decoded for a moment"),
    ]


def _place(name: str, path: Path, purpose: str) -> Check:
    there = next(folder for folder in (path, *path.parents) if folder.is_dir())  # it may still have to be made
    about: Any = {"group": "places", "name": name, "purpose": purpose}
    try:
        with tempfile.NamedTemporaryFile(dir=there):
            pass
    except OSError as error:
        return Check(**about, state="failed", detail=f"{path}: cannot be written ({error.strerror})")
    free = shutil.disk_usage(there).free / 1e9
    return Check(**about, state="ok" if free > _LEAST_DISK else "failed", detail=f"{path}: {free:.1f} GB free")


def _token() -> Check:
    from huggingface_hub import constants, get_token

    about: Any = {"group": "places", "name": "token of the Hub"}
    offline = "; HF_HUB_OFFLINE is set, so the Hub is not asked for anything" if constants.HF_HUB_OFFLINE else ""
    if get_token() is None:
        purpose = "publishing, and private or gated models"
        detail = f"none{offline}"
        return Check(**about, state="missing", detail=detail, purpose=purpose, fix="hf auth login")
    source = next((name for name in _TOKENS if os.environ.get(name)), None)
    return Check(**about, state="ok", detail=f"there is one, from {source or constants.HF_TOKEN_PATH}{offline}")
