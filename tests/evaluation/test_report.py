"""The page of an evaluation: whole in one file, nothing that was said is markup, nothing missing is hidden."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.llm.chat_server import Reply, mark, said, serve
from videopath_hf.data.folder import read_instructions
from videopath_hf.evaluation.frames import video_strip
from videopath_hf.evaluation.runner import EvaluateSettings, evaluate_model
from videopath_hf.settings import load_settings
from videopath_hf.video.encode import write_clip

HOSTILE = "<script>alert(1)</script> & <img src=x onerror=alert(2)>\nDiagnosis: Celiac disease | x"


@pytest.fixture(scope="module")
def page(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The report of a model whose answers are hostile and whose judge marks one aspect of them only."""

    def behave(request: dict[str, Any], _: int) -> Reply:
        if request["model"] == "model-1":
            return said(HOSTILE)
        return mark(3, "<b>Bold</b> words.") if "how correct" in str(request["messages"]) else said("I will not")

    out = tmp_path_factory.mktemp("page") / "out"
    with serve(behave) as server:
        values = [f"server.base_url={server.url}", "server.model=model-1", f"judge.base_url={server.url}",
                  "judge.model=judge-1", "judge.price_input=1", "judge.price_output=2", "min_coverage=0"]  # fmt: skip
        evaluate_model(server.url, dataset, out, load_settings(EvaluateSettings, None, values), name="<i>mine</i>")
    return (out / "report.html").read_text(), out


def test_what_model_and_judge_said_is_shown_and_escaped(page: tuple[str, Path]) -> None:
    text, _ = page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;img src=x onerror=alert(2)&gt;" in text
    assert "&lt;b&gt;Bold&lt;/b&gt; words." in text
    assert "Evaluation of &lt;i&gt;mine&lt;/i&gt;" in text
    for markup in ("<script", "<img src=x", "<b>Bold", "<i>mine"):
        assert markup not in text


def test_it_opens_without_a_network_and_says_what_it_is_for(page: tuple[str, Path]) -> None:
    text, _ = page
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    assert "never advice for care" in text
    assert text.count("data:image/jpeg;base64,") == 2  # a clip among the worst, one among the best
    assert text.count("the 4 frames the model saw, at 0.0, 0.5, 1.0, 1.5 s") == 4  # each as caption and in its place


def test_missing_scores_cost_and_what_it_rests_on_are_told(page: tuple[str, Path], dataset: Path) -> None:
    text, out = page
    result = json.loads((out / "results.json").read_text())
    assert re.search(r"Detail</td><td>the judge.*</td><td class=\"n\">2</td>", text)
    assert result["variants"]["full"]["columns"]["judge_norm_avg"]["value"] is None
    assert f"{result['spent']['judge']['cost']:.4f}" in text
    for value in (result["data"]["hash"], result["data"]["media_hash"], result["judge"]["protocol_hash"]):
        assert value in text
    assert "By organ" in text and "duodenum" in text and "Melanosis coli" in text
    assert [record.id in text for record in read_instructions(dataset, ["video"], "test")] == [True, True]


def test_the_markdown_row_is_in_the_papers_order_and_keeps_its_columns(page: tuple[str, Path]) -> None:
    lines = (page[1] / "row.md").read_text().splitlines()
    assert lines[0] == "| Model | Context | Correctness | Detail | Avg | Norm-Avg |"
    assert lines[2] == "| <i>mine</i> | - | 3.00 | - | - | - |"
    assert "judge judge-1, protocol videopath" in lines[4]


def test_a_strip_shows_the_frames_at_the_times_given(tmp_path: Path) -> None:
    import base64
    import io

    write_clip(tmp_path / "a.mp4", [np.full((64, 80, 3), 10 * number, np.uint8) for number in range(20)], 4.0)
    uri, times = video_strip(tmp_path / "a.mp4", [0.0, 2.5, 4.75])
    picture = Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))
    assert picture.size == (3 * 160, 128)
    assert [round(np.asarray(picture)[:, left : left + 100].mean() / 10) for left in (20, 180, 340)] == [0, 10, 19]
    assert times == [0.0, 2.5, 4.8]
    _, spread = video_strip(tmp_path / "a.mp4", [])
    assert (len(spread), spread[0], spread[-1]) == (8, 0.0, 4.8)
    _, few = video_strip(tmp_path / "a.mp4", [number / 4 for number in range(20)], most=5)
    assert len(few) == 5
