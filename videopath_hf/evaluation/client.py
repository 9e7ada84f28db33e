"""Chat completions from any OpenAI-compatible address: bounded retries, few requests at once, clear failures."""

import asyncio
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from videopath_hf.errors import MissingExtraError, UserError

if TYPE_CHECKING:
    from types import TracebackType

# huggingface_hub's InferenceClient would do but for three things (seen in 2.4): it rewrites a `json_schema` response
# format into one that only TGI knows, it refuses every address under HF_HUB_OFFLINE, and without a key it sends the
# user's Hub token to the address.


def require_client(purpose: str) -> None:
    """Raise `MissingExtraError` unless the client library is installed."""
    if find_spec("openai") is None:
        raise MissingExtraError("openai", "judge", purpose)


class NoReplyError(Exception):
    """One request got no reply that could be used, after all its tries; the message says why."""


class ChatReply(NamedTuple):
    """What came back: the words, and how many tokens the server counted for request and reply."""

    text: str
    tokens: int | None


class ChatClient:
    """Sends chat requests to one address.

    Args:
        base_url (`str`): the address, up to and including `/v1`.
        key_name (`str`): environment variable with the key; servers that want none are asked without it.
        concurrency (`int`): requests under way at once.
        max_retries (`int`): further tries of a request on 408, 409, 429, 5xx, timeouts and lost connections, after
            the time of its Retry-After or else after exponentially longer waits.
        timeout (`float`): longest time for one reply, in seconds.
    """

    def __init__(self, base_url: str, key_name: str, concurrency: int, max_retries: int, timeout: float) -> None:
        from openai import AsyncOpenAI

        self.base_url, self.key_name = base_url, key_name
        key = os.environ.get(key_name) or "none"
        self._client = AsyncOpenAI(base_url=base_url, api_key=key, max_retries=max_retries, timeout=timeout)
        self._slots = asyncio.Semaphore(concurrency)
        self._reached = False

    async def complete(self, request: dict[str, Any]) -> ChatReply:
        """Send one request (the fields of `chat/completions`).

        Raises:
            NoReplyError: this request failed.
            UserError: every request would: the key is refused, the model is not known, or nothing answers there.
        """
        import openai

        async with self._slots:
            try:
                reply = await self._client.chat.completions.create(**request)
            except openai.APIStatusError as error:
                self._reached = True
                self._check_fatal(error.status_code, request["model"])
                raise NoReplyError(f"the server answered {error.status_code}: {_one_line(error.message)}") from None
            except openai.APITimeoutError:
                raise NoReplyError("the server did not answer in time") from None
            except openai.APIConnectionError as error:
                cause = _one_line(error.__cause__ or error)
                if not self._reached:
                    raise UserError(f"no server answers at {self.base_url}: {cause}; check the address") from None
                raise NoReplyError(f"the connection was lost: {cause}") from None
            except (openai.APIError, ValueError) as error:
                raise NoReplyError(f"the server's answer is not a chat completion: {_one_line(error)}") from None
        self._reached = True
        choices = getattr(reply, "choices", None)
        if not choices or choices[0].message is None:
            raise NoReplyError("the server's answer holds no choice")
        usage = getattr(reply, "usage", None)
        return ChatReply(choices[0].message.content or "", usage.total_tokens if usage else None)

    def _check_fatal(self, status: int, model: str) -> None:
        if status in (401, 403):
            raise UserError(f"{self.base_url} refuses the key ({status}); set the right one in ${self.key_name}")
        if status == 404:
            raise UserError(
                f"{self.base_url} does not know the model {model!r} or is not an OpenAI-compatible address (404)"
            )

    async def __aenter__(self) -> "ChatClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        await self._client.close()


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
