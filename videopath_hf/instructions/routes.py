"""What the two routes of writing share: a clip goes in, a written clip or the reason for none comes out."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import Field

from videopath_hf.instructions.answers import normalise_diagnosis
from videopath_hf.instructions.material import Words
from videopath_hf.instructions.prompts import PromptFile
from videopath_hf.llm.structured import Chat
from videopath_hf.records import ClipRecord, Evidence, Grounding, Record

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(])")


class Statement(Record):
    """A sentence of a written description: from which magnification, resting on the words of which seconds, and the
    passage of them that the check quotes; `removed` says why it is not in the answer.

    `start` and `end` are those that were cited; of a checked statement, those of the words that were quoted, and
    `misdated` says whether it had cited others.
    """

    text: str
    magnification: str | None = None
    source: Literal["transcript", "text"] | None = None
    start: float | None = None
    end: float | None = None
    quote: str | None = None
    misdated: bool = False
    removed: str | None = None


class WrittenClip(Record):
    """What a language model wrote about a clip, kept and removed, and how it marked itself.

    `quality` holds the marks of the rounds of `clippath`; `diagnosis` is the one written and supported, if any.
    """

    clip_id: str
    writer: str
    prompt_hash: str
    statements: list[Statement]
    reasoning: str = ""
    diagnosis: Evidence | None = None
    quality: list[float] = Field(default_factory=list)

    @property
    def kept(self) -> list[str]:
        """The sentences of the description."""
        return [statement.text for statement in self.statements if statement.removed is None]

    @property
    def grounding(self) -> list[Grounding]:
        """The words that the sentences of the description rest on, of those that were checked against them."""
        return [
            Grounding(
                text=item.text,
                source=item.source,
                start=item.start,
                end=item.end,
                magnification=item.magnification,
                quote=item.quote,
            )
            for item in self.statements
            if item.removed is None and item.source is not None and item.start is not None and item.end is not None
        ]


class Dropped(Exception):
    """A clip was written about and nothing of it may be kept; the figures say how far it fell short."""

    def __init__(self, reason: str, figures: dict[str, float], written: WrittenClip) -> None:
        super().__init__(reason)
        self.figures = figures
        self.written = written


class Route(Protocol):
    """A way of writing about clips."""

    prompts: PromptFile
    writer: str
    prompt_hash: str
    stand_ins: dict[str, dict[str, Any]]
    """By turn, a reply that leads to the most requests: for estimates."""

    async def write(self, chat: Chat, curated: Path, clip: ClipRecord, words: list[Words]) -> WrittenClip:
        """Write about one clip; raises `Dropped`, `UnusableReplyError`, `NoReplyError` or `UserError`."""
        ...


def sentences_of(text: str) -> list[str]:
    """The sentences of a paragraph."""
    return [sentence for sentence in _SENTENCE_END.split(" ".join(text.split())) if sentence]


def names_one(text: str, diagnoses: Iterable[str]) -> bool:
    """Whether a text names one of these diagnoses, which are in their normalised form."""
    words = f" {normalise_diagnosis('x ' + text)} "
    return any(f" {diagnosis} " in words for diagnosis in diagnoses)
