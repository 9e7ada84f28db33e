"""Chat completions from any OpenAI-compatible address: bounded retries, few requests at once, clear failures.

Plain JSON over aiohttp, which `datasets` brings along. Tried and left: huggingface_hub's InferenceClient (2.4 rewrites
a `json_schema` response format into one that only TGI knows, refuses every address under HF_HUB_OFFLINE, and without
a key sends the user's Hub token to the address); openai (3.54 takes ten times the processor time for a request, so
that 64 requests under way at 200 ms each keep more than one core busy; see benchmarks/instruct.py).
"""

import asyncio
import json
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from videopath_hf.errors import UserError
from videopath_hf.llm.budget import Budget
from videopath_hf.llm.completion import (
    ChatReply,
    CutStreamError,
    NotACompletionError,
    error_of,
    one_line,
    parse_completion,
)
from videopath_hf.llm.refused import refused_field
from videopath_hf.llm.retries import is_retried, retry_after, wait_before
from videopath_hf.llm.settings import ServerSettings

if TYPE_CHECKING:
    import aiohttp


class NoReplyError(Exception):
    """One request got no reply that could be used, after all its tries; the message says why."""


class _TryAgainError(Exception):
    def __init__(self, reason: str, asked: float | None = None) -> None:
        super().__init__(reason)
        self.asked = asked


class _UnreachableError(_TryAgainError):
    """No connection could be made."""


class ChatClient:
    """Sends chat requests to one address.

    Args:
        settings (`ServerSettings`): which, and how.
        budget (`Budget`, *optional*): every try is accounted for there.
    """

    def __init__(self, settings: ServerSettings, budget: Budget | None = None) -> None:
        self.settings = settings
        self.budget = budget or Budget(settings)
        self._url = f"{settings.base_url.rstrip('/')}/chat/completions"
        self._places = asyncio.Semaphore(settings.begun)
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._session: aiohttp.ClientSession | None = None
        self._reached = False
        self._failures = 0
        self._quiet_until = 0.0  # on the monotonic clock
        self._stopped: UserError | None = None
        self.sent = 0

    async def complete(self, request: dict[str, Any]) -> ChatReply:
        """Send one request (the fields of `chat/completions`).

        Raises:
            NoReplyError: this request failed.
            UserError: every request would: the key is refused, the model is not known, nothing answers there, the
                budget is used up, or `max_failures` requests in a row got no reply.
        """
        body = json.dumps(request).encode()
        async with self._places:
            try:
                reply = await self._try(request, body)
            except UserError as error:
                self._stopped = self._stopped or error
                raise
        self._failures = 0
        return reply

    async def _try(self, request: dict[str, Any], body: bytes) -> ChatReply:
        attempt = 0
        while True:
            try:
                async with self._slots:  # not held while waiting to try again
                    await self._hold_back()
                    if self._stopped is not None:
                        raise self._stopped
                    return await self._send(request, body)
            except _TryAgainError as error:
                if attempt >= self.settings.max_retries or (error.asked or 0.0) > self.settings.max_wait:
                    raise self._failed(error, attempt) from None
                await asyncio.sleep(wait_before(attempt, error.asked))
                attempt += 1

    async def _hold_back(self) -> None:
        """Wait as long as the server asked a request to that was over its limits, for these are the key's."""
        while (left := self._quiet_until - time.monotonic()) > 0:
            await asyncio.sleep(wait_before(0, left))

    def _failed(self, error: _TryAgainError, attempt: int) -> Exception:
        reason = str(error)
        if isinstance(error, _UnreachableError) and not self._reached:
            return UserError(f"no server answers at {self.settings.base_url}: {reason}; check the address")
        if error.asked is not None and error.asked > self.settings.max_wait:
            reason = f"{reason} (it asks to wait {error.asked:.0f} s, max_wait is {self.settings.max_wait:g})"
        elif attempt:
            reason = f"{reason} ({attempt + 1} tries)"
        self._failures += 1
        if self._failures >= self.settings.max_failures:
            return UserError(
                f"{self._failures} requests in a row got no reply from {self.settings.base_url}, the last one because "
                f"{reason}; what was answered is kept: run again to go on"
            )
        return NoReplyError(reason)

    async def _send(self, request: dict[str, Any], body: bytes) -> ChatReply:
        import aiohttp

        if self._session is None:
            raise RuntimeError("ChatClient is used outside of its `async with` block")
        async with self.budget.admit(request) as charge:
            self.sent += 1
            try:
                # Text is read within the timeout, so that neither silence nor a trickle holds a request for longer.
                async with self._session.post(self._url, data=body, allow_redirects=False) as response:
                    text = await response.text(errors="replace")
            except (asyncio.TimeoutError, TimeoutError):
                self._reached = True
                raise _TryAgainError("the server did not answer in time") from None
            except aiohttp.ClientConnectorError as error:
                charge.settle(0.0)
                raise _UnreachableError(one_line(error)) from None
            except aiohttp.InvalidURL:
                raise UserError(f"base_url {self.settings.base_url!r} is not an address") from None
            except aiohttp.ClientError as error:
                self._reached = True
                raise _TryAgainError(f"the connection was lost: {one_line(error) or type(error).__name__}") from None
            self._reached = True
            if response.status != 200:
                charge.settle(0.0)
                self._refuse(request, response.status, text, retry_after(response.headers))
            reply = self._read(text, response.headers.get("Content-Type", ""))
            if reply.tokens_in is not None and reply.tokens_out is not None:
                charge.settle(self.settings.price(reply.tokens_in, reply.tokens_out) or 0.0)
        return reply

    def _read(self, text: str, content_type: str) -> ChatReply:
        try:
            return parse_completion(text, content_type)
        except CutStreamError:
            raise _TryAgainError("the connection was lost: the stream ends in the middle") from None
        except NotACompletionError as error:
            raise NoReplyError(f"the server's answer is not a chat completion: {error}") from None

    def _refuse(self, request: dict[str, Any], status: int, text: str, asked: float | None) -> None:
        settings = self.settings
        code, message = error_of(text)
        if status in (401, 403):
            raise UserError(f"{settings.base_url} refuses the key ({status}); {settings.key_help()}")
        if status == 404:
            raise UserError(
                f"{settings.base_url} does not know the model {settings.model!r} or is not an OpenAI-compatible "
                "address (404)"
            )
        if status == 402 or code == "insufficient_quota":
            raise UserError(f"the account at {settings.base_url} has no credit left ({status}): {message}")
        reason = f"the server answered {status}: {message}".rstrip(": ")
        if remedy := refused_field(message, request):
            raise UserError(f"{settings.base_url}: {reason}; {remedy}")
        if status == 429 and asked is not None and asked <= self.settings.max_wait:
            self._quiet_until = max(self._quiet_until, time.monotonic() + asked)
        if is_retried(status):
            raise _TryAgainError(reason, asked)
        raise NoReplyError(reason)

    async def __aenter__(self) -> "ChatClient":
        import aiohttp

        headers = {"Content-Type": "application/json"}
        if key := self.settings.api_key():
            headers["Authorization"] = f"Bearer {key}"
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=self.settings.timeout),
            connector=aiohttp.TCPConnector(limit=self.settings.concurrency),
            proxy=_proxy(self.settings.base_url),  # not trust_env: it would also send what a .netrc holds
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()


def _proxy(base_url: str) -> str | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name for this address, if any."""
    address = urlsplit(base_url)
    return None if proxy_bypass(address.hostname or "") else getproxies().get(address.scheme)
