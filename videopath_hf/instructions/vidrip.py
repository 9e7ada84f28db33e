"""The `vidrip` route (arXiv 2505.04192, ViDRiP-Instruct): findings from low to high magnification and the diagnosis
they lead to, each citing the seconds it rests on; a second pass removes what the words do not support. The prompts are
our own."""

import json
from pathlib import Path
from typing import Any, Literal

from videopath_hf.instructions.answers import normalise_diagnosis
from videopath_hf.instructions.material import Words, as_json, cited, place_of, user_message
from videopath_hf.instructions.prompts import PromptFile
from videopath_hf.instructions.routes import Dropped, Statement, WrittenClip, names_one
from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.llm.structured import Chat, ask_for
from videopath_hf.records import ClipRecord, Evidence, Record

_ORDER = ("overview", "low", "medium", "high")


class Finding(Record):
    """One observable feature; seconds of the source video."""

    magnification: Literal["overview", "low", "medium", "high", "unknown"]
    statement: str
    start: float
    end: float


class Draft(Record):
    """A reply of the first pass."""

    findings: list[Finding]
    reasoning: str
    diagnosis: str | None
    diagnosis_start: float | None
    diagnosis_end: float | None


class Verdict(Record):
    """What the second pass says of one statement."""

    number: int
    supported: bool
    quote: str


class Verdicts(Record):
    """A reply of the second pass."""

    verdicts: list[Verdict]


class VidripRoute:
    """Writes findings, reasoning and diagnosis, and has each checked.

    Args:
        settings (`InstructSettings`): prompts, attachments.
        diagnoses (`frozenset[str]`): normalised; findings that name one are removed.
        writer (`str`): what is written into the records.
    """

    def __init__(self, settings: InstructSettings, diagnoses: frozenset[str], writer: str) -> None:
        self.prompts = PromptFile("vidrip", ("system", "write", "check_system", "check"), settings.prompts)
        self.settings = settings
        self.diagnoses = diagnoses
        self.writer = writer
        self.prompt_hash = ""
        longest = "x " * (settings.server.max_tokens if settings.server else 0)
        finding = {"magnification": "unknown", "statement": longest, "start": 0, "end": 1e9}
        nothing = {"reasoning": "", "diagnosis": None, "diagnosis_start": None, "diagnosis_end": None}
        self.stand_ins: dict[str, dict[str, Any]] = {
            "write": {"findings": [finding], **nothing},
            "check": {"verdicts": [{"number": 1, "supported": False, "quote": ""}]},
        }

    async def write(self, chat: Chat, curated: Path, clip: ClipRecord, words: list[Words]) -> WrittenClip:
        """Write about one clip; `Dropped` where no finding is supported."""
        variables = {"material": as_json(clip, words), "media": self.settings.attach}
        messages = [
            {"role": "system", "content": self.prompts.render("system", variables)},
            user_message(curated, clip, self.prompts.render("write", variables), self.settings),
        ]
        draft = await ask_for(chat, messages, Draft, {"clip_id": clip.clip_id, "turn": "write"}, _fault)
        findings = self._findings(draft, words)
        told = [finding for finding in findings if finding.removed is None]
        diagnosis = self._diagnosis(draft, words)
        extra = [
            *([draft.reasoning.strip()] if draft.reasoning.strip() else []),
            *([f"The diagnosis is {diagnosis.text}."] if diagnosis and diagnosis.removed is None else []),
        ]
        verdicts = await self._check(chat, clip, words, [finding.text for finding in told] + extra) if told else []
        findings, reasoning, diagnosis = self._judged(draft, findings, diagnosis, verdicts, words)
        written = self._written(clip, findings, reasoning, diagnosis)
        if not written.kept:
            raise Dropped("no finding is supported by the words", {"findings": float(len(findings))}, written)
        return written

    def _findings(self, draft: Draft, words: list[Words]) -> list[Statement]:
        """The draft's findings, from low to high magnification; those that fail without a second look are marked."""
        named = set(self.diagnoses) | ({normalise_diagnosis(draft.diagnosis)} if draft.diagnosis else set())
        named = set() if self.settings.keep_diagnosis_sentences else named - {""}
        statements = []
        for finding in _ascending(draft.findings):
            text = " ".join(finding.statement.split())
            removed = None
            if not cited(finding.start, finding.end, words):
                removed = "cites seconds in which nothing was said or shown"
            elif names_one(text, named):
                removed = "names a diagnosis"
            statements.append(
                Statement(
                    text=text if not text or text[-1] in ".!?" else f"{text}.",
                    magnification=finding.magnification,
                    start=finding.start,
                    end=finding.end,
                    removed=removed,
                )
            )
        return statements

    def _diagnosis(self, draft: Draft, words: list[Words]) -> Statement | None:
        if draft.diagnosis is None or not normalise_diagnosis(draft.diagnosis):
            return None
        text = " ".join(draft.diagnosis.split()).rstrip(".")
        start, end = draft.diagnosis_start, draft.diagnosis_end
        if start is None or end is None or not cited(start, end, words):
            return Statement(text=text, removed="cites seconds in which nothing was said or shown")
        return Statement(text=text, start=start, end=end)

    async def _check(self, chat: Chat, clip: ClipRecord, words: list[Words], statements: list[str]) -> list[Verdict]:
        source = json.loads(as_json(clip, words))["words"]
        numbered = [{"number": number, "statement": text} for number, text in enumerate(statements, start=1)]
        material = json.dumps({"words": source, "statements": numbered}, ensure_ascii=False)
        variables = {"statements": material, "media": "nothing"}
        messages = [
            {"role": "system", "content": self.prompts.render("check_system", variables)},
            {"role": "user", "content": self.prompts.render("check", variables)},
        ]

        def fault(reply: Verdicts) -> str | None:
            if sorted(verdict.number for verdict in reply.verdicts) == list(range(1, len(statements) + 1)):
                return None
            return f"verdicts must hold each number from 1 to {len(statements)} once"

        about = {"clip_id": clip.clip_id, "turn": "check"}
        reply = await ask_for(chat, messages, Verdicts, about, fault)
        return sorted(reply.verdicts, key=lambda verdict: verdict.number)

    def _judged(
        self,
        draft: Draft,
        findings: list[Statement],
        diagnosis: Statement | None,
        verdicts: list[Verdict],
        words: list[Words],
    ) -> tuple[list[Statement], str, Statement | None]:
        queue = iter(verdicts)

        def judged(statement: Statement) -> Statement:
            verdict = next(queue)
            if not verdict.supported:
                return statement.model_copy(update={"removed": "the words do not support it"})
            place = place_of(verdict.quote, statement.start or 0.0, statement.end or 0.0, words)
            if place is None:
                return statement.model_copy(update={"removed": "the passage quoted for it does not exist"})
            return statement.model_copy(update={"quote": verdict.quote, **place._asdict()})

        if not verdicts:
            return findings, "", None
        findings = [judged(finding) if finding.removed is None else finding for finding in findings]
        reasoning = draft.reasoning.strip()
        sound = bool(reasoning) and next(queue).supported
        if diagnosis is not None and diagnosis.removed is None:
            diagnosis = judged(diagnosis)
        # Reasoning that leans on a finding which was removed would bring it back.
        sound = sound and all(finding.removed is None for finding in findings)
        told = [normalise_diagnosis(diagnosis.text)] if diagnosis else []
        if not self.settings.keep_diagnosis_sentences:
            sound = sound and not names_one(reasoning, {*self.diagnoses, *told})
        return findings, reasoning if sound else "", diagnosis

    def _written(
        self, clip: ClipRecord, findings: list[Statement], reasoning: str, diagnosis: Statement | None
    ) -> WrittenClip:
        evidence = None
        if diagnosis is not None and diagnosis.removed is None and diagnosis.source is not None:
            start, end = diagnosis.start or 0.0, diagnosis.end or 0.0
            evidence = Evidence(value=diagnosis.text, source=diagnosis.source, start=start, end=end)
        elif diagnosis is not None:
            findings = [*findings, diagnosis.model_copy(update={"text": f"Diagnosis: {diagnosis.text}"})]
        return WrittenClip(
            clip_id=clip.clip_id,
            writer=self.writer,
            prompt_hash=self.prompt_hash,
            statements=findings,
            reasoning=reasoning,
            diagnosis=evidence,
        )


def _ascending(findings: list[Finding]) -> list[Finding]:
    """From low to high magnification; one that is unknown stays behind the finding before it."""
    levels = []
    level = 0
    for finding in findings:
        level = _ORDER.index(finding.magnification) if finding.magnification in _ORDER else level
        levels.append(level)
    return [findings[index] for index in sorted(range(len(findings)), key=levels.__getitem__)]


def _fault(draft: Draft) -> str | None:
    if not draft.findings and draft.diagnosis is None:
        return None  # nothing was said: dropped, not asked again
    if any(not finding.statement.strip() for finding in draft.findings):
        return "a finding's statement is empty"
    return None
