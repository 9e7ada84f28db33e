"""The page of `videopath serve`: the server starts as it shows, and its clients are answered."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.docs.commands import parse, shell_commands
from tests.docs.pages import DOCS, ROOT, Block, blocks
from tests.docs.running import in_a_shell
from videopath_hf.video.encode import write_clip

pytest.importorskip("openai", reason="the extra serve is not installed")
pytestmark = pytest.mark.slow

START, *CLIENTS = [block for block in blocks(DOCS / "how-to" / "serve.md") if "8000" in block.text]


class Page(NamedTuple):
    """A folder with what the page's commands name, and a server in it.

    Args:
        folder (`Path`): where it runs.
        port (`int`): its port, in place of the page's 8000; answers end after 4 tokens in place of 256.
    """

    folder: Path
    port: int

    def printed(self, block: Block) -> str:
        """What a block of the page prints."""
        text = block.text.replace("256", "4").replace("8000", str(self.port))
        return in_a_shell(block._replace(text=text), self.folder)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    from videopath_hf.modeling.tiny import build_tiny

    folder = tmp_path_factory.mktemp("serve")
    build_tiny(["What is the best diagnosis?"], folder / "merged", seed=0)
    clip = folder / "curated" / "clips" / "lecture_c00001.mp4"
    clip.parent.mkdir(parents=True)
    write_clip(clip, [np.full((48, 64, 3), 90, np.uint8)] * 8, 4.0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ((program, *options),) = shell_commands(START.text.replace("8000", str(port)))
    assert program == "videopath"
    server = subprocess.Popen(
        [sys.executable, "-m", "videopath_hf", *options], cwd=folder, env=os.environ, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stderr is not None
        said = server.stderr.readline()
        assert f"at http://127.0.0.1:{port}/v1 as model 'merged'" in said, said + server.stderr.read()
        yield Page(folder, port)
    finally:
        server.kill()
        server.wait()


def test_the_readme_starts_the_same_server() -> None:
    (shown,) = (
        words
        for block in blocks(ROOT / "README.md")
        for words in shell_commands(block.text)
        if block.language == "bash" and words[:2] == ["videopath", "serve"]
    )
    ((_, *started),) = shell_commands(START.text)
    assert parse(shown[1:]).params == parse(started).params


def test_the_openai_client_gets_the_same_answer_whole_and_in_pieces(page: Page) -> None:
    (block,) = (block for block in CLIENTS if block.language == "python")
    # The random model's 4 tokens may end inside a character, which a stream leaves out.
    whole, pieces = (text.strip("\ufffd\n") for text in page.printed(block).split("\n", 1))
    assert whole and whole == pieces


def test_curl_is_answered(page: Page) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (block,) = (block for block in CLIENTS if block.language == "bash")
    answer = json.loads(page.printed(block))
    assert answer["model"] == "merged" and answer["choices"][0]["message"]["content"]
    assert answer["usage"]["completion_tokens"] == 4
