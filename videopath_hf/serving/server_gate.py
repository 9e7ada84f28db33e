"""What every request to the server passes: its size, its key, the notice, and errors in the form OpenAI's have."""

import asyncio
import hmac
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, ExitStack
from contextvars import ContextVar
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.errors import UserError
from videopath_hf.serving.server_requests import Refused

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
T = TypeVar("T")

_RETRY_AFTER = "5"  # seconds


class Visit:
    """One request while it is in the server.

    Args:
        receive (`Callable`): what comes from the client after the body: that it has gone.

    Attributes:
        gone (`threading.Event`): set when nobody waits for the answer any more.
        at_end (`ExitStack`): what is to be done when the request is over, however it ends.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.gone = threading.Event()
        self.at_end = ExitStack()

    async def unless_gone(self, work: Awaitable[T]) -> T:
        """Wait for `work`, which is given up when the client goes."""
        task = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(self._wait_until_gone())
        try:
            await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Refused(499, "client_gone", "the client has gone")
            return task.result()
        finally:
            self.gone.set()
            for unfinished in (task, leaving):
                unfinished.cancel()

    async def _wait_until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


_visit: ContextVar[Visit] = ContextVar("visit")


def current_visit() -> Visit:
    """The request that is being answered."""
    return _visit.get()


class Gate:
    """An ASGI application around another one: takes in whole bodies of limited size, and adds the notice.

    Args:
        app: the application inside.
        max_bytes (`int`): longest body.
        api_key (`str`, *optional*): what a client must send in `Authorization: Bearer`.
    """

    def __init__(self, app: Any, max_bytes: int, api_key: str | None = None) -> None:
        self.app, self.max_bytes, self.api_key = app, max_bytes, api_key

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_notice(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"x-research-notice", RESEARCH_NOTICE.encode())]
            await send(message)

        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            self._check_key(scope, headers)
            body = await self._body(headers, receive)
        except Refused as refusal:
            await error_answer(refusal.status, refusal.code, str(refusal))(scope, receive, send_with_notice)
            return
        await self._pass(scope, body, receive, send_with_notice)

    async def _pass(self, scope: Any, body: bytes, receive: Receive, send: Send) -> None:
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return given.pop() if given else await receive()

        visit = Visit(receive)
        token = _visit.set(visit)
        async with AsyncExitStack() as stack:
            stack.enter_context(visit.at_end)
            stack.callback(_visit.reset, token)
            stack.callback(visit.gone.set)
            await self.app(scope, replay, send)

    def _check_key(self, scope: Any, headers: dict[str, str]) -> None:
        if self.api_key is None or scope["path"] == "/health":
            return
        given = headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self.api_key.encode()):
            raise Refused(401, "invalid_api_key", "this server needs its key, in Authorization: Bearer")

    async def _body(self, headers: dict[str, str], receive: Receive) -> bytes:
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self.max_bytes:
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(499, "client_gone", "the client has gone")
            body += message.get("body", b"")
            if len(body) > self.max_bytes:
                raise self._too_large()
            if not message.get("more_body"):
                return bytes(body)

    def _too_large(self) -> Refused:
        return Refused(
            413,
            "request_too_large",
            f"the request is larger than the {self.max_bytes:,} bytes accepted; send a smaller video, or its address",
        )


def error_answer(status: int, code: str, message: str) -> JSONResponse:
    """An error as clients of OpenAI's API read it."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    headers = {"Retry-After": _RETRY_AFTER} if status == 429 else None
    printable = message.encode(errors="replace").decode()  # a request may hold halves of characters
    body = {"error": {"message": printable, "type": kind, "param": None, "code": code}}
    return JSONResponse(body, status_code=status, headers=headers)


def add_error_answers(app: FastAPI) -> None:
    """Have every failure in `app` answered in the form of [`error_answer`]."""

    @app.exception_handler(UserError)
    async def _user_error(_: Request, error: UserError) -> JSONResponse:
        if isinstance(error, Refused):
            return error_answer(error.status, error.code, str(error))
        return error_answer(400, "invalid_media", str(error))

    @app.exception_handler(HTTPException)
    async def _http_error(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code in (404, 405):
            message = f"{request.method} {request.url.path} is not served here; there are POST /v1/chat/completions, "
            return error_answer(error.status_code, "not_found", f"{message}GET /v1/models and GET /health")
        return error_answer(error.status_code, "invalid_request", str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def _not_json(_: Request, error: RequestValidationError) -> JSONResponse:
        return error_answer(400, "invalid_request", "the body must be a JSON object, sent as application/json")

    @app.exception_handler(Exception)
    async def _failure(_: Request, error: Exception) -> JSONResponse:
        return error_answer(500, "server_error", f"the server failed ({type(error).__name__}); its log says where")
