"""Looking at what somebody brought in a process of its own: a decoder that crashes or hangs costs that file only."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from videopath_hf.errors import UserError
from videopath_hf.serving.app.medium import Medium, look_at
from videopath_hf.serving.app.settings import AppSettings

_MEMORY = 6 * 2**30  # bytes of address space: a small file can ask for pictures without end


def check(folder: Path, incoming: str, name: str, settings: AppSettings) -> Medium:
    """What `look_at` finds, or a sentence about why the file is not taken.

    Args:
        folder (`Path`): where the file lies, alone.
        incoming (`str`): its name there.
        name (`str`): what its owner calls it, for messages.

    Raises:
        UserError: `look_at`'s, with `name` in the place of paths; the decoder crashed or took too long.
    """
    seconds = settings.limits.check_seconds
    job = {"folder": str(folder), "incoming": incoming, "settings": settings.model_dump(mode="json")}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "videopath_hf.serving.app.check"],
            input=json.dumps(job).encode(),
            capture_output=True,
            timeout=seconds,
            # Each thread's own arena would take address space, of which there is a limit.
            env={**os.environ, "MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{name} could not be looked at within {seconds:g} s; give a shorter or smaller one") from None
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise UserError(f"{name} cannot be used: it makes the decoder crash; the file is damaged") from None
    if "error" in found:
        raise UserError(_named(found["error"], folder, name))
    return Medium.model_validate(found["medium"])


def _named(message: str, folder: Path, name: str) -> str:
    for path in sorted((str(folder / file) for file in ("incoming", "video", "image")), key=len, reverse=True):
        message = message.replace(f"video {path}", name).replace(path, name)
    return message.replace(str(folder), "")


def _main() -> None:
    from PIL import Image

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    Image.MAX_IMAGE_PIXELS = None  # sizes are checked against the app's own limit
    job = json.load(sys.stdin)
    settings = AppSettings.model_validate(job["settings"])
    try:
        medium = look_at(Path(job["folder"]), job["incoming"], settings)
    except UserError as error:
        print(json.dumps({"error": str(error)}))
    except MemoryError:
        print(json.dumps({"error": "the file takes more memory than there is; scale it down"}))
    else:
        print(json.dumps({"medium": medium.model_dump(mode="json")}))


if __name__ == "__main__":
    _main()
