"""The published protocol comes out of the installed `lmms-eval`; what it says stands there and nowhere here."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.llm.chat_server import said, serve
from videopath_hf.errors import MissingExtraError, UserError
from videopath_hf.evaluation.judge import Judge, JudgeSettings
from videopath_hf.evaluation.judging.protocol import ALL_ASPECTS, JudgeSample, load_protocol

needs_lmms_eval = pytest.mark.skipif(
    importlib.util.find_spec("lmms_eval") is None or importlib.util.find_spec("loguru") is None,
    reason="lmms-eval is not installed: pip install --no-deps lmms-eval loguru",
)
SAMPLE = JudgeSample("a", "Which one?", "The reference.", "The answer.", "And which?", "Another answer.")


@needs_lmms_eval
def test_its_messages_hold_the_material_and_nothing_is_sent_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("HF_HOME", raising=False)
    protocol = load_protocol("videochatgpt")
    seen = set()
    for aspect in ALL_ASPECTS:
        system, user = protocol.messages(aspect, SAMPLE)
        assert (system["role"], user["role"]) == ("system", "user")
        parts = [SAMPLE.question, SAMPLE.reference, SAMPLE.prediction]
        if aspect == "consistency":
            parts += [SAMPLE.second_question, SAMPLE.second_prediction]
        assert all(part and part in user["content"] for part in parts)
        seen.add(system["content"])
    assert len(seen) == 5
    assert protocol.source.startswith("lmms-eval ")
    assert protocol.response_format is None
    assert "HF_HOME" not in os.environ
    assert not [name for name in sys.modules if name.startswith("lmms_eval.tasks")]


@needs_lmms_eval
def test_its_hash_is_of_its_prompts_and_not_of_the_answers() -> None:
    protocol = load_protocol("videochatgpt")
    before = protocol.hash
    protocol.messages("detail", SAMPLE)
    assert load_protocol("videochatgpt").hash == before
    assert before != load_protocol("videopath").hash


@needs_lmms_eval
@pytest.mark.parametrize("reply", ["{'score': 4}", "{''score': 4}", "Sure: {'score': 4}", "4"])
def test_a_judge_asked_by_it_is_read_and_named(reply: str) -> None:
    with serve(lambda request, _: said(reply)) as server:
        judge = Judge(JudgeSettings(base_url=server.url, model="m", protocol="videochatgpt", aspects=ALL_ASPECTS))
        scores = judge.score([SAMPLE])
    assert [score.value for score in scores] == [4] * 5
    summary = judge.summarise(scores)
    assert (summary.norm_avg, summary.temporal, summary.consistency) == (80, 4, 4)
    assert summary.protocol == "videochatgpt"
    assert summary.protocol_source == judge.protocol.source
    assert {request["temperature"] for request in server.requests} == {0}
    assert not any("response_format" in request for request in server.requests)


@needs_lmms_eval
def test_the_package_s_own_module_keeps_its_transport(tmp_path: Path) -> None:
    code = """
import sys, types
kept = types.ModuleType("lmms_eval.tasks")
kept.__path__ = []
sys.modules["lmms_eval.tasks"] = kept
file_utils = types.ModuleType("lmms_eval.tasks._task_utils.file_utils")
sys.modules["lmms_eval.tasks._task_utils"] = types.ModuleType("lmms_eval.tasks._task_utils")
sys.modules[file_utils.__name__] = sys.modules["lmms_eval.tasks._task_utils"].file_utils = file_utils
from videopath_hf.evaluation.judging.protocol import load_protocol
load_protocol("videochatgpt")
assert sys.modules["lmms_eval.tasks"] is kept
assert "torch" not in sys.modules
import requests
assert requests.post.__module__ == "requests.api"
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_without_the_package_one_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videopath_hf.evaluation.judging.published.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'videopath-hf\[lmms-eval\]'"):
        Judge(JudgeSettings(base_url="http://localhost:1/v1", model="m", protocol="videochatgpt"))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import no_such_package_here", "no_such_package_here"),
        ("import json as requests", "does not give the published prompts"),
        ("import urllib.request as requests; requests.exceptions = None", "does not give the published prompts"),
        (None, "has no task videochatgpt"),
    ],
)
def test_a_package_that_is_unlike_the_one_tried_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str | None, message: str
) -> None:
    task = tmp_path / "lmms_eval" / "tasks" / "videochatgpt"
    task.mkdir(parents=True)
    (tmp_path / "lmms_eval" / "__init__.py").touch()
    if code is not None:
        (task / "utils.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "lmms_eval", raising=False)
    with pytest.raises(UserError, match=message):
        _ = load_protocol("videochatgpt").hash
    monkeypatch.delitem(sys.modules, "lmms_eval", raising=False)
