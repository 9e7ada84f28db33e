"""What a task of lmms-eval asks, and where it wants an answer to end."""

from collections.abc import Sequence
from typing import Any

from videopath_hf.errors import UserError


def read_messages(messages: Sequence[dict[str, Any]]) -> tuple[list[Any], str]:
    """The media of a user's only turn, in order, and its words.

    Raises:
        UserError: there is another turn, or a medium is neither an image nor a video, or there is none.
    """
    if [message["role"] for message in messages] != ["user"]:
        raise UserError("model videopath answers one turn of a user; the task gives other messages")
    media, words = [], []
    for block in messages[0]["content"]:
        if block["type"] == "text":
            words.append(block["text"])
        elif block["type"] in ("image", "video"):
            media.append(block["url"])
        else:
            raise UserError(f"model videopath sees images and videos; the task shows {block['type']}")
    if not media:
        raise UserError("model videopath answers questions about images and videos; the task shows none")
    return media, "\n".join(words)


def cut(text: str, until: Sequence[str]) -> str:
    """A text up to the first of some strings."""
    ends = [text.find(stop) for stop in until if stop and stop in text]
    return text[: min(ends)].strip() if ends else text
