"""Reads video files in a process of its own, by every way there is, and tells what came of each.

Run as `python -m tests.fuzz.examine FILE...` it prints a line of JSON before each file and one after it.
"""

import json
import os
import resource
import select
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

_MOST_MEMORY = 6 << 30  # bytes of address space: a header must not make the decoder ask for more
_MOST_FRAMES = 5_000  # the fuzzer's videos hold fewer than a hundred; at 2 a second that is 40 minutes


class Examined(NamedTuple):
    """What became of a file.

    Args:
        name (`str`): of the file.
        outcome (`str`): `"processed"`, `"refused"` (with a sentence of ours), or a fault: `"crash"`, `"hang"`,
            `"exception"` or `"contradiction"`.
        detail (`str`): the sentence, the traceback, or what contradicts what.
        seconds (`float`): how long it took.
    """

    name: str
    outcome: str
    detail: str
    seconds: float

    @property
    def faulty(self) -> bool:
        """Whether this must not happen."""
        return self.outcome not in ("processed", "refused")


def examine(paths: Sequence[Path], limit: float = 30.0) -> list[Examined]:
    """Read files in a child process, which is started anew after a crash, or after `limit` seconds with one file."""
    left, seen = list(paths), []
    while left:
        done, why, seconds = _examine_some(left, limit)
        seen += done
        left = left[len(done) :]
        if left:
            seen.append(Examined(left[0].name, why, "", seconds))
            left = left[1:]
    return seen


def _examine_some(paths: Sequence[Path], limit: float) -> tuple[list[Examined], str, float]:
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz.examine", *map(str, paths)]
    done: list[Examined] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        text, started = b"", time.monotonic()
        while True:
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, started + limit - time.monotonic()))
            if not ready:
                process.kill()
                return done, "hang", limit
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                return done, "crash", time.monotonic() - started
            *lines, text = (text + chunk).split(b"\n")
            for line in lines:
                done.append(Examined(*json.loads(line)))
                started = time.monotonic()


def _read(path: Path) -> tuple[str, str]:
    from videopath_hf.video.container import VideoError
    from videopath_hf.video.decode import iter_frames, read_frames
    from videopath_hf.video.frame_index import frame_index
    from videopath_hf.video.probe import probe

    def all_frames() -> list[Any]:
        return [frame.image.shape for frame in islice(iter_frames(path, width=64), _MOST_FRAMES)]

    ways: dict[str, Callable[[], Any]] = {
        "probe": lambda: probe(path),
        "frame_index": lambda: frame_index(path),
        "iter_frames": all_frames,
        "iter_frames at 2 fps": lambda: sum(1 for _ in islice(iter_frames(path, fps=2, width=64), _MOST_FRAMES)),
        "iter_frames from 1 s": lambda: sum(1 for _ in islice(iter_frames(path, start=1.0), _MOST_FRAMES)),
    }
    found: dict[str, Any] = {}
    for name, way in ways.items():
        try:
            found[name] = way()
        except VideoError as error:
            if str(path) not in str(error) or "\n" in str(error):
                return "contradiction", f"{name}: the message is no sentence about the file: {error}"
            found[name] = error
    info, shapes, index = found["probe"], found["iter_frames"], found["frame_index"]
    if not isinstance(index, Exception) and len(index.times):
        numbers = sorted({0, len(index.times) // 2, len(index.times) - 1})
        try:
            read_frames(path, numbers)
        except VideoError as error:  # frames that decode one after the other need not decode from a keyframe on
            return "refused", str(error)
    if isinstance(info, Exception):
        return "refused", str(info)
    failed = {name: value for name, value in found.items() if isinstance(value, Exception)}
    if failed:
        return "contradiction", f"probe sees {info.frames} frames, but {failed}"
    if not info.frames == len(shapes) == len(index.times) or len(set(shapes)) > 1:
        return "contradiction", f"{info.frames} frames probed, {len(index.times)} indexed, read: {sorted(set(shapes))}"
    if max(info.frames, found["iter_frames at 2 fps"]) >= _MOST_FRAMES:
        return "contradiction", f"{found['iter_frames at 2 fps']} frames at 2 fps: an endless video"
    return "processed", f"{info.frames} frames, {info.duration:.2f} s, {info.fps:.4g} fps, {info.width}x{info.height}"


def main(paths: Sequence[str]) -> None:
    """Examine files one after the other."""
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    for path in map(Path, paths):
        start = time.monotonic()
        try:
            outcome, detail = _read(path)
        except Exception:
            outcome, detail = "exception", traceback.format_exc()
        print(json.dumps([path.name, outcome, detail, round(time.monotonic() - start, 3)]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
