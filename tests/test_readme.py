"""The README's Python runs as it stands there, and its commands name verbs, recipes and files that exist."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from tests.instructions.curated_folder import make_curated
from videopath_hf.cli.main import app
from videopath_hf.data.folder import read_instructions
from videopath_hf.data.pipeline import write_instructions
from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.video.encode import write_clip

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
    assert len(blocks) == 6
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf")}
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_server_is_started_and_asked_as_it_is_shown(tmp_path: Path) -> None:
    from videopath_hf.modeling.tiny import build_tiny

    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    build_tiny(["What is the best diagnosis?"], tmp_path / "merged", seed=0)
    write_clip(tmp_path / "clip.mp4", [np.full((48, 64, 3), 90, np.uint8)] * 8, 4.0)
    (block,) = (block for block in re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL) if "curl" in block)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    script = block.replace("8000", port).replace("256", "4") + "kill %1; wait"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    answer = json.loads(done.stdout)
    assert answer["model"] == "merged"
    assert answer["usage"]["completion_tokens"] == 4, done.stderr


def test_every_command_names_a_verb_that_exists() -> None:
    verbs = set(get_command(app).commands)
    named = set(re.findall(r"^videopath (\w+)", README, flags=re.MULTILINE))
    assert named == verbs - {"demo"}


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert set(re.findall(r"make (\w+)", README)) <= targets


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\brecipes/[\w/.]+yaml", README))))
def test_every_recipe_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).is_file()
