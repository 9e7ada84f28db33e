"""The app in a process of its own with two trained tiny models, and real Chromium pages that look at it."""

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.serving.app.conftest import served
from tests.serving.app.reading_model import FRAMES, train_readers

WHY = "the app's extra or playwright is not installed: make test-app installs them"
pytest.importorskip("gradio", reason=WHY)
sync_api = pytest.importorskip("playwright.sync_api", reason=WHY)

PATIENCE = 60_000  # milliseconds; the machine may be busy
_SETTINGS = ("limits.video_seconds=20", "limits.file_mb=3", "limits.leave_seconds=1", "evidence_frames=2")
_PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "app.md"


class App(NamedTuple):
    """The running app: its address, where visitors' files lie, its models' clips, and what the models are called."""

    address: str
    uploads: Path
    clips: Path
    models: list[str]


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where screenshots go: the folder that VIDEOPATH_ARTEFACTS names, or a temporary one."""
    folder = Path(os.environ.get("VIDEOPATH_ARTEFACTS") or tempfile.mkdtemp(prefix="videopath_artefacts_"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"screenshots are in {folder}")
    return folder


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The documentation's command for two models, with smaller limits; the models are where it names them."""
    folder = tmp_path_factory.mktemp("app")
    (command,) = re.findall(r"^videopath (app .*--compare.*)$", _PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = [Path(path) for path in re.findall(r"--(?:model|compare) (\S+)", command)]
    clips = train_readers(*(folder / path for path in named))
    settings = [word for setting in (*_SETTINGS, f"frames={FRAMES}") for word in ("--set", setting)]
    words = ["-m", "videopath_hf", *shlex.split(command), "--uploads", "uploads", *settings]
    with served(words, cwd=folder) as address:
        yield App(address, folder / "uploads", clips, [path.name for path in named])
    assert list((folder / "uploads").iterdir()) == []


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The system's Chromium, without a window. Playwright's event loop runs in this thread as long as it is open, so
    that no other module's test could run one."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(app: App, chromium: Any) -> Iterator[Callable[..., "Page"]]:
    """Opens the app as a new person with a browser of their own. Whatever goes wrong in the page fails the test."""
    contexts, wrong = [], []

    def make(width: int = 1280, scheme: str = "light") -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        tab = context.new_page()
        local = urlsplit(app.address).netloc
        tab.on("pageerror", lambda error: wrong.append(f"error in the page: {error}"))
        # A refused file is answered with 400, which the browser reports too.
        told = lambda said: said.type == "error" and "status of 400" not in said.text  # noqa: E731
        tab.on("console", lambda said: wrong.append(f"console: {said.text}") if told(said) else None)
        tab.on(
            "request",
            lambda request: (
                wrong.append(f"request to {request.url}")
                if request.url.startswith("http") and urlsplit(request.url).netloc != local
                else None
            ),
        )
        tab.goto(app.address)
        tab.wait_for_selector(".vp-examples button")
        return Page(tab, app)

    yield make
    for context in contexts:
        context.close()
    assert wrong == []


class Page:
    """What a person does on the page."""

    def __init__(self, tab: Any, app: App) -> None:
        self.tab = tab
        self.app = app

    def text(self, selector: str) -> str:
        return str(self.tab.inner_text(selector)).strip()

    def upload(self, path: Path) -> None:
        self.tab.set_input_files(".vp-drop input", str(path))

    def bring(self, name: str = "brown.mp4") -> None:
        self.upload(self.app.clips / name)
        self.tab.wait_for_selector(".vp-strip img, .vp-stage img:visible")

    def ask(self, question: str | None = None) -> None:
        """Ask, and wait for the answers of both models."""
        number = self.tab.locator(".vp-turn").count() + 1
        if question is not None:
            self.tab.fill("#vp-question textarea", question)
        self.tab.click("#vp-ask")
        self.tab.wait_for_function(
            "number => document.querySelectorAll('.vp-turn').length == number"
            " && document.querySelectorAll('.vp-turn:first-of-type .vp-spent').length == 2",
            arg=number,
        )
        self.tab.wait_for_selector("#vp-stop", state="hidden")

    def measure(self, button: int = 0) -> None:
        """Show the evidence of an answer, and wait until it is complete."""
        self.tab.locator(".vp-after-answer button").nth(button).click()
        self.tab.wait_for_selector(".vp-evidence[aria-busy=false]")

    def time(self) -> float:
        """Where the player stands, in seconds."""
        self.tab.wait_for_function("!document.querySelector('.vp-stage video').seeking")
        return float(self.tab.evaluate("document.querySelector('.vp-stage video').currentTime"))

    def shoot(self, artefacts: Path, name: str) -> None:
        """Keep a screenshot of the whole page."""
        self.tab.evaluate("window.scrollTo(0, 0)")
        self.tab.wait_for_timeout(300)
        self.tab.screenshot(path=str(artefacts / f"{name}.png"), full_page=True)
