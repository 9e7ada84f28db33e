"""Cases: which tissue segments show the same patient, and what the lecture says about them."""

from collections.abc import Sequence
from typing import NamedTuple

from videopath_hf.curation.settings import CaseSettings
from videopath_hf.curation.terms import (
    Diagnosis,
    find_organ,
    is_specimen,
    related,
    shown_case,
    shown_diagnosis,
    spoken_case,
    spoken_diagnosis,
)
from videopath_hf.records import Evidence, RemovedText, Segment, Sentence


class Case(NamedTuple):
    """One case of a lecture: its number, the segments that show it, and what is known about it and from where."""

    number: int
    segments: list[int]
    organ: Evidence | None
    diagnosis: Evidence | None


class _Span(NamedTuple):
    """A tissue segment with the time that leads up to it, from the tissue segment before."""

    segment: Segment
    lead: float


class _Mention(NamedTuple):
    """Words, shown or spoken, in the form evidence takes."""

    text: str
    shown: bool
    start: float
    end: float

    @property
    def at(self) -> float:
        """When the words count: a label as soon as it is shown; a sentence, which may be said across a cut and whose
        times may be off, in its middle."""
        return self.start + 1e-3 if self.shown else (self.start + self.end) / 2


def find_cases(
    segments: Sequence[Segment],
    sentences: Sequence[Sentence],
    texts: Sequence[RemovedText],
    settings: CaseSettings,
) -> list[Case]:
    """Assign every tissue segment to a case and collect each case's organ and diagnosis.

    A segment belongs to the case that a label in it or on a slide just before it names, else to the one that a
    sentence at its beginning names, else, where its beginning names another organ, to that organ's case or a new one,
    else to the case before it. What a case says anywhere holds for all its segments; what is not said stays unknown.

    Args:
        segments (`Sequence[Segment]`): all segments of one lecture, in order.
        sentences (`Sequence[Sentence]`): its transcript.
        texts (`Sequence[RemovedText]`): what is shown on screen, in all segments.
    """
    said = [_Mention(sentence.text, False, sentence.start, sentence.end) for sentence in sentences]
    shown = [_Mention(text.text, True, text.start, text.end) for text in texts]
    spans: list[_Span] = []
    for segment in segments:
        if segment.kind == "tissue":
            spans.append(_Span(segment, spans[-1].segment.end if spans else 0.0))
    mentions = sorted([*said, *shown], key=lambda mention: (mention.start, not mention.shown))
    numbers = _assign(spans, mentions, settings)
    owners = [_owner(mention, spans, numbers) for mention in mentions]
    return [
        _case(
            number,
            [span.segment.index for span, owner in zip(spans, numbers, strict=True) if owner == number],
            [mention for mention, owner in zip(mentions, owners, strict=True) if owner == number],
        )
        for number in sorted(set(numbers))
    ]


def _assign(spans: Sequence[_Span], mentions: Sequence[_Mention], settings: CaseSettings) -> list[int]:
    numbers: list[int] = []
    organs: dict[int, str] = {}
    for span in spans:
        inside = [m for m in mentions if span.segment.start <= m.at < span.segment.end]
        lead = [m for m in mentions if span.lead <= m.at < span.segment.start]
        begin = [m for m in inside if m.start <= span.segment.start + settings.cue_seconds]
        current = numbers[-1] if numbers else None
        number = _labelled(inside, lead)
        if number is None:
            number = _spoken(begin, lead, current, max(numbers, default=0))
        if number is None:
            number = _by_organ(begin, lead, current, organs, max(numbers, default=0))
        number = number or current or 1
        numbers.append(number)
        if number not in organs and (organ := _organ(inside) or _organ(lead)) is not None:
            organs[number] = organ
    return numbers


def _labelled(inside: Sequence[_Mention], lead: Sequence[_Mention]) -> int | None:
    """The case that a label names: the first one in the segment, else the one on slides before it.

    Slides that name several are an agenda and say nothing about the segment that follows.
    """
    own = [number for m in inside if m.shown and (number := shown_case(m.text)) is not None]
    before = {number for m in lead if m.shown and (number := shown_case(m.text)) is not None}
    return own[0] if own else before.pop() if len(before) == 1 else None


def _spoken(begin: Sequence[_Mention], lead: Sequence[_Mention], current: int | None, highest: int) -> int | None:
    """The case that words name: the first cue in the segment, else the last before it that is not the case just seen.

    Before anything was seen it is the first cue: an introduction names the cases in their order.
    """
    own = [cue.number or highest + 1 for m in begin if not m.shown and (cue := spoken_case(m.text)) is not None]
    before = [cue.number or highest + 1 for m in lead if not m.shown and (cue := spoken_case(m.text)) is not None]
    if own:
        return own[0]
    if current is None:
        return before[0] if before else None
    others = [number for number in before if number != current]
    return others[-1] if others else current if before else None


def _organ(mentions: Sequence[_Mention]) -> str | None:
    """The organ that mentions speak of, leaving diagnoses aside: one may name a second organ, as an ectopic pancreas
    in the stomach does."""
    said = [m for m in mentions if not _is_diagnosis(m)]
    found = [(organ, is_specimen(m.text)) for m in said if (organ := find_organ(m.text)) is not None]
    return next((organ for organ, specimen in found if specimen), found[0][0] if found else None)


def _by_organ(
    begin: Sequence[_Mention], lead: Sequence[_Mention], current: int | None, organs: dict[int, str], highest: int
) -> int | None:
    organ = _organ(begin) or _organ(lead)
    if organ is None or current is None:
        return None
    if current not in organs or related(organ, organs[current]):
        return current
    known = [number for number, other in organs.items() if related(organ, other)]
    return known[-1] if known else highest + 1


def _is_diagnosis(mention: _Mention) -> bool:
    return not is_specimen(mention.text) and _stated(mention) is not None


def _stated(mention: _Mention) -> Diagnosis | None:
    return shown_diagnosis(mention.text) if mention.shown else spoken_diagnosis(mention.text)


def _owner(mention: _Mention, spans: Sequence[_Span], numbers: Sequence[int]) -> int | None:
    """The case that words are about: the one they name, else that of the segment they fall into.

    Between two segments they still belong to the case before, unless the next one has been announced; before the first
    segment they belong to it.
    """
    named = shown_case(mention.text) if mention.shown else (cue.number if (cue := spoken_case(mention.text)) else None)
    if named in numbers:
        return named
    owner: int | None = None
    for span, number in zip(spans, numbers, strict=True):
        if owner is None or mention.at >= span.segment.start:
            owner = number
    return owner


def _case(number: int, segments: list[int], mentions: Sequence[_Mention]) -> Case:
    organs = [(m, name) for m in mentions if (name := find_organ(m.text)) is not None]
    # A label is typed, speech is heard: labels first; among either, what is called a specimen before a passing word.
    # A diagnosis comes last.
    ranked = sorted(
        organs,
        key=lambda pair: (_is_diagnosis(pair[0]), not pair[0].shown, not is_specimen(pair[0].text), pair[0].start),
    )
    organ = _evidence(ranked[0][1], ranked[0][0]) if ranked else None
    stated: list[tuple[_Mention, Diagnosis]] = []
    for mention in mentions:
        read = _stated(mention)
        if read is not None:
            stated.append((mention, read))
    # A lecturer weighs diagnoses before settling on one: of equally sure wordings the last counts.
    best = min(stated, key=lambda pair: (pair[1].rank, -pair[0].start), default=None)
    diagnosis = _evidence(best[1].value, best[0]) if best else None
    return Case(number, segments, organ, diagnosis)


def _evidence(value: str, mention: _Mention) -> Evidence:
    return Evidence(
        value=value, source="text" if mention.shown else "transcript", start=mention.start, end=mention.end
    )
