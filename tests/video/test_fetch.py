import base64
import io
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from videopath_hf.video.container import VideoError
from videopath_hf.video.fetch import MAX_BYTES, download, local_video

CONTENT = bytes(range(256)) * 40  # 10,240 bytes


class Handler(BaseHTTPRequestHandler):
    """Answers rightly at /good and in a different wrong way at every other path."""

    def do_GET(self) -> None:
        kind = self.path.strip("/")
        if kind.startswith("to-"):
            self.send_response(302)
            self.send_header(
                "Location", {"to-good": "/good", "to-itself": "/to-itself"}.get(kind, "file:///etc/hosts")
            )
            self.end_headers()
            return
        self.send_response(200)
        lengths = {"good": len(CONTENT), "huge": 10**12, "short": len(CONTENT) + 5, "drip": len(CONTENT)}
        if kind in lengths:
            self.send_header("Content-Length", str(lengths[kind]))
        self.end_headers()
        try:
            if kind in ("drip", "endless"):
                for _ in range(400):
                    self.wfile.write(b"x" if kind == "drip" else CONTENT)
                    self.wfile.flush()
                    time.sleep(0.05 if kind == "drip" else 0)
            else:
                self.wfile.write(CONTENT)
        except OSError:
            self.server.hung_up.set()  # type: ignore[attr-defined]

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        web.hung_up = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield web
        web.shutdown()
        thread.join()


@pytest.fixture
def web(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def refusal(address: str, file: io.BytesIO | None = None, **limits: Any) -> str:
    with pytest.raises(VideoError) as caught:
        download(address, file or io.BytesIO(), **limits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("path", ["good", "to-good", "without-length"])
def test_content_comes_whole_through_redirects_and_without_a_length(web: str, path: str) -> None:
    file = io.BytesIO()
    download(f"{web}/{path}", file, max_bytes=len(CONTENT))
    assert file.getvalue() == CONTENT


def test_a_download_announced_as_too_large_is_refused_before_its_first_byte(web: str) -> None:
    file = io.BytesIO()
    assert f"holds 1,000,000,000,000 bytes, more than the {MAX_BYTES:,} bytes accepted" in refusal(f"{web}/huge", file)
    assert not file.getvalue()


def test_a_download_that_does_not_say_its_size_stops_at_the_limit(web: str, server: ThreadingHTTPServer) -> None:
    file = io.BytesIO()
    message = refusal(f"{web}/endless", file, what="image", max_bytes=100_000)
    assert message.startswith(f"image {web}/endless sends more than the 100,000 bytes accepted")
    assert len(file.getvalue()) <= 100_000
    assert server.hung_up.wait(5)  # type: ignore[attr-defined]


def test_a_server_that_drips_is_given_up_after_the_whole_time(web: str) -> None:
    start = time.monotonic()
    assert "bytes came in 0.5 s, which is all the time it may take" in refusal(f"{web}/drip", max_seconds=0.5)
    assert time.monotonic() - start < 2


def test_a_download_that_breaks_off_is_an_error(web: str) -> None:
    assert "cannot be fetched: it breaks off after 10,240 of 10,245 bytes" in refusal(f"{web}/short")


def test_a_redirect_leads_to_web_addresses_only_and_not_for_ever(web: str) -> None:
    assert "redirects to file:///etc/hosts, not to http or https" in refusal(f"{web}/to-file")
    assert "redirects more than 10 times" in refusal(f"{web}/to-itself")


def test_data_in_the_address_has_the_same_limit() -> None:
    address = "data:video/mp4;base64," + base64.b64encode(CONTENT).decode()
    file = io.BytesIO()
    download(address, file, max_bytes=len(CONTENT))
    assert file.getvalue() == CONTENT
    assert "more than the 10,000 bytes accepted" in refusal(address, max_bytes=10_000)
    assert "is not valid base64" in refusal("data:video/mp4;base64,words!")


def test_what_was_fetched_is_gone_afterwards_and_a_file_is_its_own(web: str, tmp_path: Path) -> None:
    with local_video(f"{web}/good") as path:
        assert path.read_bytes() == CONTENT
    assert not path.parent.exists()
    with local_video(tmp_path / "own.mp4") as own:
        assert own == tmp_path / "own.mp4"
