"""The Space's files: metadata that the Hub takes, a command made of variables, and a page at the end of it."""

import importlib.util
import re
import socket
import urllib.request
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from huggingface_hub import RepoCard

from tests.serving.app.conftest import served
from videopath_hf.serving.app import settings

SPACE = Path(__file__).parents[3] / "model_cards" / "space"


def space() -> ModuleType:
    spec = importlib.util.spec_from_file_location("space_app", SPACE / "app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_metadata_are_what_the_hub_asks_of_a_space() -> None:
    card = RepoCard.load(SPACE / "README.md")
    data = card.data.to_dict()
    assert data["sdk"] == "gradio" and data["app_file"] == "app.py"
    assert re.fullmatch(r"6\.\d+\.\d+", data["sdk_version"])
    assert len(data["short_description"]) <= 60
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {data["colorFrom"], data["colorTo"]} <= colours
    assert "never advice for care" in card.text
    assert yaml.safe_load((SPACE / "README.md").read_text().split("---")[1]) == data


def test_the_requirements_are_the_package_with_the_app() -> None:
    assert (SPACE / "requirements.txt").read_text().split() == ["videopath-hf[app]"]


def test_variables_make_the_command() -> None:
    made = space().arguments(
        {
            "VIDEOPATH_MODEL": "lab/model",
            "VIDEOPATH_REVISION": "v2",
            "VIDEOPATH_COMPARE": "lab/other",
            "VIDEOPATH_QUANTIZATION": "4bit",
            "VIDEOPATH_APP_SETTINGS": "limits.queue=4 frames=16",
        }
    )
    assert made[:5] == ["app", "--host", "0.0.0.0", "--port", "7860"]
    assert made[5:] == [
        *("--model", "lab/model", "--revision", "v2", "--compare", "lab/other", "--quantization", "4bit"),
        *("--set", "limits.queue=4", "--set", "frames=16"),
    ]
    with pytest.raises(SystemExit, match="VIDEOPATH_MODEL"):
        space().arguments({})


def test_the_variables_in_the_readme_are_those_that_are_read() -> None:
    named = set(re.findall(r"`(VIDEOPATH_\w+)`", (SPACE / "README.md").read_text()))
    read = {
        "VIDEOPATH_APP_SETTINGS",
        *(f"VIDEOPATH_{name}" for name in ("MODEL", "REVISION", "COMPARE", "QUANTIZATION")),
    }
    assert named == read
    assert {"queue", "video_seconds"} <= set(settings.Limits.model_fields)


@pytest.mark.slow
def test_it_serves_the_page(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="the app's extra is not installed: make test-app installs it")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = {"VIDEOPATH_MODEL": str(checkpoint), "GRADIO_SERVER_PORT": str(port), "TMPDIR": str(tmp_path)}
    with served([SPACE / "app.py"], cwd=tmp_path, **variables) as address:
        assert f":{port}" in address
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        page = opener.open(f"http://127.0.0.1:{port}/", timeout=30).read().decode()
        assert "Research software: not a medical device" in page
    assert not list(tmp_path.glob("videopath_app_*/run_*"))
