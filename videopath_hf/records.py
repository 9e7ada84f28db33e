"""What travels between the stops of the road, in one place and versioned.

lecture -> [`Sentence`, `Segment`] -> [`ClipRecord`, `Reject`] -> [`InstructionRecord`] -> [`Answer`] -> [`Score`]

Times are seconds from the start of the source video. Boxes are (x0, y0, x1, y1) in pixels, x1 and y1 exclusive.
Every record is a line of a JSONL file and validates when it is read; an unknown or missing field is an error.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1
UNKNOWN_LICENCE = "unknown: not to be published"

Box = tuple[int, int, int, int]
Seconds = Annotated[float, Field(ge=0)]
SegmentKind = Literal["tissue", "presenter", "title", "other"]
Verdict = Literal["accept", "reject"]
Split = Literal["train", "test"]
InstructionKind = Literal["caption", "image", "clip", "video"]
"""Which stage a record is made for: stage 0 captions, stage 1 images, stage 2 clips, stage 3 videos."""


class Record(BaseModel):
    """Base of all records: immutable, closed to unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Sentence(Record):
    """One spoken sentence or subtitle line."""

    start: Seconds
    end: Seconds
    text: str
    confidence: float | None = None


class Segment(Record):
    """A stretch of a lecture between two cuts and what it shows.

    `first` to `last`, exclusive, are its frames. A dissolve into it is over at `settled`. `stills` are stretches, in
    seconds, in which the view does not move. `verdict` is a person's, where one reviewed it.
    """

    video_id: str
    index: int
    start: Seconds
    end: Seconds
    kind: SegmentKind
    first: int | None = None
    last: int | None = None
    settled: Seconds | None = None
    stills: list[tuple[Seconds, Seconds]] = Field(default_factory=list)
    verdict: Verdict | None = None
    figures: dict[str, float] = Field(default_factory=dict)


class Evidence(Record):
    """A value read from the lecture and where: spoken (`transcript`) or shown on screen (`text`)."""

    value: str
    source: Literal["transcript", "text"]
    start: Seconds
    end: Seconds


class RemovedText(Record):
    """On-screen text that was painted out of a clip; the words are kept, they are evidence."""

    text: str
    box: Box
    start: Seconds
    end: Seconds


class PersonBox(Record):
    """Where a presenter is seen, in pixels of the source video."""

    box: Box
    start: Seconds
    end: Seconds


class ClipRecord(Record):
    """One curated clip: a muted H.264 file and everything known about it. Paths are relative to the output folder.

    `crop` is the part of the source's frame that the clip shows; it and all other boxes are in pixels of the source.
    `thumbnails` are minimaps that were masked; `hashes`, of some frames, are what duplicates are found by.
    """

    schema_version: int = SCHEMA_VERSION
    clip_id: str
    video_id: str
    source: str
    start: Seconds
    end: Seconds
    fps: float
    frames: int
    width: int
    height: int
    clip: str
    sha256: str
    transcript: list[Sentence]
    text: str
    case: int | None = None
    organ: Evidence | None = None
    diagnosis: Evidence | None = None
    crop: Box | None = None
    tissue_box: Box | None = None
    thumbnails: list[Box] = Field(default_factory=list)
    persons: list[PersonBox] = Field(default_factory=list)
    removed_text: list[RemovedText] = Field(default_factory=list)
    quality: dict[str, float] = Field(default_factory=dict)
    keyframes: list[str] = Field(default_factory=list)
    hashes: list[str] = Field(default_factory=list)


class Reject(Record):
    """Something that was not kept: which step dropped it, why, and on what figures."""

    schema_version: int = SCHEMA_VERSION
    video_id: str
    source: str
    start: Seconds
    end: Seconds
    step: str
    reason: str
    figures: dict[str, float] = Field(default_factory=dict)


class Media(Record):
    """One image or video a record shows, by path relative to the dataset's root."""

    type: Literal["image", "video"]
    path: str


class Grounding(Record):
    """A sentence of an answer and the words of the lecture it rests on.

    `source` says whether they were spoken (`transcript`) or shown on screen (`text`), `start` and `end` when. Where a
    writer told them, `quote` is the passage that a check found for it, and `magnification` what it is seen at.
    """

    text: str
    source: Literal["transcript", "text"]
    start: Seconds
    end: Seconds
    magnification: str | None = None
    quote: str | None = None


class InstructionRecord(Record):
    """A question about one or more media and the answer a model should give.

    `answer` is the description, a line break, then `Diagnosis: <diagnosis>`; for `kind="caption"` it is the caption
    alone and `question` is empty. `messages` is the same in the chat form that TRL and chat templates take; of several
    turns `question` and `answer` are the first ones. `start` and `end` are null where the stretch of the source is not
    known. `grounding` says which words the sentences of the answer rest on, as far as that is known. `extra` is what a
    record of another format said beside all this.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    kind: InstructionKind
    clip_id: str
    video_id: str
    media: list[Media]
    messages: list[dict[str, Any]]
    question: str
    answer: str
    description: str
    diagnosis: str | None = None
    organ: str | None = None
    split: Split
    source: str
    start: Seconds | None = None
    end: Seconds | None = None
    licence: str
    writer: str
    prompt_hash: str
    grounding: list[Grounding] = Field(default_factory=list)
    extra: dict[str, Any] = Field(default_factory=dict)


class RecordReject(Record):
    """A record of a data file that was not taken: of which file, at which line, item or row, and why."""

    schema_version: int = SCHEMA_VERSION
    file: str
    where: str
    id: str | None = None
    reason: str


class Answer(Record):
    """What a model said about one record, and how it came to it."""

    schema_version: int = SCHEMA_VERSION
    id: str
    question: str
    answer: str
    description: str
    diagnosis: str | None
    reference: str | None = None
    reference_diagnosis: str | None = None
    media: list[str]
    frame_times: list[float] = Field(default_factory=list)
    frames_zeroed: bool = False
    model: str
    revision: str | None = None
    tokens: int
    seconds: dict[str, float]


class Prediction(Answer):
    """A line of an evaluation's `predictions.jsonl`: an answer, and what it was made from.

    `frames` is how many pictures were shown, `tokens_in` how long the prompt was with them; both counts of tokens are
    null where nobody counted. `cut` says that the answer is as long as was allowed. `asked` is the hash of question,
    media and whether they were black: an answer to anything else is not taken for this one.
    """

    tokens: int | None  # type: ignore[assignment]  # not every server counts
    tokens_in: int | None = None
    frames: int | None = None
    cut: bool = False
    asked: str


class Score(Record):
    """One figure for one answer. `value` is null, never 0, where it could not be had; `reason` says why.

    `applies` is false where the record's reference gives the metric nothing to compare with: nothing was missed then.

    Of a judge's, `judge` is the model that was asked and `judge_version` the one that answered, as its server names
    it; `protocol` and `protocol_hash` say what it was asked, `date` when it answered, in UTC.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    metric: str
    value: float | None
    reason: str | None = None
    applies: bool = True
    judge: str | None = None
    judge_version: str | None = None
    protocol: str | None = None
    protocol_hash: str | None = None
    date: str | None = None
