"""Clips: where a segment is cut, which words go with which clip, and the files of each."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from videopath_hf.curation.quality import QualityMeter
from videopath_hf.curation.refine import Refiner
from videopath_hf.curation.settings import ClipSettings
from videopath_hf.curation.sheets import contact_sheet, spread, write_jpeg
from videopath_hf.curation.tissue import Picture
from videopath_hf.files import file_sha256
from videopath_hf.records import Box, PersonBox, RemovedText, Segment, Sentence
from videopath_hf.video.decode import iter_frames
from videopath_hf.video.encode import write_clip


class Grid(NamedTuple):
    """The frames of a segment that clips are made of: `frames` of them, `1 / fps` seconds apart from `start` on."""

    start: float
    fps: float
    frames: int

    def time(self, number: int) -> float:
        """Seconds of frame `number` in the lecture."""
        return self.start + number / self.fps


class ClipPlan(NamedTuple):
    """A clip to be made: its id, its segment, and its frames `first` to `last`, exclusive, of the segment's grid."""

    clip_id: str
    segment: Segment
    grid: Grid
    first: int
    last: int

    @property
    def start(self) -> float:
        """Seconds of the first frame."""
        return round(self.grid.time(self.first), 3)

    @property
    def end(self) -> float:
        """Seconds at which the last frame ends."""
        return round(min(self.grid.time(self.last), self.segment.end), 3)


def segment_grid(segment: Segment, fps: float, source_fps: float) -> Grid:
    """The grid of a segment; the frame nearest to each of its times lies inside the segment."""
    seconds = segment.end - segment.start - 1 / source_fps
    return Grid(segment.start, fps, max(0, math.floor(seconds * fps + 1e-6) + 1))


def plan_clips(
    video_id: str, segments: Sequence[tuple[Segment, Grid]], sentences: Sequence[Sentence], settings: ClipSettings
) -> list[ClipPlan]:
    """Cut tissue segments into clips of at most `max_seconds`, in pauses between sentences where there are any.

    A clip is as long as it may be; a sentence longer than a clip is cut into equal parts. What is shorter than
    `min_seconds` is planned too: it is the caller's to reject.
    """
    plans: list[ClipPlan] = []
    pauses = [(a.end + b.start) / 2 for a, b in pairwise(sentences)]
    for segment, grid in segments:
        ticks = sorted({round((pause - grid.start) * grid.fps) for pause in pauses})
        bounds = _cut(grid.frames, [tick for tick in ticks if 0 < tick < grid.frames], settings)
        for first, last in pairwise(bounds):
            plans.append(ClipPlan(f"{video_id}_c{len(plans):05d}", segment, grid, first, last))
    return plans


def too_short(plan: ClipPlan, settings: ClipSettings) -> bool:
    """Whether a clip has fewer frames than `min_seconds` asks for."""
    return plan.last - plan.first < math.ceil(settings.min_seconds * settings.fps - 1e-6)


def _cut(total: int, pauses: Sequence[int], settings: ClipSettings) -> list[int]:
    """Bounds of clips of `total` frames that may be cut at `pauses`."""
    longest = max(1, math.floor(settings.max_seconds * settings.fps + 1e-6))
    shortest = max(1, math.ceil(settings.min_seconds * settings.fps - 1e-6))
    bounds = [0]
    while total - bounds[-1] > longest:
        here = bounds[-1]
        fitting = [p for p in pauses if here + shortest <= p <= here + longest and total - p >= shortest]
        if fitting:
            bounds.append(fitting[-1])
            continue
        stop = next((p for p in pauses if p > here + longest), total)
        parts = math.ceil((stop - here) / longest)
        cut = here + math.ceil((stop - here) / parts)
        if total - cut < shortest and total - shortest >= here + shortest:
            cut = total - shortest
        bounds.append(cut)
    return [*bounds, total] if total > bounds[-1] else bounds


def assign_sentences(plans: Sequence[ClipPlan], sentences: Sequence[Sentence]) -> list[list[Sentence]]:
    """Give each sentence to the one clip that holds most of it, if at least half of it is spoken during clips."""
    given: list[list[Sentence]] = [[] for _ in plans]
    for sentence in sentences:
        shares = [max(0.0, min(plan.end, sentence.end) - max(plan.start, sentence.start)) for plan in plans]
        if shares and max(shares) > 0 and 2 * sum(shares) >= sentence.end - sentence.start:
            given[int(np.argmax(shares))].append(sentence)
    return given


class ClipFiles(NamedTuple):
    """What was written for a clip."""

    frames: int
    width: int
    height: int
    sha256: str
    quality: dict[str, float]
    keyframes: list[str]
    tissue_box: Box | None
    texts: list[RemovedText]
    persons: list[PersonBox]


def make_clip(
    path: Path,
    plan: ClipPlan,
    refiner: Refiner,
    sentences: Sequence[Sentence],
    out: Path,
    settings: ClipSettings,
    frames: Iterable[Picture] | None = None,
) -> ClipFiles:
    """Write a clip's video, contact sheets and keyframes below `out`.

    Args:
        path (`Path`): the lecture.
        refiner (`Refiner`): hides text and presenters of the clip's segment.
        sentences (`Sequence[Sentence]`): the whole transcript, for the share of the clip in which somebody speaks.
        frames (`Iterable`, *optional*): the clip's pictures; decoded here if omitted.
    """
    count = plan.last - plan.first
    on_sheet, key = set(spread(count, settings.sheet_frames)), spread(count, settings.keyframes)
    meter = QualityMeter()
    before: list[Picture] = []
    after: list[Picture] = []
    keyframes: list[Picture] = []

    def refined() -> Iterator[Picture]:
        pictures = frames
        if pictures is None:
            decoded = iter_frames(path, settings.fps, plan.grid.time(plan.first), plan.segment.end)
            pictures = (frame.image for frame in decoded)
        for number, picture in enumerate(islice(pictures, count)):
            image = refiner.refine(plan.grid.time(plan.first + number), picture)
            image = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
            meter.add(image)
            if number in on_sheet:
                before.append(picture)
                after.append(image)
            if number in key:
                keyframes.append(image)
            yield image

    target = out / "clips" / f"{plan.clip_id}.mp4"
    written = write_clip(target, refined(), settings.fps, settings.crf)
    write_jpeg(out / "sheets" / f"{plan.clip_id}_before.jpg", contact_sheet(before), quality=82)
    write_jpeg(out / "sheets" / f"{plan.clip_id}_after.jpg", contact_sheet(after), quality=82)
    names = [f"keyframes/{plan.clip_id}_{number:02d}.jpg" for number in range(len(keyframes))]
    for name, image in zip(names, keyframes, strict=True):
        write_jpeg(out / name, image)
    times = [plan.grid.time(number) for number in range(plan.first, plan.last)]
    texts = {id(text): text for time in times for text in refiner.active_texts(time)}
    persons = {id(person): person for time in times for person in refiner.active_persons(time)}
    return ClipFiles(
        frames=written,
        width=keyframes[0].shape[1],
        height=keyframes[0].shape[0],
        sha256=file_sha256(target),
        quality=meter.figures(plan.start, plan.end, sentences),
        keyframes=names,
        tissue_box=meter.slide_box(),
        texts=list(texts.values()),
        persons=list(persons.values()),
    )


def clip_paths(plan: ClipPlan, out: Path, settings: ClipSettings) -> list[Path]:
    """All files that `make_clip` writes."""
    keyframes = min(plan.last - plan.first, settings.keyframes)
    return [
        out / "clips" / f"{plan.clip_id}.mp4",
        out / "sheets" / f"{plan.clip_id}_before.jpg",
        out / "sheets" / f"{plan.clip_id}_after.jpg",
        *(out / "keyframes" / f"{plan.clip_id}_{number:02d}.jpg" for number in range(keyframes)),
    ]
