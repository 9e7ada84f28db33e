"""Records to be scored."""

from typing import Any

from videopath_hf.data.formats.base import simple_messages
from videopath_hf.instructions.answers import parse_answer
from videopath_hf.records import InstructionRecord, Media


def a_record(name: str, answer: str, **extra: Any) -> InstructionRecord:
    """A record about one clip, or with `extra` one image, with that reference answer."""
    media = [Media(type="image" if extra else "video", path="a.jpg" if extra else "a.mp4")]
    parsed = parse_answer(answer)
    return InstructionRecord(
        id=name,
        kind="image" if extra else "video",
        clip_id="a",
        video_id="a",
        media=media,
        messages=simple_messages(media, "What is it?", answer),
        question="What is it?",
        answer=answer,
        description=parsed.description,
        diagnosis=parsed.diagnosis,
        split="test",
        source="test",
        licence="CC0",
        writer="test",
        prompt_hash="",
        extra=extra,
    )
