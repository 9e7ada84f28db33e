"""The pages' commands that open the page: each starts, and the page is there."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

pytest.importorskip("gradio", reason="the app's extra is not installed: make test-app installs it")

from tests.docs.commands import shell_commands
from tests.docs.pages import all_blocks
from videopath_hf import RESEARCH_NOTICE

COMMANDS = sorted(
    {
        tuple(words[1:])
        for block in all_blocks("bash")
        for words in shell_commands(block.text)
        if words[:2] == ["videopath", "app"]
    }
)


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_page_opens(words: tuple[str, ...], checkpoint: Path, tmp_path: Path) -> None:
    for model in ("merged", "stages/stage2_hybrid_sft"):
        (tmp_path / model).parent.mkdir(exist_ok=True)
        (tmp_path / model).symlink_to(checkpoint, target_is_directory=True)
    app = subprocess.Popen(
        [sys.executable, "-m", "videopath_hf", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert app.stdout is not None
        said = next((found[0] for line in app.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+", line))), None)
        assert said, f"it ended with {app.wait()}"
        with urlopen(said, timeout=30) as page:
            assert page.status == 200
            assert RESEARCH_NOTICE.split(":")[0] in page.read().decode()
    finally:
        app.kill()
        app.wait()
