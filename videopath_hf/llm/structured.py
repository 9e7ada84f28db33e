"""Replies of a fixed form: a JSON schema is sent along, the reply is validated, and a bad one may be mended once."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from videopath_hf.llm.chat import LoggedReply
from videopath_hf.llm.completion import one_line
from videopath_hf.llm.settings import ServerSettings

ReplyT = TypeVar("ReplyT", bound=BaseModel)
_FENCED = re.compile(r"\A\s*```\w*\s*\n(?P<inner>.*?)\n?```\s*\Z", re.DOTALL)


class Chat(Protocol):
    """Who is asked: a `LoggedChat`, or the `DryChat` of an estimate."""

    settings: ServerSettings

    async def ask(self, request: dict[str, Any], about: Mapping[str, str], repeat: int = 0) -> LoggedReply:
        """The reply to a request; see `LoggedChat.ask`."""
        ...


class UnusableReplyError(Exception):
    """A reply is not of the form that was asked for, mended or not; the message says in what way."""


@cache
def response_format(cls: type[BaseModel], name: str) -> dict[str, Any]:
    """The `response_format` of a request that asks for a `cls`."""
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": cls.model_json_schema()}}


def read_reply(reply: LoggedReply, cls: type[ReplyT], check: Callable[[ReplyT], str | None] | None = None) -> ReplyT:
    """Read a reply, a code fence around it allowed.

    Args:
        reply (`LoggedReply`): what came back.
        cls (`type`): what it must be.
        check (`Callable`, *optional*): says what else is wrong with it, if anything.

    Raises:
        UnusableReplyError: it is not that.
    """
    if reply.fault is not None:
        raise UnusableReplyError(reply.fault)
    text = fenced["inner"] if (fenced := _FENCED.match(reply.text)) else reply.text
    if not text.strip():
        raise UnusableReplyError("the reply is empty")
    try:
        value = cls.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            cut = (
                "the reply was cut off at its longest length" if reply.finish == "length" else "the reply is not JSON"
            )
            raise UnusableReplyError(f"{cut}: {one_line(text)[:80]}") from None
        field = ".".join(str(part) for part in first["loc"]) or "the reply"
        raise UnusableReplyError(f"{field}: {one_line(first['msg'])}") from None
    if check is not None and (fault := check(value)) is not None:
        raise UnusableReplyError(fault)
    return value


async def ask_for(
    chat: Chat,
    messages: list[dict[str, Any]],
    cls: type[ReplyT],
    about: Mapping[str, str],
    check: Callable[[ReplyT], str | None] | None = None,
) -> ReplyT:
    """Ask for a reply of a form, and once more, showing what was wrong, if the first one is not of it.

    Raises:
        UnusableReplyError: the model refuses, or both replies are unusable.
        NoReplyError, UserError: see `LoggedChat.ask`.
    """
    form = response_format(cls, cls.__name__.lower())
    reply = await chat.ask(chat.settings.chat_request(messages, form), about)
    try:
        return read_reply(reply, cls, check)
    except UnusableReplyError as error:
        if reply.fault is not None:
            raise
        fault = str(error)
    mending = [
        *messages,
        {"role": "assistant", "content": reply.text.strip() or "(nothing)"},
        {
            "role": "user",
            "content": f"That cannot be used: {fault}. Reply again with one JSON object of the form asked for, whole "
            "and with nothing around it.",
        },
    ]
    mended = await chat.ask(chat.settings.chat_request(mending, form), {**about, "repair": "1"})
    try:
        return read_reply(mended, cls, check)
    except UnusableReplyError as error:
        raise UnusableReplyError(f"{error} (after one repair turn)") from None
