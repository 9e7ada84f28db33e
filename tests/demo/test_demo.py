"""The whole road on the shipped lecture, with shortened recipes: killed, continued, repeated, and its report."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from tests.docs.commands import shell_commands
from tests.docs.pages import DOCS, blocks
from videopath_hf.demo.pipeline import STAGES, recipe_path
from videopath_hf.evaluation.results import file_of
from videopath_hf.evaluation.settings import Variant
from videopath_hf.samples import lecture_path

pytestmark = pytest.mark.slow

README = Path(__file__).parents[2] / "README.md"

# The demo reads its recipes through `recipe_path`; the driver points it at shorter ones.
DRIVER = """
import sys
from pathlib import Path
from videopath_hf.cli import main
from videopath_hf.demo import pipeline

recipes = Path(sys.argv.pop(1))
pipeline.recipe_path = lambda name: recipes / f"{name}.yaml"
main.main()
"""


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's own recipes with few steps, a checkpoint after every second one, and no OCR."""
    folder = tmp_path_factory.mktemp("recipes")
    for name in ("curate", "instruct", *STAGES):
        recipe = yaml.safe_load(recipe_path(name).read_text(encoding="utf-8"))
        if name in STAGES:
            recipe["optimisation"].update(max_steps=4, save_steps=2, batch_size=2)
        if name == "curate":
            recipe["screen_text"] = {"backend": "none"}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return folder


def start(recipes: Path, *options: str | Path) -> "subprocess.Popen[str]":
    words = [sys.executable, "-c", DRIVER, str(recipes), "demo", *map(str, options), "--json"]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=os.environ
    )


def finish(recipes: Path, *options: str | Path) -> dict[str, Any]:
    run = start(recipes, *options)
    stdout, stderr = run.communicate(timeout=500)
    assert run.returncode == 0, stderr
    summary: dict[str, Any] = json.loads(stdout)
    return summary


def wait_for(path: Path, run: "subprocess.Popen[str]") -> None:
    while not path.exists():
        assert run.poll() is None, f"the demo ended before {path.name} was there: {run.stderr and run.stderr.read()}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def whole(recipes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An uninterrupted run and what it printed."""
    out = tmp_path_factory.mktemp("whole") / "demo"
    return out, finish(recipes, "--out", out)


def answers(out: Path, variant: Variant) -> list[tuple[str, str]]:
    lines = (out / "evaluation" / file_of("predictions", variant)).read_text(encoding="utf-8").splitlines()
    return [(line["id"], line["answer"]) for line in map(json.loads, lines)]


def test_the_summary_says_what_was_made_and_how_long_it_took(whole: tuple[Path, dict[str, Any]]) -> None:
    out, printed = whole
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert printed == {"report": str(out / "report.html"), **summary}
    assert list(summary["seconds"]) == ["curate", "instruct", "tiny", *STAGES, "evaluate", "report"]
    assert 0.1 < summary["peak_memory_gb"] < 4
    assert summary["clips"] == len((out / "curated" / "clips.jsonl").read_text(encoding="utf-8").splitlines()) > 10
    assert sum(summary["rejects"].values()) == 3
    assert set(summary["diagnosis_accuracy"]) == {"full", "blind"}
    assert summary["seed"] == 0
    assert summary["versions"]["transformers"]


def test_the_report_is_one_file_with_everything_in_it(whole: tuple[Path, dict[str, Any]]) -> None:
    page = (whole[0] / "report.html").read_text(encoding="utf-8")
    assert "never advice for care" in page
    for words in ("FHL2-positive colonic mucosa", "FHL2-negative colonic mucosa", "stage3 video sft", "blind"):
        assert words in page
    for outside in ('src="http', 'href="http', "<script src"):
        assert outside not in page
    assert page.count("data:image/jpeg;base64,") > 20


def test_what_the_readme_goes_on_from_is_there(whole: tuple[Path, dict[str, Any]]) -> None:
    named = re.findall(r"(--out )?\bdemo_out/([\w./]*\w)", README.read_text(encoding="utf-8"))
    made = {path for new, path in named if not new and not path.startswith("probes")}
    assert {"report.html", "summary.json", "stage3_video_sft/merged", "data"} < made
    assert [path for path in made if not (whole[0] / path).exists()] == []


def test_a_demo_killed_at_several_places_and_continued_gives_the_same_answers(
    recipes: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out = tmp_path / "demo"
    for place in ("curated/clips", "data", "stage1_image_sft/checkpoints", "stage3_video_sft", "evaluation"):
        run = start(recipes, "--out", out)
        wait_for(out / place, run)
        time.sleep(0.2)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
    assert not (out / "summary.json").exists()
    printed = finish(recipes, "--out", out)
    for name in ("clips.jsonl", "rejects.jsonl"):
        assert (out / "curated" / name).read_bytes() == (whole[0] / "curated" / name).read_bytes()
    for variant in get_args(Variant):
        assert answers(out, variant) == answers(whole[0], variant)
    assert printed["diagnosis_accuracy"] == whole[1]["diagnosis_accuracy"]


def test_a_finished_demo_is_not_done_again(recipes: Path, whole: tuple[Path, dict[str, Any]]) -> None:
    out, printed = whole
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    assert finish(recipes, "--out", out)["seconds"] == printed["seconds"]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")} == before


def test_the_page_s_command_takes_a_lecture_of_one_s_own(
    recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for suffix in (".mp4", ".srt"):
        shutil.copy(lecture_path().with_suffix(suffix), tmp_path / f"mylecture{suffix}")
    monkeypatch.chdir(tmp_path)
    ((program, verb, *options),) = (
        words for block in blocks(DOCS / "how-to" / "demo.md") for words in shell_commands(block.text)
    )
    assert (program, verb) == ("videopath", "demo")
    assert finish(recipes, *options)["report"] == "mydemo/report.html"
    clips = (tmp_path / "mydemo" / "curated" / "clips.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["source"] for line in clips} == {"mylecture.mp4"}
