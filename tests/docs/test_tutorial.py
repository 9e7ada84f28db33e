"""The tutorial: its commands run in order and print what the page shows; the other pages go on from its folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.commands import shell_commands
from tests.docs.conftest import Tutorial
from tests.docs.pages import DOCS, PAGES, ROOT, Block, all_blocks
from tests.docs.props import SERVER, run_block
from tests.docs.running import difference, steps
from tests.evaluation.judging import scripted_judge
from tests.hub import HubServer
from tests.instructions import scripted_writer
from tests.llm.chat_server import Reply, mark, serve
from videopath_hf.files import read_json, read_records
from videopath_hf.records import ClipRecord

pytestmark = pytest.mark.slow

ALONE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", DOCS / "tutorial.md"]
OTHERS = [page for page in PAGES if page not in ALONE and any(steps(page))]
RUNNERS = {"the tutorial does it": DOCS / "tutorial.md", "the README's test does it": ROOT / "README.md"}
ELSEWHERE = [block for block in all_blocks("bash") if block.not_run in RUNNERS]


def test_every_block_of_the_tutorial_prints_what_the_page_shows(tutorial: Tutorial) -> None:
    shown = [(step, printed) for step, printed in tutorial.printed if step.shown is not None]
    assert len(shown) >= 6
    differences = {step.block.name: difference(step.shown or "", printed) for step, printed in shown}
    assert not (wrong := [f"{name}:\n{found}" for name, found in differences.items() if found]), "\n".join(wrong)


def test_the_tutorial_makes_what_it_promises(tutorial: Tutorial) -> None:
    folder = tutorial.folder
    assert len(read_records(folder / "curated" / "clips.jsonl", ClipRecord)) > 10
    for stage in ("stage0_alignment", "stage1_image_sft", "stage2_hybrid_sft", "stage3_video_sft"):
        assert read_json(folder / "stages" / stage / "run.json")["steps"] > 0
    assert read_json(folder / "scores" / "results.json")["coverage"] == 1
    for page in ("curated/report.html", "curated/review/lecture.html", "checked/check.html", "scores/report.html"):
        assert (folder / page).is_file()


@pytest.mark.parametrize("page", OTHERS, ids=[page.stem for page in OTHERS])
def test_a_page_runs_from_the_tutorials_folder(
    page: Path,
    workspace: Callable[[], Path],
    hub: HubServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(workspace())
    absent = []
    with serve(_judge_or_writer) as server:
        for step in steps(page):
            block = step.block._replace(text=step.block.text.replace(SERVER, server.url))
            capsys.readouterr()
            try:
                run_block(block, hub, monkeypatch.setenv)
            except pytest.skip.Exception as why:  # the blocks behind it run all the same
                absent.append(f"{block.name}: {why}")
                continue
            printed = capsys.readouterr().out
            if step.shown is not None:
                assert not (found := difference(step.shown, printed)), f"{step.block.name}:\n{found}"
    if absent:
        pytest.skip("; ".join(absent))


@pytest.mark.parametrize("block", ELSEWHERE, ids=[block.name for block in ELSEWHERE])
def test_what_another_page_is_said_to_run_is_run_there(block: Block) -> None:
    run = [words for step in steps(RUNNERS[block.not_run or ""]) for words in shell_commands(step.block.text)]
    assert not [words for words in shell_commands(block.text) if words not in run]


def _judge_or_writer(request: dict[str, Any], seen: int) -> Reply:
    if "candidate_answer" not in str(request["messages"][1]["content"]):
        return scripted_writer.decent(request, seen)
    try:
        return scripted_judge.good(request, seen)
    except KeyError:  # an answer of the page's own model
        return mark(4)


def test_a_page_that_shows_what_is_not_printed_is_found() -> None:
    printed = "clips: 17\nloss 6.48 to 1.01\nseconds: 4.2\n"
    assert difference("clips: 17\nloss 6.1 to ...\nseconds: ...", printed) == ""
    assert "clips: 18" in difference("clips: 18\nloss 6.48 to 1.01\nseconds: ...\n", printed)
    assert difference("clips: 17\nloss 2.5 to 1.01\nseconds: ...\n", printed)
    assert difference("clips: 17\nloss 6.48 to 1.01\n", printed)
