"""Which clips can be described, in which words, and what their diagnoses are called."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from videopath_hf.instructions.answers import normalise_diagnosis
from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.instructions.template import Description, TemplateWriter
from videopath_hf.records import ClipRecord, Reject


class Described(NamedTuple):
    """A clip and the sentences that describe it."""

    clip: ClipRecord
    description: Description


def describe_clips(clips: Sequence[ClipRecord], settings: InstructSettings) -> tuple[list[Described], list[Reject]]:
    """Describe every clip from what was said and shown; those with nothing to go by come back as rejects."""
    writer = TemplateWriter(clips, settings.not_descriptive, settings.keep_diagnosis_sentences)
    described: list[Described] = []
    rejects: list[Reject] = []
    seen: set[str] = set()
    for clip in clips:
        if clip.sha256 in seen:
            rejects.append(reject(clip, "same file as an earlier clip"))
        elif description := writer.describe(clip):
            seen.add(clip.sha256)
            described.append(Described(clip, description))
        elif not clip.transcript and not clip.removed_text:
            rejects.append(reject(clip, "neither spoken nor shown text"))
        else:
            rejects.append(reject(clip, "nothing said or shown describes it"))
    return described, rejects


def with_words(clips: Iterable[ClipRecord]) -> tuple[list[ClipRecord], list[Reject]]:
    """The clips a language model can be asked about: with words of their own, each file once; the rest as rejects."""
    chosen: list[ClipRecord] = []
    rejects: list[Reject] = []
    seen: set[str] = set()
    for clip in clips:
        if clip.sha256 in seen:
            rejects.append(reject(clip, "same file as an earlier clip"))
        elif not clip.transcript and not clip.removed_text:
            rejects.append(reject(clip, "neither spoken nor shown text"))
        else:
            seen.add(clip.sha256)
            chosen.append(clip)
    return chosen, rejects


def reject(clip: ClipRecord, reason: str, figures: Mapping[str, float] | None = None) -> Reject:
    """A clip that is left out; what stands before a colon in `reason` is what it is counted under."""
    return Reject(
        video_id=clip.video_id,
        source=clip.source,
        start=clip.start,
        end=clip.end,
        step="instruct",
        reason=reason,
        figures=dict(figures or {}),
    )


def organ_tells(clips: Iterable[ClipRecord]) -> bool:
    """Whether naming the organ would give the diagnosis away: each organ (or its absence) has one only."""
    diagnoses: dict[str | None, set[str]] = {}
    for clip in clips:
        if diagnosis := diagnosis_key(clip):
            diagnoses.setdefault(organ_key(clip), set()).add(diagnosis)
    return len(diagnoses) > 1 and all(len(names) == 1 for names in diagnoses.values())


def diagnosis_key(clip: ClipRecord) -> str | None:
    """The clip's diagnosis in its normalised form, or None where it is not known."""
    return (normalise_diagnosis(clip.diagnosis.value) or None) if clip.diagnosis else None


def organ_key(clip: ClipRecord) -> str | None:
    """The clip's organ as organs are compared, or None where it is not known."""
    return clip.organ.value.casefold().strip() if clip.organ else None


def spellings(clips: Iterable[ClipRecord]) -> dict[str, str]:
    """One spelling of each diagnosis: the commonest in the clips, its first letter a capital."""
    seen: dict[str, Counter[str]] = {}
    for clip in clips:
        if clip.diagnosis and (key := diagnosis_key(clip)):
            value = " ".join(clip.diagnosis.value.split())
            seen.setdefault(key, Counter())[value[0].upper() + value[1:]] += 1
    return {key: min(counts, key=lambda value: (-counts[value], value)) for key, counts in seen.items()}
