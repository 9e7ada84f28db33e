"""A server whose replies are kept: a request that was answered once is never sent, or paid, again."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol

from pydantic import Field

from videopath_hf.files import content_hash
from videopath_hf.llm.budget import Budget
from videopath_hf.llm.client import ChatClient
from videopath_hf.llm.completion import ChatReply
from videopath_hf.llm.log import AppendLog
from videopath_hf.llm.settings import ServerSettings
from videopath_hf.records import Record


class LoggedReply(Record):
    """A line of the log: what came back for one request, whether it could be used or not.

    `key` is the hash of address and request; `about` says what it was asked for; `fault` why there are no words;
    `model` is the one that was asked, `served_by` the one that answered, as the server names it; `date` when, in UTC.
    """

    key: str
    model: str
    about: dict[str, str] = Field(default_factory=dict)
    text: str
    fault: str | None = None
    finish: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    served_by: str | None = None
    date: str | None = None


class Usage(NamedTuple):
    """Replies, their tokens as the server counted them, and what they cost where prices are set."""

    replies: int
    tokens_in: int
    tokens_out: int
    cost: float | None


def usage_of(replies: Iterable[LoggedReply], settings: ServerSettings) -> Usage:
    """What replies took."""
    kept = list(replies)
    tokens_in = sum(reply.tokens_in or 0 for reply in kept)
    tokens_out = sum(reply.tokens_out or 0 for reply in kept)
    return Usage(len(kept), tokens_in, tokens_out, settings.price(tokens_in, tokens_out))


def request_key(settings: ServerSettings, request: dict[str, Any], repeat: int = 0) -> str:
    """What a request's reply is kept under; that of a question asked again on purpose under another key."""
    return content_hash(settings.address(), request, *([repeat] if repeat else []))


class Client(Protocol):
    """Who answers requests: a `ChatClient`, or a model in this process."""

    sent: int

    async def complete(self, request: dict[str, Any]) -> ChatReply:
        """The reply to one request; see `ChatClient.complete`."""
        ...

    async def __aenter__(self) -> Any: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class LoggedChat:
    """Asks a server and keeps every reply, in a file if one is given.

    Args:
        settings (`ServerSettings`): which server.
        log (`Path`, *optional*): the file.
        known (`dict`, *optional*): replies by key, read and added to; to share replies without a file.
        client (`Client`, *optional*): who is asked instead of the server.
    """

    def __init__(
        self,
        settings: ServerSettings,
        log: Path | None = None,
        known: dict[str, LoggedReply] | None = None,
        client: Client | None = None,
    ) -> None:
        self.settings = settings
        self._log = AppendLog(log, LoggedReply) if log else None
        self._known = {} if known is None else known
        if self._log is not None:
            self._known.update({entry.key: entry for entry in self._log.entries})
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.budget = Budget(settings, sum(self.cost(entry) for entry in self._known.values()))
        self._client: Client = client or ChatClient(settings, self.budget)

    @property
    def sent(self) -> int:
        """Requests sent so far, every try counted."""
        return self._client.sent

    def cost(self, entry: LoggedReply) -> float:
        """What a kept reply cost, as far as the server counted its tokens and prices are set."""
        return self.settings.price(entry.tokens_in or 0, entry.tokens_out or 0) or 0.0

    async def ask(self, request: dict[str, Any], about: Mapping[str, str], repeat: int = 0) -> LoggedReply:
        """The reply to a request, from the log or from the server; with `repeat`, one of its own for each number.

        Raises:
            NoReplyError: there is none.
            UserError: there will be none for any request.
        """
        key = request_key(self.settings, request, repeat)
        async with self._locks[key]:  # of two equal requests the second waits and finds the first one's reply
            if key not in self._known:
                reply = await self._client.complete(request)
                entry = LoggedReply(
                    key=key,
                    model=self.settings.model,
                    about=dict(about),
                    text=reply.text,
                    fault=reply.fault,
                    finish=reply.finish,
                    tokens_in=reply.tokens_in,
                    tokens_out=reply.tokens_out,
                    served_by=reply.served_by,
                    date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                )
                if self._log is not None:
                    await self._log.append_soon(entry)
                self._known[key] = entry
            return self._known[key]

    @property
    def replies(self) -> list[LoggedReply]:
        """All replies kept so far, those of earlier runs included."""
        return list(self._known.values())

    async def __aenter__(self) -> "LoggedChat":
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)
        if self._log is not None:
            self._log.__exit__(kind, error, trace)
