"""The `template` writer: extractive, nothing but words that were spoken over the clip or shown in it."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from videopath_hf.instructions.answers import normalise_diagnosis
from videopath_hf.records import ClipRecord, Grounding, RemovedText, Sentence

WRITER = "template"

Origin = Literal["transcript", "text"]

# On screens the space before a number is often lost to whoever reads the text.
_NUMBERED = r"(case|slide|figure|part)(?: +(no\.? ?)?\w+|(no\.?)?\d+\w?)"

NOT_DESCRIPTIVE = (
    # Greetings, thanks and housekeeping.
    r"^\W*(welcome|hello|hi|good (morning|afternoon|evening|day)|thanks?|thank you|please|bye|goodbye)\b",
    r"\b(this|our|my|today'?s) (short |brief )?(lecture|talk|presentation|series|course|channel)\b",
    r"\b(questions|subscribe|e-?mail|https?:|www\.|\w+@\w+)",
    # Where the camera goes.
    r"\b(let us|let's|let me|we'll|i'll|i will|we will|we are going to|i am going to|i'm going to)\b.*"
    r"\b(zoom|move|go|look|turn|start|begin|see|take|jump|switch|continue|discuss|come|focus|examine|review)\b",
    r"^\W*(zoom(ing)?|moving|going|turning|switching|coming) (in|out|on|back|closer|further|to)\b",
    r"^\W*(now|next|first|second|third|okay|ok|so|well|right|all right|alright|yes|no)[\s,.!]*$",
    r"^\W*(the )?(next|following) (slide|case|patient|example|one)\b",
    rf"^\W*{_NUMBERED}\W*$",
    r"^\W*(the|our|this) (first|second|third|fourth|fifth|next|last|final) (case|slide|example|one) (is|was|comes)\b",
    # Scraps of misread text.
    r"^\W*\w{1,3}\W*$",
    # Comparisons: what is said may hold for the other case.
    r"^\W*(compare|contrast)\b",
    # Who the patient is: true, but not to be seen.
    r"\b(clinical )?history\b|\bthe (\w+ )?patient\b|\b\d+[- ]year[- ]old\b|\bpresent(s|ed) with\b",
)
"""Sentences that match one of these say nothing about what is seen. Our own list, grown on spoken lectures."""

_CASE_NUMBER = re.compile(rf"^\W*{_NUMBERED}\s*(?:[.-]\s+|:\s*)", re.IGNORECASE)
_STATES_A_DIAGNOSIS = re.compile(r"\bdiagnos(is|es|ed|e)\b", re.IGNORECASE)


class Description(NamedTuple):
    """Sentences that describe a clip and where they come from: spoken over it, shown in it, said of its case, or
    written by a language model out of these. `grounding` holds the words they rest on, as far as that is known."""

    sentences: tuple[str, ...]
    source: Literal["transcript", "text", "case", "written"]
    reasoning: str = ""
    grounding: tuple[Grounding, ...] = ()

    @property
    def text(self) -> str:
        """The sentences as one paragraph, with what follows from them at its end."""
        return " ".join((*self.sentences, self.reasoning)).strip()


class TemplateWriter:
    """Writes descriptions out of clips' transcripts and shown text.

    Args:
        clips (`Sequence[ClipRecord]`): all clips of the dataset: a clip without words of its own borrows those said
            about its case, and no description names a diagnosis of any of them.
        not_descriptive (`Iterable[str]`): regular expressions of sentences to leave out.
        keep_diagnosis_sentences (`bool`, defaults to `False`): keep sentences that state a diagnosis.
    """

    def __init__(
        self, clips: Sequence[ClipRecord], not_descriptive: Iterable[str], keep_diagnosis_sentences: bool = False
    ) -> None:
        self._noise = [re.compile(pattern, re.IGNORECASE) for pattern in not_descriptive]
        self._keep_diagnoses = keep_diagnosis_sentences
        self._diagnoses = {normalise_diagnosis(clip.diagnosis.value) for clip in clips if clip.diagnosis} - {""}
        self._cases: dict[tuple[str, int], list[ClipRecord]] = {}
        for clip in sorted(clips, key=lambda clip: (clip.video_id, clip.start)):
            if clip.case is not None:
                self._cases.setdefault((clip.video_id, clip.case), []).append(clip)

    def describe(self, clip: ClipRecord) -> Description | None:
        """The description of a clip, or None where nothing that describes it was said or shown."""
        if not clip.transcript and not clip.removed_text:
            return None
        if spoken := self._spoken(clip):
            return _described(spoken, "transcript")
        if shown := self._shown(clip):
            return _described(shown, "text")
        if clip.case is None:
            return None
        case = self._cases[clip.video_id, clip.case]
        for read in (self._spoken, self._shown):
            if borrowed := [item for other in case for item in read(other)]:
                return _described(borrowed, "case")
        return None

    def _spoken(self, clip: ClipRecord) -> list[Grounding]:
        return self._keep((sentence.text, sentence, "transcript") for sentence in clip.transcript)

    def _shown(self, clip: ClipRecord) -> list[Grounding]:
        return self._keep((_CASE_NUMBER.sub("", text.text), text, "text") for text in clip.removed_text)

    def _keep(
        self, words: Iterable[tuple[str, Sentence | RemovedText, Literal["transcript", "text"]]]
    ) -> list[Grounding]:
        return [
            Grounding(text=sentence, source=source, start=passage.start, end=passage.end)
            for text, passage, source in words
            if self._describes(sentence := _as_sentence(text))
        ]

    def _describes(self, sentence: str) -> bool:
        words = normalise_diagnosis(sentence)
        if not words or any(noise.search(sentence) for noise in self._noise):
            return False
        if self._keep_diagnoses:
            return True
        named = any(f" {diagnosis} " in f" {words} " for diagnosis in self._diagnoses)
        return not named and not _STATES_A_DIAGNOSIS.search(sentence)


def _described(words: Iterable[Grounding], source: Origin | Literal["case"]) -> Description:
    """The description that words make; a sentence that comes again counts once."""
    first: dict[str, Grounding] = {}
    for item in words:
        first.setdefault(item.text, item)
    return Description(tuple(first), source, grounding=tuple(first.values()))


def _as_sentence(text: str) -> str:
    text = " ".join(text.split())
    text = text[:1].upper() + text[1:]
    return text if not text or text[-1] in ".!?" else f"{text}."
