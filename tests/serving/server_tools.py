"""Starting the server: as the command that users type, or in a thread of the test."""

import base64
import http.client
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import uvicorn
from openai import OpenAI

from tests.serving.conftest import QUESTION
from videopath_hf.serving.media import MediaLimits
from videopath_hf.serving.server import ChatHandler, build_app

HERE = MediaLimits(private=True)
"""Limits of a server that fetches from this machine."""


def data_url(content: Path | bytes, kind: str = "video/mp4") -> str:
    """Content as an address that holds it."""
    content = content.read_bytes() if isinstance(content, Path) else content
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def video(address: str) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": address}}


def image(address: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": address}}


def about(*blocks: dict[str, Any], question: str = QUESTION) -> list[dict[str, Any]]:
    """Messages that ask about media."""
    return [{"role": "user", "content": [*blocks, {"type": "text", "text": question}]}]


class Reply(NamedTuple):
    status: int
    headers: Message
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        return dict(json.loads(self.body)["error"])


def call(address: str, path: str, content: bytes | Iterable[bytes] | None = None) -> Reply:
    """GET a path, or POST content to it as JSON: bytes with their length, or pieces without."""
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)) as connection:
        headers = {} if content is None else {"Content-Type": "application/json"}
        connection.request("GET" if content is None else "POST", path, content, headers)
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read())


def client(address: str, **options: Any) -> OpenAI:
    return OpenAI(**{"base_url": f"{address}/v1", "api_key": "none", "max_retries": 0, "timeout": 120, **options})


def joined(stream: Any) -> str:
    """The text of a stream."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


class Running(NamedTuple):
    address: str
    handler: ChatHandler


@contextmanager
def server_in_thread(model: Any, processor: Any, limits: MediaLimits = HERE, **options: Any) -> Iterator[Running]:
    """Serve a loaded model as `lively`."""
    settings = {"max_new_tokens": 64, "waiting": 2, "max_request_bytes": 5_000_000, **options}
    app, handler = build_app("lively", model, processor, limits=limits, **settings)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1))
    listener = server.config.bind_socket()
    listener.listen()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield Running(f"http://127.0.0.1:{listener.getsockname()[1]}", handler)
    finally:
        server.should_exit = True
        thread.join(30)
        handler.finish()
        listener.close()


@contextmanager
def served(*options: str | Path, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Type `videopath serve` with options; yields its address once it says it, and the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "videopath_hf", "serve", "--port", "0", *map(str, options)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"at (http://\S+)/v1 as model", line)
        assert found, line + process.stderr.read()
        yield found[1], process
    finally:
        process.kill()
        process.wait()
