"""The `clippath` route (arXiv 2505.04192, ClipPath-Instruct): a detailed description with a quality from 0 to 5; where
that is below 3 a concise one; where that is below 3 too, the clip is dropped. The prompts are our own."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from videopath_hf.instructions.material import Words, as_json, user_message
from videopath_hf.instructions.prompts import PromptFile
from videopath_hf.instructions.routes import Dropped, Statement, WrittenClip, names_one, sentences_of
from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.llm.structured import Chat, ask_for
from videopath_hf.records import ClipRecord, Record


class Caption(Record):
    """A reply: a description, and a mark for what it was made from."""

    description: str
    quality: Annotated[float, Field(ge=0, le=5)]


class ClipPathRoute:
    """Writes descriptions in two rounds of quality control.

    Args:
        settings (`InstructSettings`): threshold, prompts, attachments.
        diagnoses (`frozenset[str]`): normalised; sentences that name one are removed.
        writer (`str`): what is written into the records.
    """

    def __init__(self, settings: InstructSettings, diagnoses: frozenset[str], writer: str) -> None:
        self.prompts = PromptFile("clippath", ("system", "detailed", "concise"), settings.prompts)
        self.settings = settings
        self.diagnoses = diagnoses
        self.writer = writer
        self.prompt_hash = ""
        self.stand_ins: dict[str, dict[str, Any]] = {
            turn: {"description": "", "quality": 0} for turn in ("detailed", "concise")
        }

    async def write(self, chat: Chat, curated: Path, clip: ClipRecord, words: list[Words]) -> WrittenClip:
        """Write about one clip; `Dropped` where its quality is too low twice, or nothing is left of it."""
        variables = {"material": as_json(clip, words), "media": self.settings.attach}
        quality: list[float] = []
        for turn in ("detailed", "concise"):
            text = self.prompts.render(turn, variables)
            messages = [
                {"role": "system", "content": self.prompts.render("system", variables)},
                user_message(curated, clip, text, self.settings),
            ]
            caption = await ask_for(chat, messages, Caption, {"clip_id": clip.clip_id, "turn": turn}, self._fault)
            quality.append(caption.quality)
            if caption.quality >= self.settings.min_quality:
                break
        written = self._written(clip, caption, quality)
        figures = {f"quality_round{number}": mark for number, mark in enumerate(quality, start=1)}
        if quality[-1] < self.settings.min_quality:
            raise Dropped(f"quality below {self.settings.min_quality:g} in both rounds", figures, written)
        if not written.kept:
            raise Dropped("every sentence names a diagnosis", figures, written)
        return written

    def _fault(self, caption: Caption) -> str | None:
        if caption.quality >= self.settings.min_quality and not caption.description.strip():
            return f"description is empty although quality is {caption.quality:g}"
        return None

    def _written(self, clip: ClipRecord, caption: Caption, quality: list[float]) -> WrittenClip:
        told = set() if self.settings.keep_diagnosis_sentences else self.diagnoses
        statements = [
            Statement(text=text, removed="names a diagnosis" if names_one(text, told) else None)
            for text in sentences_of(caption.description)
        ]
        return WrittenClip(
            clip_id=clip.clip_id,
            writer=self.writer,
            prompt_hash=self.prompt_hash,
            statements=statements,
            quality=quality,
        )
