"""Chat messages of records: their words, and the media that they show."""

from collections.abc import Callable
from typing import Any

from videopath_hf.records import InstructionRecord, Media


def message_text(content: Any) -> str:
    """The words of a message's content: a text, or the text blocks of a list."""
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)


def with_paths(record: InstructionRecord, place: Callable[[Media], str]) -> InstructionRecord:
    """A record whose media lie elsewhere, in `media` and in its messages alike."""
    moved: dict[tuple[Any, Any], str] = {(item.type, item.path): place(item) for item in record.media}

    def block(item: Any) -> Any:
        path = moved.get((item.get("type"), item.get("path", ""))) if isinstance(item, dict) else None
        return item if path is None else {**item, "path": path}

    messages = [
        message
        if isinstance(message["content"], str)
        else {**message, "content": [block(item) for item in message["content"]]}
        for message in record.messages
    ]
    media = [Media(type=item.type, path=moved[item.type, item.path]) for item in record.media]
    return record.model_copy(update={"media": media, "messages": messages})
