"""Files go to the browser that they belong to, whole or in ranges; other browsers and other addresses get 404."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="the app's extra is not installed: make test-app installs it")

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.serving.app.conftest import MakeDesk, bring
from videopath_hf.serving.app.desk import Desk
from videopath_hf.serving.app.routes import COOKIE, Gate, make_routes
from videopath_hf.serving.app.visits import Visit

pytestmark = pytest.mark.usefixtures("in_process")
Serve = Callable[..., tuple[Desk, TestClient]]


@pytest.fixture
def serve(make_desk: MakeDesk) -> Serve:
    """A desk and a browser that has opened its page."""

    def make(base_url: str = "http://testserver", **limits: Any) -> tuple[Desk, TestClient]:
        desk = make_desk(**limits)
        others = [Route(path, lambda _: HTMLResponse("gradio")) for path in ("/", "/gradio_api/upload", "/config")]
        others.append(Route("/gradio_api/file={path:path}", lambda _: HTMLResponse("a secret")))
        app = Starlette(routes=[*make_routes(desk), *others], middleware=[Middleware(Gate)])
        return desk, TestClient(app, base_url=base_url)

    return make


def browse(client: TestClient) -> str:
    """Open the page, as a browser does, and give its cookie."""
    client.get("/")
    found = client.cookies.get(COOKIE)
    assert found is not None and len(found) > 40
    return found


def test_the_first_page_brings_a_cookie_that_scripts_cannot_read(serve: Serve) -> None:
    _, client = serve()
    header = client.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in header and "SameSite=Lax" in header and "Secure" not in header
    assert "Set-Cookie" not in client.get("/").headers
    assert "Set-Cookie" not in client.get("/config").headers
    _, secure = serve(base_url="https://testserver")
    assert "Secure; SameSite=None; Partitioned" in secure.get("/").headers["Set-Cookie"]
    assert "Secure" in TestClient(secure.app).get("/", headers={"X-Forwarded-Proto": "https"}).headers["Set-Cookie"]


def test_nothing_comes_from_elsewhere(serve: Serve) -> None:
    _, client = serve()
    headers = client.get("/").headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self' data: blob:" in policy and "http" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/upload",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/proxy=http://example.org",
        "/gradio_api/run/ask",
        "/gradio_api/call/ask",
        "/gradio_api/cancel",
        "/monitoring",
        "/docs",
        "/config2",
        "//gradio_api/upload",
    ],
)
def test_routes_that_the_page_does_not_need_are_shut(serve: Serve, path: str) -> None:
    _, client = serve()
    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404


def test_a_file_comes_in_and_goes_out(serve: Serve, make_clip: Callable[..., Path]) -> None:
    desk, client = serve()
    visit = desk.visits.open("page", browse(client))
    content = make_clip(20).read_bytes()
    done = client.put(f"/videopath/upload/{visit.id}", content=content, headers={"X-File-Name": "%E2%82%AC.mp4"})
    assert (done.status_code, done.json()) == (200, {})
    desk.intake.accept(visit)
    assert visit.case is not None and visit.case.name == "€.mp4"
    address = f"/videopath/file/{visit.id}/{visit.case.id}/video"
    whole = client.get(address)
    assert whole.content == content
    assert whole.headers["Content-Type"] == "video/mp4"
    assert whole.headers["Cache-Control"] == "private, no-cache"
    part = client.get(address, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, content[10:20])


def with_case(serve: Serve, make_clip: Callable[..., Path]) -> tuple[Desk, TestClient, Visit]:
    desk, client = serve()
    visit = bring(desk, make_clip(20), user=browse(client))
    return desk, client, visit


def test_another_browser_gets_nothing(serve: Serve, make_clip: Callable[..., Path]) -> None:
    desk, client, visit = with_case(serve, make_clip)
    assert visit.case is not None
    list(desk.ask(visit, "What is it?"))
    addresses = [f"/videopath/file/{visit.id}/{visit.case.id}/video", f"/videopath/report/{visit.id}"]
    assert [client.get(address).status_code for address in addresses] == [200, 200]
    other = TestClient(client.app)
    for _ in range(2):  # without a cookie, and with one of its own
        for address in addresses:
            answer = other.get(address)
            assert answer.status_code == 404
            assert answer.json()["error"].startswith("this page's session is over")
        refused = other.put(f"/videopath/upload/{visit.id}", content=b"theirs")
        assert refused.status_code == 400
        assert visit.incoming is None
        browse(other)


@pytest.mark.parametrize("name", ["incoming", "..%2F..%2Fetc%2Fpasswd", "../video", "%2Fetc%2Fpasswd", "video%00"])
def test_no_other_file_goes_out(serve: Serve, make_clip: Callable[..., Path], name: str) -> None:
    _, client, visit = with_case(serve, make_clip)
    assert visit.case is not None
    assert client.get(f"/videopath/file/{visit.id}/{visit.case.id}/{name}").status_code == 404
    assert client.get(f"/videopath/file/{visit.id}/other/video").status_code == 404


def test_pictures_go_out_as_pictures(serve: Serve, make_clip: Callable[..., Path]) -> None:
    _, client, visit = with_case(serve, make_clip)
    assert visit.case is not None
    picture = client.get(f"/videopath/file/{visit.id}/{visit.case.id}/frame_000.jpg")
    assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/jpeg")


def test_a_file_that_is_too_large_is_refused_by_its_length(serve: Serve) -> None:
    desk, client = serve(file_mb=0.01)
    visit = desk.visits.open("page", browse(client))
    refused = client.put(f"/videopath/upload/{visit.id}", content=b"x" * 10_001)
    assert refused.status_code == 400
    assert "more than the 0.01 MB accepted" in refused.json()["error"]
    assert visit.incoming is None


def test_a_file_of_unknown_length_is_refused(serve: Serve) -> None:
    desk, client = serve()
    visit = desk.visits.open("page", browse(client))
    folders = set(desk.storage.root.iterdir())
    refused = client.put(f"/videopath/upload/{visit.id}", content=iter([b"x" * 100] * 3))
    assert "did not say how long" in refused.json()["error"]
    assert set(desk.storage.root.iterdir()) == folders


def sent(client: TestClient, visit: Visit, length: int, receive: Callable[[], Awaitable[dict[str, Any]]]) -> str:
    """What is said about a file of which the browser promises so many bytes, and whose pieces come one by one."""
    said: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        said.append(message)

    cookie = f"{COOKIE}={client.cookies[COOKIE]}".encode()
    scope = {
        "type": "http",
        "method": "PUT",
        "path": f"/videopath/upload/{visit.id}",
        "query_string": b"",
        "headers": [(b"content-length", str(length).encode()), (b"cookie", cookie)],
        "scheme": "http",
    }
    asyncio.run(client.app(scope, receive, send))  # type: ignore[arg-type]
    assert said[0]["status"] == 400
    return str(json.loads(said[1]["body"])["error"])


def test_a_file_longer_than_it_said_is_refused_and_deleted(serve: Serve) -> None:
    desk, client = serve()
    visit = desk.visits.open("page", browse(client))
    folders = set(desk.storage.root.iterdir())

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x" * 60, "more_body": True}

    assert "longer than the browser said" in sent(client, visit, 100, receive)
    assert set(desk.storage.root.iterdir()) == folders


def test_a_file_that_comes_too_slowly_is_refused_and_its_room_is_free_again(serve: Serve) -> None:
    desk, client = serve(upload_seconds=0.3, stored_mb=0.001)
    visit = desk.visits.open("page", browse(client))
    folders = set(desk.storage.root.iterdir())

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.1)
        return {"type": "http.request", "body": b"x", "more_body": True}

    assert "did not come in within 0.3 s" in sent(client, visit, 1000, receive)
    assert set(desk.storage.root.iterdir()) == folders
    with desk.intake.receive(1000):
        pass


def test_the_report_is_a_download(serve: Serve, make_clip: Callable[..., Path]) -> None:
    desk, client, visit = with_case(serve, make_clip)
    assert client.get(f"/videopath/report/{visit.id}").json()["error"].startswith("there is nothing to report yet")
    list(desk.ask(visit, "What is it?"))
    report = client.get(f"/videopath/report/{visit.id}")
    assert report.headers["Content-Disposition"] == 'attachment; filename="case-report.html"'
    assert report.text.startswith("<!doctype html>")
