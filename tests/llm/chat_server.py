"""An OpenAI-compatible server that really speaks HTTP and misbehaves as it is told to."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Reply(NamedTuple):
    """What the server sends; `body` None cuts the connection, a tuple is sent piece by piece with `pause` between
    them, and `cut` ends the connection before the end of the body."""

    status: int
    body: str | tuple[str, ...] | None
    headers: dict[str, str] = {}  # noqa: RUF012
    delay: float = 0.0
    pause: float = 0.0
    cut: bool = False


def mark(score: Any, reason: str = "Close to the reference.", **values: Any) -> Reply:
    """A proper completion with a score."""
    return said(json.dumps({"reason": reason, "score": score}), **values)


def said(content: str | None, finish: str = "stop", model: str = "judge") -> Reply:
    """A completion with these words, by a model of this name."""
    completion = {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content}}],
        "usage": {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100},
    }
    return Reply(200, json.dumps(completion), {"Content-Type": "application/json"})


def streamed(content: str, pieces: int = 5, **values: Any) -> Reply:
    """A completion as server-sent events, in several pieces that do not end with the events."""
    step = max(1, len(content) // pieces)
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": content[start : start + step]}, "finish_reason": None}]}
        for start in range(0, len(content), step)
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({"choices": [], "usage": {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}})
    text = "".join(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    body = tuple(text[start : start + 100] for start in range(0, len(text), 100))
    return Reply(200, body, {"Content-Type": "text/event-stream"}, **values)


class ChatServer:
    """Counts requests and answers them by `behave(request, number of this very request so far)`; `paid` holds the
    requests that were answered with success, in full."""

    def __init__(self, behave: Callable[[dict[str, Any], int], Reply]) -> None:
        self.behave = behave
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paid: list[dict[str, Any]] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self.url = ""

    def handle(self, request: dict[str, Any], headers: dict[str, str]) -> Reply:
        with self._lock:
            seen = sum(1 for earlier in self.requests if earlier == request)
            self.requests.append(request)
            self.headers.append(headers)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            reply = self.behave(request, seen)
            time.sleep(reply.delay)
            return reply
        finally:
            with self._lock:
                self._at_once -= 1


@contextmanager
def serve(behave: Callable[[dict[str, Any], int], Reply]) -> Iterator[ChatServer]:
    """Run a server for the time of the block."""
    server = ChatServer(behave)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = server.handle(request, {name.lower(): value for name, value in self.headers.items()})
            if reply.body is None:
                self.close_connection = True
                self.connection.close()
                return
            if reply.status == 200 and not reply.cut:
                server.paid.append(request)
            pieces = [piece.encode() for piece in ((reply.body,) if isinstance(reply.body, str) else reply.body)]
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(sum(map(len, pieces))), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            for piece in pieces[: len(pieces) // 2] if reply.cut else pieces:
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(reply.pause)
            if reply.cut:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up, as one that is killed does, is no fault of the server's."""

    http = Server(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
