"""The standard blocks that take turns on each segment while its pictures are in memory: read it, make its clips."""

from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

from videopath_hf.curation.block import Count, LectureState, SegmentBlock
from videopath_hf.curation.clips import (
    ClipFiles,
    ClipPlan,
    Grid,
    clip_paths,
    make_clip,
    plan_clips,
    segment_grid,
    too_short,
)
from videopath_hf.curation.frames import KEPT_BYTES, LectureFrames, SegmentFrames
from videopath_hf.curation.layout import kept_part
from videopath_hf.curation.reading import SegmentReading, read_page, read_tissue
from videopath_hf.curation.refine import Refiner, covered_share
from videopath_hf.curation.yolo import detector_names
from videopath_hf.records import PersonBox, RemovedText, Segment
from videopath_hf.video.backends import cpus

_DECODED_AHEAD = 2  # segments


class Read(SegmentBlock):
    """Reads each segment at full resolution: its text, its presenters, the colour of its glass."""

    name = "read"
    sections = ("persons", "screen_text")
    needs = ("info", "segments")
    gives = ("readings",)
    watched = True

    def take(self, state: LectureState, segment: Segment) -> None:
        reader, why = state.get_reader()
        if why is not None and why not in state.notes:
            state.notes.append(why)
        settings, info, grid = state.settings, state.known_info(), _grid(state, segment)
        foreign = state.foreign.get(segment.index, [])
        tissue = segment.kind == "tissue"
        before = [state.readings[index] for index in sorted(state.readings) if index < segment.index]
        known = [[reading.layout, reading.insets] for reading in before if reading.layout is not None]
        inputs: list[Any] = [segment.kind, grid, segment.end, foreign, settings.segments.sample_fps]
        inputs += [reader and reader.name, known if tissue else None, detector_names(settings)]

        def work() -> dict[str, Any]:
            path, frames = state.lecture.path, _frames(state)
            mine = frames.of(grid).all() if tissue else None
            following = (s for s in state.segments if s.start > segment.start and s.kind == "tissue")
            for coming in islice(following, _DECODED_AHEAD):
                frames.begin(_grid(state, coming))
            if mine is None:
                return read_page(path, segment, reader, settings).model_dump()
            return read_tissue(path, info, segment, grid, foreign, reader, settings, mine, before).model_dump()

        done = state.once(self, f"read_{segment.index:04d}", inputs, work)
        state.readings[segment.index] = SegmentReading.model_validate(done)

    def close(self, state: LectureState) -> Count:
        return Count(len(state.segments), len(state.readings))


class _Making(NamedTuple):
    """A clip that is being made, and the bytes that the pictures of its whole segment take."""

    plan: ClipPlan
    memory: int
    made: Future[ClipFiles]


class Clip(SegmentBlock):
    """Cuts tissue segments into clips and writes their files, two at a time, beside the reading of what follows."""

    name = "clip"
    sections = ("clips", "screen_text")
    needs = ("info", "segments", "readings")
    gives = ("plans", "files")
    watched = True

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(min(2, cpus()))
        self._under_way: list[_Making] = []

    def take(self, state: LectureState, segment: Segment) -> None:
        if segment.kind != "tissue" or segment.verdict == "reject" or _covered(state, segment):
            return
        settings, said = state.settings.clips, state.known_transcript().sentences
        frames = _frames(state).of(_grid(state, segment))
        self._gather(state, KEPT_BYTES - frames.memory)
        for plan in plan_clips(state.lecture.video_id, [(segment, frames.grid)], said, settings):
            plan = plan._replace(clip_id=f"{state.lecture.video_id}_c{len(state.plans):05d}")
            state.plans.append(plan)
            if too_short(plan, settings):
                limit = f"shorter than clips.min_seconds, {settings.min_seconds} s"
                state.reject("clips", plan.start, plan.end, limit, {})
            else:
                made = self._pool.submit(self._make, state, plan, frames)
                self._under_way.append(_Making(plan, frames.memory, made))

    def close(self, state: LectureState) -> Count:
        self._gather(state, 0)
        return Count(len(state.plans), len(state.files), len(state.plans) - len(state.files))

    def stop(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _gather(self, state: LectureState, most: int) -> None:
        """Wait for clips, the first ones first, until the pictures of the others take at most so many bytes; for all
        where that is none."""
        while self._under_way and (most <= 0 or self._memory() > most):
            making = self._under_way.pop(0)
            state.files[making.plan.clip_id] = making.made.result()

    def _memory(self) -> int:
        return sum({item.plan.segment.index: item.memory for item in self._under_way if not item.made.done()}.values())

    def _make(self, state: LectureState, plan: ClipPlan, frames: SegmentFrames) -> ClipFiles:
        settings, reading = state.settings.clips, state.readings[plan.segment.index]
        info = state.known_info()
        said = [s for s in state.known_transcript().sentences if s.start < plan.end and s.end > plan.start]
        spans = [(sentence.start, sentence.end) for sentence in said]
        name = f"clip_{plan.clip_id}"
        paths = clip_paths(plan, state.out, settings)
        part = kept_part(reading.layout, state.settings.tissue, (info.width, info.height))

        def work() -> dict[str, Any]:
            refiner = Refiner(reading.texts, reading.persons, reading.glass, state.settings.screen_text, **part)
            pictures = frames.part(plan.first, plan.last)
            made = make_clip(state.lecture.path, plan, refiner, said, state.out, settings, pictures)._asdict()
            made["texts"] = [text.model_dump() for text in made["texts"]]
            made["persons"] = [person.model_dump() for person in made["persons"]]
            return {"made": made, "sizes": [path.stat().st_size for path in paths]}

        inputs = [plan.clip_id, plan.grid, plan.first, plan.last, plan.segment.end, reading, spans, part]
        done = state.once(self, name, inputs, work)
        if [path.stat().st_size if path.is_file() else None for path in paths] != done["sizes"]:
            state.steps.forget(name)  # somebody removed or damaged a file: make it again
            done = state.once(self, name, inputs, work)
        return _clip_files(done["made"])


def _grid(state: LectureState, segment: Segment) -> Grid:
    return segment_grid(segment, state.settings.clips.fps, state.known_info().fps)


def _frames(state: LectureState) -> LectureFrames:
    if state.frames is None:
        state.frames = LectureFrames(state.lecture.path, state.known_info(), state.listener.beat)
    return state.frames


def _covered(state: LectureState, segment: Segment) -> bool:
    """Whether presenters cover too much of a segment; it is rejected then."""
    info, reading = state.known_info(), state.readings[segment.index]
    covered = covered_share([person.box for person in reading.persons], (info.width, info.height))
    if covered <= state.settings.persons.max_covered:
        return False
    figures = {**segment.figures, "covered": round(covered, 4)}
    state.reject("persons", segment.start, segment.end, f"presenters cover {covered:.0%} of the frame", figures)
    return True


def _clip_files(made: dict[str, Any]) -> ClipFiles:
    texts = [RemovedText.model_validate(text) for text in made["texts"]]
    persons = [PersonBox.model_validate(person) for person in made["persons"]]
    boxes = {
        "crop": tuple(made["crop"]),
        "tissue_box": tuple(made["tissue_box"]) if made["tissue_box"] else None,
        "thumbnails": [tuple(box) for box in made["thumbnails"]],
    }
    return ClipFiles(**{**made, "texts": texts, "persons": persons, **boxes})
