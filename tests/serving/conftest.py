"""A model whose answers depend on what it sees, and small videos for it."""

import io
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.modeling.conftest import TEXTS, make_clip, noise_frames  # noqa: F401
from videopath_hf.evaluation.answering import Answerer
from videopath_hf.modeling.loading import load_model
from videopath_hf.modeling.tiny import build_tiny, save_checkpoint

QUESTION = "What is the best diagnosis?"


@pytest.fixture(scope="session")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with grid newlines and a repetition penalty, of weights so large that every frame matters."""
    folder = tmp_path_factory.mktemp("lively")
    model, processor = load_model(build_tiny(TEXTS, folder / "tiny", seed=0))
    model.config.video_newline_position = processor.video_newline_position = "grid"
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(2)
        model.model.multi_modal_projector.linear_2.weight.mul_(20)
        model.lm_head.weight.mul_(0.5)
    words = [
        word.replace("Ġ", "") for word in processor.tokenizer.convert_ids_to_tokens(range(len(processor.tokenizer)))
    ]
    unreadable = [number for number, word in enumerate(words) if not (word.isascii() and word.isalpha())]
    model.generation_config.suppress_tokens = unreadable
    model.generation_config.repetition_penalty = 1.5
    (folder / "model").mkdir()
    save_checkpoint(model, processor, folder / "model")
    return folder / "model"


@pytest.fixture(scope="session")
def loaded_lively(lively: Path) -> tuple[Any, Any]:
    """That model and its processor."""
    return load_model(lively)


@pytest.fixture(scope="session")
def ask_directly(loaded_lively: tuple[Any, Any]) -> Callable[..., str]:
    """What `videopath ask` answers about media."""
    answerer = Answerer(*loaded_lively, "lively")

    def ask(*media: Path, question: str = QUESTION, tokens: int = 24) -> str:
        return answerer.ask(media, question, max_new_tokens=tokens).answer

    return ask


@pytest.fixture(scope="session")
def slide() -> bytes:
    """A small picture as PNG."""
    stream = io.BytesIO()
    Image.fromarray(noise_frames(1)[0]).save(stream, "PNG")
    return stream.getvalue()


class Files(SimpleHTTPRequestHandler):
    """Files of a folder; `/to/PATH` redirects to /PATH."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        kind, _, rest = self.path.lstrip("/").partition("/")
        if kind == "to":
            self.send_response(302)
            self.send_header("Location", f"/{rest}")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadingHTTPServer]:
    """A web server of a folder, `folder`, on all addresses of this machine; `asked` are the paths it was asked for."""
    folder = tmp_path_factory.mktemp("web")
    with ThreadingHTTPServer(("0.0.0.0", 0), partial(Files, directory=str(folder))) as server:
        server.folder, server.asked = folder, []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()
