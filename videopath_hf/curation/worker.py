"""A process that curates lectures for this one, and what happens when it crashes or hangs.

A decoder is native code that is fed whatever lies on a disk: it may end its process, or never come back. So that this
costs one video and not the run, the work is done in a process of its own, which is watched and, where need be, ended.
The process is a fresh interpreter and not a fork or a `multiprocessing` child: it needs nothing of the caller's
`__main__`, may be started from daemonic processes (as executors use them) and beside threads, and it can report how
far it is, by which a hang is told from a long video. It is used for one lecture after the other.
"""

import faulthandler
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from videopath_hf.curation.inputs import Lecture
from videopath_hf.curation.lecture import LectureResult, Listener, Tools, failure, keep_result, run_lecture
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.errors import UserError
from videopath_hf.progress import note, send_notes_to

_LONGEST = 24 * 3600.0  # seconds: a header that promises more is not believed
_HEADER_SECONDS = 30.0
_BEAT_SECONDS = 0.2  # at most so often is a beat passed on
# What is imported is no garbage: the collector would look through all of it again and again. `serve` starts it.
_CODE = (
    "import gc, sys; gc.disable(); sys.path[:] = {path!r}; "
    "from videopath_hf.curation.worker import serve; serve({file})"
)


class Silent:
    """Follows a lecture without a word."""

    def step(self, name: str, watched: bool) -> None:
        pass

    def beat(self, done: int, total: int | None) -> None:
        pass

    def length(self, seconds: float) -> None:
        pass


class Worker:
    """Curates lectures in a process of its own, started when it is first needed and again after a crash."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._abandoned = False

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if connection is not None:
            connection.close()
        if process is not None:
            process.kill()
            process.wait()

    def abandon(self) -> None:
        """End the process from another thread: what it is curating ends with an error there."""
        self._abandoned = True
        process = self._process
        if process is not None:
            process.kill()

    def curate(
        self, lecture: Lecture, out: Path, settings: CurateSettings, listener: Listener | None = None
    ) -> LectureResult:
        """Take a lecture through all blocks; one that crashes the process or hangs is a failed lecture.

        Raises:
            UserError, OSError: as `run_lecture`.
        """
        if self._abandoned:
            raise UserError(f"{lecture.source} was not begun: the run was ended")
        watch = _Watch(listener or Silent(), settings)
        try:
            connection = self._start()
            connection.send((lecture, out, settings))
            while True:
                heard = connection.poll(watch.patience())
                if (why := watch.overdue(heard)) is not None:
                    if watch.name != "probe":  # the video has decoded once: it is not the file that hangs
                        self._show_stacks()
                    self.close()
                    return keep_result(out, failure(lecture, settings, watch.name, why, final=False))
                if not heard:
                    continue
                kind, content = connection.recv()
                if kind == "result":
                    return LectureResult.model_validate_json(content)
                if kind == "error":
                    raise content
                watch.hear(kind, content)
        except (EOFError, ConnectionError):
            if self._abandoned:
                raise UserError(f"{lecture.source} was not finished: the run was ended") from None
            why = self._end(watch.name)
            return keep_result(out, failure(lecture, settings, watch.name, why, final=False))
        except BaseException:
            self.close()
            raise

    def _show_stacks(self) -> None:
        """Let the process print on stderr what each of its threads is doing."""
        if self._process is not None and hasattr(signal, "SIGUSR1"):
            self._process.send_signal(signal.SIGUSR1)
            time.sleep(_BEAT_SECONDS)

    def header_seconds(self, path: Path) -> float | None:
        """Length of a video by its header; None where there is none to be had, or not within half a minute."""
        try:
            connection = self._start()
            connection.send(path)
            if connection.poll(_HEADER_SECONDS):
                seconds: float | None = connection.recv()[1]
                return seconds
        except (EOFError, ConnectionError):
            pass  # it crashed the process: its length is as unknown as that of any other damaged file
        self.close()
        return None

    def start(self) -> None:
        """Start the process now, so that it has loaded its libraries when the first lecture comes."""
        self._start()

    def _start(self) -> Connection:
        if self._connection is not None and self._process is not None and self._process.poll() is None:
            return self._connection
        self.close()
        ours, theirs = Pipe()
        code = _CODE.format(path=sys.path, file=theirs.fileno())
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,  # what libraries print is no data
                env={"MALLOC_ARENA_MAX": "2", **os.environ},  # glibc keeps what is freed, and for each thread
            )
        self._connection = ours
        return ours

    def _end(self, step: str) -> str:
        process = self._process
        code = process.wait() if process is not None else 0
        self.close()
        where = "the decoder crashed" if step == "probe" else f"the process crashed in step {step}"
        if code >= 0:
            return f"{where} with exit code {code}"
        name = signal.Signals(-code).name
        memory = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
        return f"{where} with signal {-code} ({name}{memory})"


class _Watch:
    """Hears what a worker says, and knows when it has been silent for too long."""

    def __init__(self, listener: Listener, settings: CurateSettings) -> None:
        self.listener = listener
        self.name = "probe"
        self._limits = settings.probe
        self._watched = False
        self._whole = settings.probe.min_seconds
        self._began = self._heard = time.monotonic()

    def hear(self, kind: str, content: Any) -> None:
        self._heard = time.monotonic()
        if kind == "step":
            self.name, self._watched = content
            self._began = self._heard
            self.listener.step(*content)
        elif kind == "beat":
            self.listener.beat(*content)
        elif kind == "length":
            self._whole = max(self._whole, self._limits.slowest * min(content, _LONGEST))
            self.listener.length(content)
        elif kind == "note":
            note(content)

    def patience(self) -> float | None:
        """Seconds to wait for the next message; None for as long as it takes."""
        if not self._watched:
            return None
        left = self._heard + self._silence() - time.monotonic()
        if self.name == "probe":
            left = min(left, self._began + self._whole - time.monotonic())
        return max(0.0, left)

    def overdue(self, heard: bool) -> str | None:
        """Why the worker is given up, if it is time; `heard` where it has just said something."""
        now = time.monotonic()
        if not self._watched:
            return None
        if not heard and now - self._heard >= self._silence():
            return f"no frame for {self._silence():g} s (probe.stall_seconds)"
        if self.name == "probe" and now - self._began >= self._whole:
            return f"not decoded in {self._whole:g} s (probe.min_seconds, probe.slowest)"
        return None

    def _silence(self) -> float:
        """Later blocks ask for single frames, which in a file of few keyframes may mean to decode most of it."""
        stall = self._limits.stall_seconds
        return stall if self.name == "probe" else max(stall, self._whole)


class _Report:
    """The worker's side of the connection; beats come from several threads, and more often than needed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._next = 0.0

    def send(self, kind: str, content: Any) -> None:
        with self._lock:
            self._connection.send((kind, content))

    def step(self, name: str, watched: bool) -> None:
        self.send("step", (name, watched))

    def beat(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _BEAT_SECONDS
            self.send("beat", (done, total))

    def length(self, seconds: float) -> None:
        self.send("length", seconds)


def serve(file: int) -> None:
    """What the worker process does: curate the lectures that come through a connection until it is closed."""
    connection = Connection(file)
    report, tools = _Report(connection), Tools()
    jobs: SimpleQueue[tuple[Lecture, Path, CurateSettings] | Path] = SimpleQueue()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to handle
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1)
    send_notes_to(lambda message: report.send("note", message))

    def receive() -> None:
        try:
            while True:
                jobs.put(connection.recv())
        except (EOFError, OSError):
            os._exit(1)  # the caller is gone, killed perhaps: nobody may go on writing into its folder

    threading.Thread(target=receive, daemon=True).start()
    # Before another thread imports them, too: modules that import each other fail where two threads meet among them.
    import av  # noqa: F401
    import cv2

    # A second's work, done while the caller makes ready; scenedetect waits for a program it starts.
    threading.Thread(target=import_module, args=["scenedetect"], daemon=True).start()
    import videopath_hf.curation.blocks  # noqa: F401

    cv2.setNumThreads(1)  # decoding, reading and encoding go on beside each other anyway: OpenCV's threads only wait
    gc.freeze()  # what is loaded now stays
    gc.enable()
    while True:
        job = jobs.get()
        if isinstance(job, Path):
            report.send("header", _header_seconds(job))
            continue
        try:
            result = run_lecture(*job, tools, report)
        except (UserError, OSError) as error:
            report.send("error", error)
        else:
            report.send("result", result.model_dump_json())


def _header_seconds(path: Path) -> float | None:
    from videopath_hf.video.container import VideoError, open_video

    try:
        with open_video(path) as source:
            ticks = source.container.duration
    except VideoError:
        return None
    return ticks / 1_000_000 if ticks and ticks > 0 else None
