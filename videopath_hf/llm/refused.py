"""Servers that refuse a field of every request, and which setting leaves it out."""

import re
from collections.abc import Container

_REFUSES = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unknown|unexpected|not permitted|not allowed|must be one of|only the",
    re.IGNORECASE,
)
_FIELDS = {
    "temperature": (
        re.compile("temperature"),
        "set `request.temperature` to null; the model then samples as it likes and repeats itself less exactly",
    ),
    "max_tokens": (
        re.compile("max_tokens"),
        "set `request.max_tokens` to null and `request.max_completion_tokens` to the longest reply",
    ),
    "response_format": (
        re.compile(r"response[_ ]format|json_schema|json_object"),
        "set `structured` to json_object, or to none; replies are validated in any case",
    ),
}


def refused_field(message: str, request: Container[str]) -> str | None:
    """What to do about a field that a server says it does not take, if that is what an error's message says.

    Args:
        message (`str`): of the error, whatever its status: some servers send 500 for it.
        request (`Container[str]`): the fields that were sent.
    """
    if not _REFUSES.search(message):
        return None
    for field, (named, remedy) in _FIELDS.items():
        if named.search(message) and field in request:
            return f"it refuses the field {field!r} of every request: {remedy}"
    return None
