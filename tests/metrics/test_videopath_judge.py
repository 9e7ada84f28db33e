"""The metric as its users meet it: loaded by `evaluate` in a process of their own, from a folder or from the Hub."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.evaluation.test_judge import aspect_of
from tests.hub.fixture import client_of_a_hub
from tests.hub.server import WRITER
from tests.llm.chat_server import ChatServer, Reply, mark, serve
from videopath_hf.files import read_records
from videopath_hf.llm.chat import LoggedReply
from videopath_hf.metrics import judge_metric_path

MARKS = {"correctness": 1, "detail": 2, "context": 4.5}
FOLDER = Path(judge_metric_path())

USER = """
import asyncio, json, sys
import evaluate
from videopath_hf.metrics import judge_metric_path

metric = evaluate.load(judge_metric_path())
judge = {"base_url": sys.argv[1], "model": "judge-1"}
kept = dict(predictions=["Diagnosis: x", ""], references=["r", "r"], questions=["q", "p"], log=sys.argv[2], **judge)

async def in_a_notebook():
    return metric.compute(predictions=[None, "Diagnosis: x"], references=["r", "r"], questions=["q", "q"], **judge)

async def unlike():
    try:
        metric.compute(predictions=["a"], references=["r", "r"], questions=["q", "q"], **judge)
    except ValueError as error:
        return str(error)

first, again = metric.compute(**kept), metric.compute(**kept)
one_by_one = evaluate.load(judge_metric_path())
one_by_one.add(predictions="Diagnosis: x", references="r", questions="q")
one_by_one.add_batch(predictions=[""], references=["r"], questions=["p"])
nothing = metric.compute(predictions=[None], references=["r"], questions=["q"], **judge)
pairs = metric.compute(predictions=["a"], references=["r"], questions=["q"], second_questions=["p"],
                       second_predictions=["b"], aspects=["consistency"], **judge)
print(json.dumps([first, again, one_by_one.compute(**judge), asyncio.run(in_a_notebook()), nothing, pairs,
                  asyncio.run(unlike())]))
"""


@pytest.mark.slow  # importing `evaluate` imports all of transformers' pipelines
def test_it_loads_in_a_fresh_process_without_a_network(tmp_path: Path) -> None:
    def behave(request: dict[str, object], _: int) -> Reply:
        return mark(3 if "The two questions" in str(request) else MARKS[aspect_of(request)], model="judge-1-0613")

    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    with serve(behave) as server:
        command = [sys.executable, "-c", USER, server.url, str(tmp_path / "log.jsonl")]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    first, again, one_by_one, in_a_notebook, nothing, pairs, unlike = json.loads(done.stdout)
    assert (first["Context"], first["Correctness"], first["Detail"]) == (4.5, 1, 2)
    assert (first["Avg"], first["Norm-Avg"]) == (2.5, 50)
    assert (first["n"], first["coverage"], first["unscored"]) == (2, 1, {})
    assert (first["judge"], first["judge_version"], first["protocol"]) == ("judge-1", "judge-1-0613", "videopath")
    assert len(first["protocol_hash"]) == 16
    assert len(first["dates"]) == 1
    assert again == first
    assert len(read_records(tmp_path / "log.jsonl", LoggedReply)) == 6
    assert one_by_one == first
    assert (in_a_notebook["Norm-Avg"], in_a_notebook["coverage"]) == (50, 0.5)
    assert in_a_notebook["unscored"] == {"there is no answer": 3}
    assert (nothing["Avg"], nothing["Norm-Avg"], nothing["coverage"]) == (None, None, 0)
    assert (pairs["Consistency"], pairs["Avg"], pairs["coverage"]) == (3, None, 1)
    assert "predictions" in unlike
    assert len(server.requests) == 6 + 6 + 3 + 1


FROM_THE_HUB = """
import json, sys
import evaluate
metric = evaluate.load("walker/videopath_judge")
judge = {"base_url": sys.argv[1], "model": "judge-1"}
print(json.dumps(metric.compute(predictions=["a"], references=["r"], questions=["q"], **judge)))
"""


@pytest.mark.slow
def test_pushed_as_a_space_it_loads_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import HfApi

    with client_of_a_hub(tmp_path, monkeypatch) as hub, serve(lambda request, _: mark(4)) as server:
        api = HfApi(endpoint=hub.url, token=WRITER)
        api.create_repo("walker/videopath_judge", repo_type="space", space_sdk="gradio")
        api.upload_folder(repo_id="walker/videopath_judge", repo_type="space", folder_path=FOLDER)
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
        command = [sys.executable, "-c", FROM_THE_HUB, server.url]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Norm-Avg"] == 80


def test_the_folder_is_a_space_and_asks_for_all_that_it_imports() -> None:
    from huggingface_hub import SpaceCard

    card = SpaceCard.load(FOLDER / "README.md")
    assert (card.data.sdk, card.data.app_file, card.data.title) == ("gradio", "app.py", FOLDER.name)
    assert {"evaluate", "metric"} <= set(card.data.tags)
    required = (FOLDER / "requirements.txt").read_text().replace("-", "_").split()
    required = [line.split(">=")[0] for line in required]
    for name in ("app.py", f"{FOLDER.name}.py"):
        for node in ast.walk(ast.parse((FOLDER / name).read_text())):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
                package = (module or "").split(".")[0]
                # `datasets` is what `evaluate` is built on.
                assert package in {*sys.stdlib_module_names, *required, "datasets"}, package


APP = """
import sys
sys.path.insert(0, sys.argv[1])
import app
print(app.score("q", "r", "a")["Norm-Avg"])
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="gradio is not installed")
def test_the_app_judges_one_answer(tmp_path: Path) -> None:
    def run(server: ChatServer) -> "subprocess.CompletedProcess[str]":
        variables = {"VIDEOPATH_JUDGE_BASE_URL": server.url, "VIDEOPATH_JUDGE_MODEL": "judge-1"}
        environment = {
            **os.environ,
            **variables,
            "HF_HUB_OFFLINE": "1",
            "GRADIO_ANALYTICS_ENABLED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-c", APP, str(FOLDER)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)

    with serve(lambda request, _: mark(4)) as server:
        done = run(server)
    assert done.stdout.strip() == "80.0", done.stderr
