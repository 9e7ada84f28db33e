"""One job at a time, one for each user, and every job ends when it is told to."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from videopath_hf.errors import UserError
from videopath_hf.serving.app.engine import Engine, Job, JobStopped, Waiting


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine(most=3)
    yield made
    made.close()


class Held:
    """Work that runs until it is let go."""

    def __init__(self) -> None:
        self.begun, self.free = threading.Event(), threading.Event()

    def __call__(self, job: Job) -> None:
        self.begun.set()
        while not self.free.wait(0.01):
            job.check()
        job.say("done")


def said(engine: Engine, job: Job) -> list[Any]:
    return [what for what in job.follow(engine.before) if not isinstance(what, Waiting)]


def test_jobs_run_in_order_and_their_places_are_told(engine: Engine) -> None:
    order: list[str] = []
    first = Held()
    jobs = [engine.submit("ann", first, 60)]
    first.begun.wait(10)
    for user in ("bob", "eve"):
        jobs.append(engine.submit(user, lambda job: order.append(job.user), 60))
    assert [engine.before(job) for job in jobs] == [0, 1, 2]
    follower = jobs[2].follow(engine.before)
    assert next(follower) == Waiting(2)
    first.free.set()
    list(follower)
    assert order == ["bob", "eve"]
    assert said(engine, jobs[0]) == ["done"]


def test_a_user_has_one_job(engine: Engine) -> None:
    held = Held()
    job = engine.submit("ann", held, 60)
    with pytest.raises(UserError, match="of yours is being worked on already"):
        engine.submit("ann", held, 60)
    held.free.set()
    said(engine, job)
    said(engine, engine.submit("ann", held, 60))


def test_a_full_queue_refuses(engine: Engine) -> None:
    held = Held()
    for user in ("ann", "bob", "eve"):
        engine.submit(user, held, 60)
    with pytest.raises(UserError, match="3 questions are being worked on or wait"):
        engine.submit("dan", held, 60)


def test_a_waiting_job_is_stopped_at_once_and_makes_room(engine: Engine) -> None:
    held = Held()
    engine.submit("ann", held, 60)
    held.begun.wait(10)
    waiting = engine.submit("bob", Held(), 60)
    engine.stop(waiting, "stopped")
    assert engine.of("bob") is None
    with pytest.raises(JobStopped, match=r"^stopped$"):
        said(engine, waiting)
    assert not held.free.is_set()


def test_a_failure_reaches_the_follower_and_the_next_job_runs(engine: Engine) -> None:
    def fail(_: Job) -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        said(engine, engine.submit("ann", fail, 60))
    assert said(engine, engine.submit("bob", lambda job: job.say(1), 60)) == [1]


@pytest.mark.parametrize("how", ["stop", "time"])
def test_a_model_stops_between_two_layers(engine: Engine, loaded: tuple[Any, Any], how: str) -> None:
    model = loaded[0]
    engine.watch(model)
    layers = [0]
    handle = model.model.language_model.layers[0].register_forward_hook(
        lambda *_: layers.__setitem__(0, layers[0] + 1)
    )

    def read(job: Job) -> None:
        job.say("begun")
        with torch.inference_mode():
            while True:
                model.model.language_model(inputs_embeds=torch.zeros(1, 4, 128))

    try:
        job = engine.submit("ann", read, 0.3 if how == "time" else 60)
        follower = job.follow(engine.before)
        assert next(follower) == "begun"
        if how == "stop":
            engine.stop(job)
        with pytest.raises(JobStopped, match="0.3 s" if how == "time" else "^stopped$"):
            list(follower)
        after = layers[0]
        assert after > 0 or how == "stop"
        time.sleep(0.1)
        assert layers[0] == after
        # Whoever uses the model outside the engine is not stopped.
        model.model.language_model(inputs_embeds=torch.zeros(1, 4, 128))
    finally:
        handle.remove()


def test_closing_ends_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(most=3)
    jobs = [engine.submit(user, Held(), 60) for user in ("ann", "bob")]
    engine.close()
    for job in jobs:
        with pytest.raises(JobStopped, match="the app was closed"):
            said(engine, job)
