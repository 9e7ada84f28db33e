"""Requests to the Hub, patiently: time limits, the waits that it asks for, and an end to waiting."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from videopath_hf.errors import UserError
from videopath_hf.llm.retries import retry_after, wait_before
from videopath_hf.progress import note


class HubError(UserError):
    """The Hub cannot be used as asked; what was stored there stays, and the same command goes on."""


class Patience:
    """Sends requests again while the Hub is unwell, for at most `patience` seconds on end.

    The clients of `huggingface_hub` wait for an answer without limit, and some calls are never sent again.
    """

    def __init__(self, timeout: float, patience: float) -> None:
        self.timeout, self.patience = timeout, patience
        self._failing_since: float | None = None
        self._reached = False
        self._lock = threading.Lock()

    def client(self, make: Callable[[], Any]) -> Any:
        """An HTTP client made by `make`, with this patience."""
        client = make()
        client.timeout = self.timeout
        send = client.send
        client.send = lambda request, **options: self._send(send, request, options)
        return client

    def wait(self, attempt: int, asked: float | None, trouble: str) -> None:
        """Wait before the next try; raises `HubError` where that would be too long."""
        with self._lock:
            now = time.monotonic()
            self._failing_since = self._failing_since or now
            seconds = wait_before(attempt, asked)
            if now + seconds - self._failing_since > self.patience:
                raise HubError(
                    f"{trouble}, and patience={self.patience:g} seconds are used up; nothing that the Hub has stored "
                    "is lost: run the same command again later"
                )
        if seconds > 2:
            note(f"{trouble}; trying again in {seconds:.0f} s")
        time.sleep(seconds)

    def _send(self, send: Callable[..., Any], request: Any, options: dict[str, Any]) -> Any:
        from huggingface_hub.errors import HfHubHTTPError

        transport_error: Any = next(base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError")
        attempt = 0
        while True:
            try:
                response = send(request, **options)
            except transport_error as error:
                reason, asked = _connection_fault(error), None
                if not self._reached and reason == "cannot be reached":
                    raise HubError(f"{_host(request)} {reason}; check the network and HF_ENDPOINT") from None
                if not _sent_again(request):
                    self._check(f"{_host(request)} {reason}")
                    raise
            else:
                if response.status_code not in (408, 429) and response.status_code < 500:
                    self._reached, self._failing_since = True, None
                    return response
                reason, asked = f"answers {response.status_code}", _asked_to_wait(response.headers)
                if not _sent_again(request):
                    self._check(f"{_host(request)} {reason}")
                    return response
                response.close()
            self.wait(attempt, asked, f"{_host(request)} {reason}")
            attempt += 1

    def _check(self, trouble: str) -> None:
        """For a request whose body is a file: the client reads it anew and sends it again by itself."""
        with self._lock:
            now = time.monotonic()
            self._failing_since = self._failing_since or now
            if now - self._failing_since > self.patience:
                raise HubError(
                    f"{trouble} while a file is sent, and patience={self.patience:g} seconds are used "
                    "up; run the same command again later"
                )


def _sent_again(request: Any) -> bool:
    try:
        return request.content is not None
    except RuntimeError:  # a stream, which is consumed
        return False


def _host(request: Any) -> str:
    return f"{request.url.scheme}://{request.url.netloc.decode()}"


def _connection_fault(error: BaseException) -> str:
    name = type(error).__name__
    if "Timeout" in name:
        return "does not answer in time"
    return "cannot be reached" if name == "ConnectError" else "breaks off the connection"


def _asked_to_wait(headers: Mapping[str, str]) -> float | None:
    # https://huggingface.co/docs/hub/rate-limits: `ratelimit: "api";r=0;t=55`
    if match := re.search(r"\br=0;\s*t=(\d+)", headers.get("ratelimit", "")):
        return float(match[1])
    return retry_after(headers)


def transient_fault(error: Exception) -> str | None:
    """Why sending files failed, if it may work the next time."""
    from huggingface_hub.errors import HfHubHTTPError

    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ is not None else error
    if isinstance(cause, HfHubHTTPError):
        status = cause.response.status_code
        return f"answers {status}" if status in (408, 429) or status >= 500 else None
    return _connection_fault(cause) if any(base.__name__ == "TransportError" for base in type(cause).__mro__) else None
