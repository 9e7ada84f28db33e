"""The HTTP side of the stand-in: the part of the Hub's API that `huggingface_hub` and `datasets` speak."""

import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub import api
from tests.hub.faults import Fault, Faults
from tests.hub.store import Refused, Store

WRITER, READER = "hf_writer_of_the_stand_in", "hf_reader_of_the_stand_in"


class HubServer(ThreadingHTTPServer):
    """A running stand-in.

    Args:
        folder (`Path`): where contents are kept.
        page_size (`int`): entries of a listing that come at once.
        part_size (`int`, *optional*): files above it are uploaded in parts of this size.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, folder: Path, port: int = 0, page_size: int = 1000, part_size: int | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        # Clients read a redirect's headers only where it leads to another host, as the Hub's do.
        self.storage_url = f"http://localhost:{self.server_port}"
        self.store = Store(folder)
        self.faults = Faults()
        self.page_size, self.part_size = page_size, part_size
        self.users = {WRITER: ("walker", True), READER: ("visitor", False)}
        self.organisations = ("my-lab",)
        """Namespaces beside their own that users who may write can write to."""
        self.requests: list[tuple[str, str]] = []
        self.uploads: list[str] = []
        """SHA-256 of every large file whose content was received, as often as it was."""
        self.stopping = threading.Event()

    def environment(self, home: Path, token: str = WRITER) -> dict[str, str]:
        """Variables for a process whose Hub is this one."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(home),
            "HF_TOKEN": token,
        }

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of the stand-in's."""


@contextmanager
def serve_hub(folder: Path, **options: Any) -> Iterator[HubServer]:
    """Run a stand-in in a thread of this process."""
    server = HubServer(folder, **options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are kept in `server.requests`."""

    def _serve(self) -> None:
        self.server.requests.append((self.command, self.path))
        fault = self.server.faults.take(self.command, self.path)
        if fault is not None and fault.kind != "cut_after":
            self._fail(fault)
            return
        try:
            reply = self._answer()
        except Refused as refused:
            body = json.dumps({"error": refused.message}).encode()
            reply = api.Reply(refused.status, body, {"X-Error-Message": refused.message})
            if refused.code:
                reply.headers["X-Error-Code"] = refused.code
        if fault is not None:
            self._fail(fault)
            return
        self._send(reply)

    def _fail(self, fault: Fault) -> None:
        self.close_connection = True
        if fault.kind == "hang":
            self.server.stopping.wait(60)
        elif fault.kind == "status":
            self._drain()
            self._send(api.Reply(fault.status, b'{"error": "on purpose"}', dict(fault.headers)))
        # Otherwise the connection closes without an answer.

    def _drain(self) -> None:
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0 and (chunk := self.rfile.read(min(left, 1 << 20))):
            left -= len(chunk)

    def _answer(self) -> api.Reply:
        parts = urlsplit(self.path)
        call = api.Call(
            server=self.server,
            method=self.command,
            path=unquote(parts.path),
            raw_path=parts.path,
            query={name: values[-1] for name, values in parse_qs(parts.query).items()},
            headers=self.headers,
            user=self._user(),
        )
        if self.command == "PUT":
            return self._receive(call)
        call.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return api.answer(call)

    def _user(self) -> tuple[str, bool] | None:
        token = re.sub(r"^Bearer ", "", self.headers.get("authorization", ""))
        if not token:
            return None
        if token not in self.server.users:
            self._drain()
            raise Refused(401, "Invalid credentials in Authorization header")
        return self.server.users[token]

    def _receive(self, call: api.Call) -> api.Reply:
        """Take the content of a large file, or of a part of one, without holding it in memory."""
        name = call.path.removeprefix("/_upload/").replace("/", ".")
        temporary = self.server.store.content(f"{name}.{threading.get_ident()}.part")
        received = 0
        with temporary.open("wb") as stream:
            for chunk in self._chunks():
                received += len(chunk)
                stream.write(chunk)
        return api.receive(call, temporary, name, received)

    def _chunks(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0:
            chunk = self.rfile.read(min(left, 1 << 20))
            if not chunk:
                raise ConnectionError("the client went away")
            left -= len(chunk)
            yield chunk

    def _send(self, reply: api.Reply) -> None:
        self.send_response(reply.status)
        length = len(reply.body) if reply.file is None else reply.length
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        if reply.file is None:
            self.wfile.write(reply.body)
            return
        with reply.file.open("rb") as stream:
            stream.seek(reply.start)
            if length == reply.file.stat().st_size:
                shutil.copyfileobj(stream, self.wfile, 1 << 20)
            else:
                while length > 0 and (chunk := stream.read(min(length, 1 << 20))):
                    self.wfile.write(chunk)
                    length -= len(chunk)
