"""The stand-in for tests whose own process is the client."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hub.server import WRITER, HubServer, serve_hub


@contextmanager
def client_of_a_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """Serve a stand-in to the clients of this process, which read the Hub's address when they are imported."""
    from huggingface_hub import constants, utils

    with serve_hub(folder / "hub", page_size=3) as server:
        values = {
            "ENDPOINT": server.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": server.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_CACHE": str(folder / "cache"),
        }
        for name, value in values.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("HF_TOKEN", WRITER)
        utils.close_session()
        yield server
        utils.close_session()
