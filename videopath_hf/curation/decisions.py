"""What a person decided about a lecture's segments, and its place in the next run."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError, model_validator

from videopath_hf.curation.inputs import Lecture
from videopath_hf.errors import UserError, first_fault
from videopath_hf.files import content_hash, read_json
from videopath_hf.records import SCHEMA_VERSION, Record, Segment, SegmentKind, Verdict

SUFFIX = ".decisions.json"


class DecidedSegment(Record):
    """Frames `first` to `last`, exclusive; the kind is the candidates' where none is given."""

    first: int = Field(ge=0)
    last: int
    kind: SegmentKind | None = None
    verdict: Verdict | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> "DecidedSegment":
        if self.last <= self.first:
            raise ValueError(f"a segment from frame {self.first} to {self.last} is empty")
        return self


class Decisions(Record):
    """All segments of one lecture as a person left them.

    Args:
        video_id (`str`), sha256 (`str`): the video they are about.
        frames (`int`): how many frames it has; the segments cover them without gaps.
        candidates (`str`, *optional*): hash of the segments that were shown to the person; None for a list from
            elsewhere, which stands for itself.
    """

    schema_version: int = SCHEMA_VERSION
    video_id: str
    sha256: str
    frames: int
    candidates: str | None = None
    segments: list[DecidedSegment] = Field(min_length=1)

    @model_validator(mode="after")
    def _covers(self) -> "Decisions":
        if self.schema_version != SCHEMA_VERSION:
            raise ValueError(f"schema_version {self.schema_version} is not {SCHEMA_VERSION}")
        bounds = [0, *(segment.last for segment in self.segments)]
        for expected, segment in zip(bounds, self.segments, strict=False):
            if segment.first != expected:
                raise ValueError(f"a segment starts at frame {segment.first}, the one before it ends at {expected}")
        if bounds[-1] != self.frames:
            raise ValueError(f"the last segment ends at frame {bounds[-1]} of {self.frames}")
        return self


def candidates_hash(segments: Iterable[Segment]) -> str:
    """What ties decisions to the segments they were made on: their bounds."""
    return content_hash([(segment.first, segment.last) for segment in segments])


def read_decisions(given: Sequence[Path]) -> dict[str, Decisions]:
    """Decisions by the SHA-256 of the video they are about: what `CurateSettings.decisions` takes.

    Args:
        given (`Sequence[Path]`): decision files, and folders of `*.decisions.json`.

    Raises:
        UserError: a file is none, two are about one video, or nothing was found.
    """
    found: dict[str, tuple[Path, Decisions]] = {}
    for path in _files(given):
        decisions = read_file(path)
        if decisions.sha256 in found:
            raise UserError(
                f"{found[decisions.sha256][0]} and {path} are both about {decisions.video_id}; give one of them"
            )
        found[decisions.sha256] = (path, decisions)
    if not found:
        raise UserError(f"no *{SUFFIX} was found in {', '.join(map(str, given))}")
    return {sha256: decisions for sha256, (_, decisions) in found.items()}


def match_decisions(decisions: Mapping[str, Decisions], lectures: Sequence[Lecture]) -> list[str]:
    """Notes on decisions that are about none of the lectures.

    Raises:
        UserError: some are about another version of a lecture's file, or none is about any of the lectures.
    """
    known = {lecture.sha256 for lecture in lectures}
    names = {lecture.video_id: lecture for lecture in lectures}
    notes = []
    for sha256, decided in decisions.items():
        if sha256 in known:
            continue
        if decided.video_id in names:
            raise UserError(
                f"the decisions were made for another file named {decided.video_id} (sha256 {sha256[:12]}, the "
                f"input's is {names[decided.video_id].sha256[:12]}); review this one"
            )
        notes.append(f"decisions about {decided.video_id}, which is not among the inputs, were not used")
    if decisions and len(notes) == len(decisions):
        raise UserError(f"none of the decisions is about an input: {'; '.join(notes)}")
    return notes


def _files(given: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, given):
        found += sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    return found


def read_file(path: Path) -> Decisions:
    """Read one file of decisions; raises `UserError` that names the file and what is wrong in it."""
    data: Any = read_json(path)
    try:
        return Decisions.model_validate(data)
    except ValidationError as error:
        field, message = first_fault(error)
        message = message.removeprefix("Value error, ")
        raise UserError(f"{path} is not a file of decisions: {field + ': ' if field else ''}{message}") from None


def apply_decisions(
    segments: Sequence[Segment], decisions: Decisions, times: "np.ndarray[Any, np.dtype[np.float64]]"
) -> list[Segment]:
    """Put a person's segments in the place of the candidates.

    Figures are the candidates', weighted by the frames they share; so are stills and dissolves, where they still lie
    inside. Rejected segments stay in the list, with their verdict, for they say what the lecture shows.

    Args:
        segments (`Sequence[Segment]`): the candidates.
        decisions (`Decisions`): about this video.
        times (`np.ndarray`): float64 [N], seconds of every frame of the video.

    Raises:
        UserError: the decisions were made on other candidates, or the video has another number of frames.
    """
    if decisions.candidates not in (None, seen := candidates_hash(segments)):
        raise UserError(
            f"the decisions about {decisions.video_id} were made on other segments ({decisions.candidates}, this run "
            f"found {seen}); review again, or set their `candidates` to null to use them all the same"
        )
    if decisions.frames != len(times):
        raise UserError(
            f"the decisions about {decisions.video_id} are for {decisions.frames} frames, the video has {len(times)}"
        )
    return [_decided(number, part, segments, times) for number, part in enumerate(decisions.segments)]


def _decided(number: int, part: DecidedSegment, candidates: Sequence[Segment], times: Any) -> Segment:
    shares = [_shared(part, candidate) for candidate in candidates]
    main = candidates[int(np.argmax(shares))]
    start = round(float(times[part.first]), 3)
    end = candidates[-1].end if part.last == len(times) else round(float(times[part.last]), 3)
    inside = [candidate for candidate, share in zip(candidates, shares, strict=True) if share > 0]
    opening = next((candidate for candidate in inside if candidate.first == part.first), None)
    stills = [(max(a, start), min(b, end)) for candidate in inside for a, b in candidate.stills]
    names = {name for candidate in inside for name in candidate.figures}
    return Segment(
        video_id=main.video_id,
        index=number,
        start=start,
        end=end,
        kind=part.kind or main.kind,
        first=part.first,
        last=part.last,
        settled=opening.settled if opening is not None and (opening.settled or 0.0) < end else None,
        stills=[still for still in stills if still[1] > still[0]],
        verdict=part.verdict,
        figures={
            name: round(
                float(
                    np.average([c.figures.get(name, 0.0) for c in candidates], weights=np.array(shares, dtype=float))
                ),
                4,
            )
            for name in sorted(names)
        },
    )


def _shared(part: DecidedSegment, candidate: Segment) -> int:
    assert candidate.first is not None and candidate.last is not None, "candidates carry their frames"
    return max(0, min(part.last, candidate.last) - max(part.first, candidate.first))
