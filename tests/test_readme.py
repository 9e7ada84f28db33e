"""The README's Python runs as it stands there, and its commands name verbs, recipes and files that exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tests.instructions.curated_folder import make_curated
from videopath_hf import RESEARCH_NOTICE
from videopath_hf.cli.main import app
from videopath_hf.data.folder import read_instructions
from videopath_hf.data.pipeline import write_instructions
from videopath_hf.instructions.settings import InstructSettings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_python_block_runs_in_a_fresh_process(tmp_path: Path) -> None:
    from videopath_hf.modeling.tiny import build_tiny

    make_curated(tmp_path / "curated")
    write_instructions(tmp_path / "curated", tmp_path / "data", InstructSettings(split_by="clip"))
    record = read_instructions(tmp_path / "data", ["video"], "train")[0]
    (tmp_path / "clip.mp4").write_bytes((tmp_path / "data" / record.media[0].path).read_bytes())
    build_tiny([record.question, record.answer], tmp_path / "merged", seed=0)
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 2
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf")}
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr


def test_every_command_names_a_verb_that_exists() -> None:
    verbs = set(get_command(app).commands)
    named = set(re.findall(r"^videopath (\w+)", README, flags=re.MULTILINE))
    assert named == verbs - {"demo"}


def test_the_notice_and_the_picture_stand_before_the_first_command() -> None:
    first = README.split("```")[0]
    assert RESEARCH_NOTICE in first
    (picture,) = re.findall(r'<img src="([^"]+)"', first)
    assert (ROOT / picture).is_file()


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert set(re.findall(r"make (\w+)", README)) <= targets


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\brecipes/[\w/.]+yaml", README))))
def test_every_recipe_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).is_file()
