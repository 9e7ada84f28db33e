"""What is served beside Gradio's page: files come in, and go out to the browser that they belong to and to no other.

Gradio's own upload and file routes know no owners: whoever has an address has the file. They stay shut.
"""

import asyncio
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from videopath_hf.errors import UserError
from videopath_hf.serving.app.desk import Desk
from videopath_hf.serving.app.intake import clean_name
from videopath_hf.serving.app.report import write_report

COOKIE = "videopath_visitor"
_OPEN = (
    "/assets/",
    "/static/",
    "/theme.css",
    "/favicon.ico",
    "/config",
    "/robots.txt",
    "/manifest.json",
    "/gradio_api/info",
    "/gradio_api/queue/join",
    "/gradio_api/queue/data",
    "/gradio_api/heartbeat/",
    "/gradio_api/startup-events",
    "/gradio_api/app_id",
    "/videopath/",
)
"""What of Gradio's routes the page needs, and ours; nothing else answers."""
# Gradio's page runs scripts from its own text, and templates by evaluating them; nothing comes from elsewhere.
_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'"
)


class Gate:
    """Lets through what the page needs, and gives every browser the cookie that its files are known by."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        if path != "/" and not path.startswith(_OPEN):
            await PlainTextResponse("not found", 404)(scope, receive, send)
            return
        new = secrets.token_urlsafe(32) if path == "/" and not visitor(Request(scope)) else None

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
                headers.setdefault("Content-Security-Policy", _POLICY)
                if new is not None:
                    headers.append("Set-Cookie", _cookie(new, _is_secure(scope)))
            await send(message)

        await self.app(scope, receive, send_more)


def visitor(request: Any) -> str:
    """Which browser a request comes from; empty where it keeps no cookies."""
    found: str = request.cookies.get(COOKIE, "")
    return found


def make_routes(desk: Desk) -> list[Route]:
    """Routes of files: one that takes them in, and those that give them out."""

    async def upload(request: Request) -> Response:
        try:
            visit = desk.visits.by_id(request.path_params["visit"], visitor(request))
            with desk.intake.receive(length := _length(request)) as path:
                await asyncio.wait_for(_write(request, path, length), desk.limits.upload_seconds)
            name = clean_name(unquote(request.headers.get("X-File-Name", "")))
            await run_in_threadpool(desk.visits.hold, visit, (path.parent, name))
        except asyncio.TimeoutError:  # an OSError from Python 3.11 on
            limit = f"{desk.limits.upload_seconds:g} s"
            return _refusal(UserError(f"the file did not come in within {limit}; cut it, or try a faster line"))
        except (ClientDisconnect, OSError):
            return _refusal(UserError("the file did not come in whole; try again"))
        except UserError as error:
            return _refusal(error)
        return JSONResponse({})

    def file(request: Request) -> Response:
        given = request.path_params
        try:
            case = desk.visits.by_id(given["visit"], visitor(request)).case
            if case is None or case.id != given["case"]:
                raise UserError("there is no such file")
            path = case.path(given["name"])
        except UserError as error:
            return _refusal(error, 404)
        kind = case.medium.played_type if given["name"] == case.medium.played else "image/jpeg"
        return FileResponse(path, media_type=kind, headers={"Cache-Control": "private, no-cache"})

    def report(request: Request) -> Response:
        try:
            page = write_report(desk, desk.visits.by_id(request.path_params["visit"], visitor(request)))
        except UserError as error:
            return _refusal(error, 404)
        headers = {"Content-Disposition": 'attachment; filename="case-report.html"', "Cache-Control": "no-store"}
        return HTMLResponse(page, headers=headers)

    return [
        Route("/videopath/upload/{visit}", upload, methods=["PUT"]),
        Route("/videopath/file/{visit}/{case}/{name}", file),
        Route("/videopath/report/{visit}", report),
    ]


def _length(request: Request) -> int:
    length = request.headers.get("Content-Length", "")
    if not length.isdecimal():
        raise UserError("the browser did not say how long the file is; try another one")
    return int(length)


async def _write(request: Request, path: Path, length: int) -> None:
    written = 0
    with path.open("wb") as stream:
        async for piece in request.stream():
            written += len(piece)
            if written > length:
                raise UserError("the file is longer than the browser said; try again")
            await run_in_threadpool(stream.write, piece)


def _refusal(error: UserError, status: int = 400) -> Response:
    return JSONResponse({"error": str(error)}, status)


def _is_secure(scope: Scope) -> bool:
    forwarded = Headers(scope=scope).get("X-Forwarded-Proto", "").split(",")[0].strip()
    return (forwarded or scope["scheme"]) == "https"


def _cookie(value: str, secure: bool) -> str:
    # Spaces are shown inside a page of another site, where browsers keep partitioned cookies only.
    scope = "Secure; SameSite=None; Partitioned" if secure else "SameSite=Lax"
    return f"{COOKIE}={value}; Path=/; HttpOnly; {scope}"
