"""Checkpoints to resume from: written aside, hashed, then renamed; a damaged one is passed over, never loaded."""

import math
import shutil
from pathlib import Path

from videopath_hf.errors import UserError
from videopath_hf.files import file_sha256, read_json, write_json
from videopath_hf.progress import note

MANIFEST = "files.json"
KEPT = 2
"""Checkpoints kept: the newest and one to fall back to if it is damaged."""


def partial_folder(folder: Path) -> Path:
    """Where checkpoints are written before they are whole; the same on every rank."""
    return folder / ".partial"


def seal(folder: Path, step: int) -> Path:
    """Hash the partial checkpoint of `step`, rename it, and delete all but the newest `KEPT`."""
    partial = partial_folder(folder) / f"checkpoint-{step}"
    files = sorted(path for path in partial.rglob("*") if path.is_file())
    write_json(partial / MANIFEST, {path.relative_to(partial).as_posix(): file_sha256(path) for path in files})
    final = folder / partial.name
    if final.exists():
        shutil.rmtree(final)
    partial.replace(final)
    for old in _by_step(folder)[KEPT:]:
        shutil.rmtree(old)
    return final


def last_good(folder: Path, below: float = math.inf) -> Path | None:
    """The newest checkpoint of a step `below` one whose files are all there and unchanged; `None` where there is none.

    Half-written ones left by a kill are deleted; a damaged one is named on stderr.
    """
    shutil.rmtree(partial_folder(folder), ignore_errors=True)
    for checkpoint in _by_step(folder):
        if step_of(checkpoint) >= below:
            continue
        damage = _damage(checkpoint)
        if damage is None:
            return checkpoint
        note(f"{checkpoint} is damaged ({damage}): going on from the one before it")
    return None


def step_of(checkpoint: Path) -> int:
    """Optimiser steps done when `checkpoint` was written."""
    return int(checkpoint.name.rpartition("-")[2])


def _by_step(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True)


def _damage(checkpoint: Path) -> str | None:
    if not (checkpoint / MANIFEST).is_file():
        return f"{MANIFEST} is missing"
    try:
        manifest = read_json(checkpoint / MANIFEST)
    except UserError as error:
        return str(error)
    for name, digest in manifest.items():
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        if file_sha256(path) != digest:
            return f"{name} has changed"
    return None
