"""What the page shows when something is pressed that cannot be done."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("gradio", reason="the app's extra is not installed: make test-app installs it")

import gradio as gr

from tests.serving.app.conftest import MakeDesk, bring
from videopath_hf.serving.app.handlers import Handlers
from videopath_hf.serving.app.routes import COOKIE

pytestmark = pytest.mark.usefixtures("in_process")


def request(user: str = "ann", session: str = "page") -> Any:
    return SimpleNamespace(session_hash=session, cookies={COOKIE: user} if user else {})


def pressed(**data: Any) -> Any:
    return gr.EventData(None, data)


def test_a_browser_without_cookies_is_told(make_desk: MakeDesk) -> None:
    viewer, *_ = Handlers(make_desk()).begin(request(user=""))
    assert viewer["visit"] is None
    assert viewer["error"].startswith("your browser keeps no cookie")


def test_a_page_of_another_browser_does_nothing(make_desk: MakeDesk, make_clip: Callable[..., Path]) -> None:
    desk = make_desk()
    visit = bring(desk, make_clip(6))
    handlers = Handlers(desk)
    (shown,) = handlers.ask("What is it?", request(user="bob"))
    assert "session is over" in shown[1]
    (shown,) = handlers.measure(pressed(turn=0, side=0, whole=1), request(user="bob"))
    assert "session is over" in shown[1]
    assert "session is over" in handlers.cleared("colon", "", request(user="bob"))[0]["error"]
    assert visit.case is not None and visit.case.turns == []


@pytest.mark.parametrize("number", ["0", None, 1.0, True, -1, 99, [0]])
def test_what_a_page_sends_is_not_believed(make_desk: MakeDesk, number: Any) -> None:
    handlers = Handlers(make_desk())
    handlers.begin(request())
    viewer = handlers.example("colon", "", pressed(number=number), request())[0]
    assert viewer["error"] == "there is no such example"
    assert handlers.example("colon", "", pressed(), request())[0]["error"] == "there is no such example"


def test_stop_stays_while_something_runs(make_desk: MakeDesk, make_clip: Callable[..., Path]) -> None:
    desk = make_desk(settings={"max_new_tokens": 5000})
    bring(desk, make_clip(6))
    handlers = Handlers(desk)
    running = handlers.ask("What is it?", request())
    *_, ask, stop = next(running)
    assert (ask["interactive"], stop["visible"]) == (False, True)
    (shown,) = handlers.ask("And this?", request())
    assert "of yours is being worked on" in shown[1]
    assert (shown[3]["interactive"], shown[4]["visible"]) == (False, True)
    handlers.stop(request())
    *_, ask, stop = list(running)[-1]
    assert (ask["interactive"], stop["visible"]) == (True, False)
