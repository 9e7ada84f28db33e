"""Reading what a `chat/completions` address sends back: one JSON object, or a stream of server-sent events."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple


class NotACompletionError(Exception):
    """What came back is no chat completion; the message says how one can tell."""


class CutStreamError(Exception):
    """A stream of events ended before its end."""


class ChatReply(NamedTuple):
    """What came back: the words, or in `fault` why an answer holds none; tokens as the server counted them, and the
    model as it names it."""

    text: str
    fault: str | None
    finish: str | None
    tokens_in: int | None
    tokens_out: int | None
    served_by: str | None = None


def parse_completion(body: str, content_type: str = "") -> ChatReply:
    """Read a reply; servers that stream although nobody asked them to are understood too.

    Raises:
        NotACompletionError: neither a completion nor a stream of its chunks.
        CutStreamError: the stream stops in the middle.
    """
    if "event-stream" in content_type or body.lstrip().startswith(("data:", "event:", ": ")):
        return _reply(_join(_events(body)))
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise NotACompletionError(one_line(body) or "it is empty") from None
    return _reply(data)


def error_of(body: str) -> tuple[str | None, str]:
    """Code and message of an error body, as far as it has them."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None, one_line(body)
    error = data.get("error", data) if isinstance(data, dict) else data
    if isinstance(error, dict):
        code = error.get("code") or error.get("type")
        message = error.get("message") or error.get("detail") or json.dumps(error)
        return (str(code) if code else None), one_line(message)
    return None, one_line(error)


def one_line(value: object) -> str:
    """A value for the end of a message: on one line, at most 200 characters."""
    return " ".join(_whole(str(value)).split())[:200]


def _reply(data: Any) -> ChatReply:
    if not isinstance(data, dict):
        raise NotACompletionError(one_line(data))
    if "choices" not in data:
        raise NotACompletionError(error_of(json.dumps(data))[1])
    usage = data.get("usage") or {}
    counts = [usage.get(name) if isinstance(usage, dict) else None for name in ("prompt_tokens", "completion_tokens")]
    tokens_in, tokens_out = (count if isinstance(count, int) else None for count in counts)
    served_by = one_line(data["model"]) if isinstance(data.get("model"), str) else None
    choices = data["choices"]
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    if not isinstance(message, dict):
        return ChatReply("", "the server's answer holds no choice", None, tokens_in, tokens_out, served_by)
    finish = choice.get("finish_reason")
    text = _text(message.get("content"))
    fault = None
    if refusal := message.get("refusal"):
        fault = f"the model refuses: {one_line(refusal)}"
    elif finish == "content_filter":
        fault = "the server's content filter withheld the reply"
    return ChatReply(text, fault, finish, tokens_in, tokens_out, served_by)


def _text(content: Any) -> str:
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return "" if content is None else _whole(str(content))


def _whole(text: str) -> str:
    """Text that can be written to a file: an escape in JSON may hold half a character."""
    return text.encode("utf-8", "replace").decode()


def _events(body: str) -> Iterator[dict[str, Any]]:
    for line in body.split("\n"):  # not splitlines: words may hold further separators of lines
        name, _, value = line.partition(":")
        value = value.strip()
        if name != "data" or not value:
            continue
        if value == "[DONE]":
            yield {"done": True}
            return
        try:
            event = json.loads(value)
        except (ValueError, RecursionError):
            raise CutStreamError from None
        if not isinstance(event, dict):
            raise NotACompletionError(one_line(event))
        yield event


def _join(events: Iterator[dict[str, Any]]) -> dict[str, Any]:
    words: dict[str, str] = {"content": "", "refusal": ""}
    finish: str | None = None
    usage: Any = None
    model: Any = None
    done = chosen = False
    for event in events:
        done = done or "done" in event
        if "error" in event:
            raise NotACompletionError(error_of(json.dumps(event))[1])
        usage = event.get("usage") or usage
        model = event.get("model") or model
        for choice in event.get("choices") or ():
            chosen = True
            delta = choice.get("delta") or choice.get("message") or {}
            for name in words:
                words[name] += _text(delta.get(name))
            finish = choice.get("finish_reason") or finish
    if not done and finish is None:
        raise CutStreamError
    choices = [{"message": words, "finish_reason": finish}] if chosen else []
    return {"choices": choices, "usage": usage, "model": model}
