"""Fetching for strangers: what is connected to is what was found to be public, whatever names and redirects say."""

import io
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from videopath_hf.video import public
from videopath_hf.video.container import VideoError
from videopath_hf.video.fetch import download
from videopath_hf.video.public import is_public, public_opener


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::127.0.0.1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1"),
        *(
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2001:0:1::1",
        ),
    ],
)
def test_addresses_of_machines_networks_and_their_disguises_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_of_the_internet_are(address: str) -> None:
    assert is_public(address)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if self.path == "/in":
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.2:{self.server.server_port}/secret")  # type: ignore[attr-defined]
        else:
            self.send_response(200)
        self.end_headers()
        self.wfile.write(b"content")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """A server at every address of this machine, of which 127.0.0.1 counts as public and 127.0.0.2 does not."""
    monkeypatch.setattr(public, "is_public", lambda address: address == "127.0.0.1")
    with ThreadingHTTPServer(("0.0.0.0", 0), Handler) as server:
        server.asked = []  # type: ignore[attr-defined]
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()


def fetch(address: str) -> bytes:
    file = io.BytesIO()
    download(address, file, opener=public_opener())
    return file.getvalue()


def test_a_redirect_from_a_public_place_leads_into_no_private_one(web: Any) -> None:
    place = f"http://127.0.0.1:{web.server_port}"
    assert fetch(f"{place}/out") == b"content"
    with pytest.raises(VideoError, match=r"127\.0\.0\.2 is at 127\.0\.0\.2, which is not a public address"):
        fetch(f"{place}/in")
    assert web.asked == ["/out", "/in"]


def test_a_name_is_resolved_once_and_all_its_addresses_must_be_public(
    web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups: list[str] = []
    answers = {"turns.example": [["127.0.0.1"], ["127.0.0.2"]], "both.example": [["127.0.0.1", "127.0.0.2"]]}

    def resolve(host: str, port: int, **options: Any) -> list[Any]:
        lookups.append(host)
        found = answers[host].pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(public.socket, "getaddrinfo", resolve)
    assert fetch(f"http://turns.example:{web.server_port}/first") == b"content"
    assert lookups == ["turns.example"]
    for host in ("turns.example", "both.example"):
        with pytest.raises(VideoError, match=r"is at 127\.0\.0\.2, which is not a public address"):
            fetch(f"http://{host}:{web.server_port}/second")
    assert web.asked == ["/first"]


def test_a_proxy_of_the_environment_is_not_asked(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{web.server_port}")
    with pytest.raises(VideoError, match="which is not a public address"):
        fetch("http://127.0.0.3/a.mp4")
    assert web.asked == []


def test_https_is_held_to_the_same(web: Any) -> None:
    with pytest.raises(VideoError, match=r"127\.0\.0\.2, which is not a public address"):
        fetch(f"https://127.0.0.2:{web.server_port}/a.mp4")


@pytest.mark.parametrize("address", ["file:///etc/hostname", "/etc/hostname", "ftp://example.org/a.mp4"])
def test_only_addresses_of_the_web_are_fetched_at_all(address: str) -> None:
    with pytest.raises(VideoError, match="no address that starts with http://, https:// or data:"):
        fetch(address)
