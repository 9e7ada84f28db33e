"""One job at a time, in the order they came: the models' only thread, and how others follow and stop its jobs."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from videopath_hf.errors import UserError

_TICK = 0.5  # seconds between looks at a job's place in the queue
_END = object()


class JobStopped(Exception):
    """Raised inside a job that is to end; its text says why, for the visitor."""


class Waiting(int):
    """So many jobs come before this one."""


class Job:
    """A piece of work for the engine.

    Args:
        user (`str`): whose it is.
        work (`Callable[[Job], None]`): what is done; it tells of its progress with `say`.
        seconds (`float`): longest it may run, from when it begins.
    """

    def __init__(self, user: str, work: "Callable[[Job], None]", seconds: float) -> None:
        self.user = user
        self.failure: Exception | None = None
        self._work = work
        self._seconds = seconds
        self._deadline: float | None = None
        self._said: SimpleQueue[Any] = SimpleQueue()
        self._stopped: str | None = None

    def say(self, what: Any) -> None:
        """Pass something on to whoever follows."""
        self._said.put(what)

    def stop(self, why: str) -> None:
        """Have `check` raise from now on."""
        self._stopped = self._stopped or why

    def check(self) -> None:
        """Raise `JobStopped` if the job is to end."""
        if self._stopped is None and self._deadline is not None and time.monotonic() >= self._deadline:
            self._stopped = f"stopped after {self._seconds:g} s, which is all the time it may take"
        if self._stopped is not None:
            raise JobStopped(self._stopped)

    def follow(self, before: Callable[["Job"], int]) -> Iterator[Any]:
        """What the job says, and [`Waiting`] whenever its place in the queue changes, until it is over.

        Args:
            before (`Callable[[Job], int]`): [`Engine.before`].

        Raises:
            JobStopped: it was stopped, or its time was up.
            Exception: whatever its work raised.
        """
        place = 0
        while True:
            try:
                if (said := self._said.get(timeout=_TICK)) is _END:
                    break
                yield said
            except Empty:
                if (now := before(self)) != place:
                    place = now
                    yield Waiting(place)
        if self.failure is not None:
            raise self.failure

    def run(self) -> None:
        """Do the work; failures are kept for whoever follows."""
        self._deadline = time.monotonic() + self._seconds
        try:
            self.check()
            self._work(self)
        except Exception as error:
            self.failure = error

    def end(self) -> None:
        """Let go of whoever follows."""
        self._said.put(_END)


class Engine:
    """Runs jobs, one after the other, in a thread of its own.

    Args:
        most (`int`): jobs that may wait or run at the same time.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._jobs: deque[Job] = deque()
        self._current: Job | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="videopath-engine", daemon=True)
        self._thread.start()

    def watch(self, model: nn.Module) -> None:
        """Let jobs be stopped between any two layers of a model, while it looks, reads or answers."""

        def check(*_: Any) -> None:
            if self._current is not None and threading.current_thread() is self._thread:
                self._current.check()

        for module in model.modules():
            if isinstance(module, GradientCheckpointingLayer):
                module.register_forward_pre_hook(check)

    def submit(self, user: str, work: Callable[[Job], None], seconds: float) -> Job:
        """Put a job at the end of the queue.

        Raises:
            UserError: the user has a job already, or the queue is full.
        """
        with self._changed:
            if self.of(user) is not None:
                raise UserError(
                    "a question of yours is being worked on already, here or in another tab; wait for it or stop it"
                )
            if len(self._jobs) + (self._current is not None) >= self.most:
                raise UserError(
                    f"{self.most} questions are being worked on or wait, and there is room for no more; try again "
                    "in a minute"
                )
            job = Job(user, work, seconds)
            self._jobs.append(job)
            self._changed.notify_all()
            return job

    def of(self, user: str) -> Job | None:
        """The job of a user that waits or runs; None if there is none."""
        with self._changed:
            return next((job for job in (self._current, *self._jobs) if job is not None and job.user == user), None)

    def before(self, job: Job) -> int:
        """How many jobs come before one that waits; 0 if it runs or is over."""
        with self._changed:
            return self._jobs.index(job) + (self._current is not None) if job in self._jobs else 0

    def stop(self, job: Job, why: str = "stopped") -> None:
        """End a job: at once if it waits, at the next layer of a network if it runs."""
        job.stop(why)
        with self._changed:
            waited = job in self._jobs
            if waited:
                self._jobs.remove(job)
        if waited:
            job.run()  # which ends at its first look
            job.end()

    def close(self) -> None:
        """End all jobs and the thread."""
        with self._changed:
            self._closed = True
            for job in (self._current, *self._jobs):
                if job is not None:
                    job.stop("the app was closed")
            self._changed.notify_all()
        self._thread.join(timeout=30)

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if not self._jobs:
                    return
                self._current = job = self._jobs.popleft()
            job.run()
            with self._changed:
                self._current = None
            job.end()  # not before: whoever hears of it may bring the next one at once
