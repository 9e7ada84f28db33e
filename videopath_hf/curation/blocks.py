"""The standard blocks: what curation does with a lecture, step by step."""

from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

from videopath_hf.curation.block import Block, Count, LectureState, SegmentBlock
from videopath_hf.curation.cases import Case, find_cases
from videopath_hf.curation.clips import (
    ClipFiles,
    ClipPlan,
    Grid,
    assign_sentences,
    clip_paths,
    make_clip,
    plan_clips,
    segment_grid,
    too_short,
)
from videopath_hf.curation.decisions import apply_decisions, candidates_hash
from videopath_hf.curation.frames import KEPT_BYTES, LectureFrames, SegmentFrames, decode_pass
from videopath_hf.curation.inputs import shown
from videopath_hf.curation.layout import kept_part
from videopath_hf.curation.quality import fault
from videopath_hf.curation.reading import SegmentReading, name_presenters, read_page, read_tissue
from videopath_hf.curation.refine import Refiner, covered_share
from videopath_hf.curation.segments import find_segments
from videopath_hf.curation.transcript import Transcript, transcribe, transcript_inputs
from videopath_hf.curation.yolo import open_detectors
from videopath_hf.records import ClipRecord, PersonBox, RemovedText, Segment, Sentence
from videopath_hf.video.backends import cpus
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.probe import VideoInfo

_DECODED_AHEAD = 2  # segments
_REASONS = {
    "title": "shows a title slide, no tissue",
    "presenter": "shows the presenter, no tissue",
    "other": "shows neither tissue nor a title slide nor a presenter",
}


class Probe(Block):
    """Decodes the whole video: proves it sound, measures it, and looks at it at low resolution on the way."""

    name = "probe"
    gives = ("info", "look")
    watched = True

    def run(self, state: LectureState) -> Count:
        def work() -> dict[str, Any]:
            frame_index(state.lecture.path)  # many small steps, each of which would wait for what is loaded beside it
            state.load_ahead()
            state.info, state.look = decode_pass(state.lecture.path, state.settings.segments, state.listener)
            return {name: value for name, value in vars(state.info).items() if name != "path"}

        found = state.once(self, "probe", [], work)
        state.info = VideoInfo(path=state.lecture.path, **found)
        state.listener.length(state.info.duration)
        return Count(1, 1)


class Transcribe(Block):
    """Finds the words: a subtitle file, speech to text, or none."""

    name = "transcribe"
    sections = ("transcript",)
    needs = ("info",)
    gives = ("transcript",)

    def run(self, state: LectureState) -> Count:
        lecture = state.lecture
        beside = transcript_inputs(lecture.path, state.settings.transcript)
        has_audio = state.known_info().has_audio

        def work() -> dict[str, Any]:
            made = transcribe(lecture.path, lecture.video_id, has_audio, state.settings.transcript)
            source = None if made.source is None else shown(made.source)
            return made.model_copy(update={"source": source, "notes": list(map(shown, made.notes))}).model_dump()

        found = state.once(self, "transcribe", [lecture.video_id, has_audio, beside], work)
        state.transcript = Transcript.model_validate(found)
        state.notes += [f"{lecture.source}: {note}" for note in state.transcript.notes]
        count = len(state.transcript.sentences)
        return Count(count, count)


class FindSegments(Block):
    """Cuts the lecture where its picture changes, and names what each part shows; only tissue goes on."""

    name = "segment"
    sections = ("segments", "tissue", "persons")
    needs = ("info", "look")
    gives = ("segments", "foreign")
    watched = True

    def run(self, state: LectureState) -> Count:
        inputs = [state.lecture.video_id, _detectors(state)]
        result = state.once(self, "segment", inputs, lambda: self._work(state))
        state.segments = [Segment.model_validate(segment) for segment in result["segments"]]
        state.look = None  # nobody needs it any more, and it grows with the lecture
        state.candidates = candidates_hash(state.segments)
        decisions = state.settings.decisions.get(state.lecture.sha256)
        if decisions is not None:
            times = frame_index(state.lecture.path).times
            state.segments = apply_decisions(state.segments, decisions, times)
        tissue = [segment for segment in state.segments if segment.kind == "tissue"]
        for time, x0, y0, x1, y1 in result["foreign"]:
            owner = next((segment.index for segment in tissue if segment.start <= time < segment.end), None)
            if owner is not None:
                state.foreign.setdefault(owner, []).append((time, (x0, y0, x1, y1)))
        for segment in state.segments:
            if segment.verdict == "reject":
                state.reject("decisions", segment.start, segment.end, "rejected by a person", segment.figures)
            elif segment.kind != "tissue":
                state.reject("segments", segment.start, segment.end, _REASONS[segment.kind], segment.figures)
        kept = sum(segment.verdict != "reject" for segment in tissue)
        return Count(len(state.segments), kept, len(state.segments) - kept)

    def _work(self, state: LectureState) -> dict[str, Any]:
        lecture, settings = state.lecture, state.settings
        seen = state.look
        if seen is None:  # probed in an earlier run
            _, seen = decode_pass(lecture.path, settings.segments, state.listener)
        segments: list[Segment] = []
        end = float(seen.times[0]) + state.known_info().duration
        found = find_segments(lecture.video_id, seen, settings, end)
        with ThreadPoolExecutor(min(2, cpus())) as pool:
            for named in pool.map(lambda segment: name_presenters(lecture.path, [segment], settings), found):
                segments += named
                state.listener.beat(len(segments), None)
        times = [(float(seen.times[sample.frame]), sample.foreign) for sample in seen.samples]
        return {
            "segments": [segment.model_dump() for segment in segments],
            "foreign": [[time, *box] for time, boxes in times for box in boxes],
        }


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
        known = [reading.layout for reading in state.readings.values() if reading.layout is not None]
        inputs: list[Any] = [segment.kind, grid, segment.end, foreign, settings.segments.sample_fps]
        inputs += [reader and reader.name, known if tissue else None, _detectors(state)]

        def work() -> dict[str, Any]:
            path, frames = state.lecture.path, _frames(state)
            mine = frames.of(grid).all() if tissue else None
            following = (s for s in state.segments if s.start > segment.start and s.kind == "tissue")
            for coming in islice(following, _DECODED_AHEAD):
                frames.begin(_grid(state, coming))
            if mine is None:
                return read_page(path, segment, reader, settings).model_dump()
            return read_tissue(path, info, segment, grid, foreign, reader, settings, mine, known).model_dump()

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


class NameCases(Block):
    """Tells which case each segment is about, and finds its organ and diagnosis."""

    name = "case"
    sections = ("cases",)
    needs = ("segments", "readings")
    gives = ("cases",)

    def run(self, state: LectureState) -> Count:
        texts = [text for _, reading in sorted(state.readings.items()) for text in reading.texts]
        said = state.known_transcript().sentences
        state.cases = find_cases(state.segments, said, texts, state.settings.cases)
        named = sum(case.diagnosis is not None for case in state.cases)
        return Count(len(state.cases), named)


class Quality(Block):
    """Drops clips that are not worth keeping, and writes the records of the others."""

    name = "quality"
    sections = ("quality",)
    needs = ("plans", "files", "cases")
    gives = ("clips",)

    def run(self, state: LectureState) -> Count:
        plans = [plan for plan in state.plans if plan.clip_id in state.files]
        said = state.known_transcript().sentences
        given = assign_sentences(state.plans, said)
        spoken = {plan.clip_id: words for plan, words in zip(state.plans, given, strict=True)}
        owner = {index: case for case in state.cases for index in case.segments}
        for plan in plans:
            made = state.files[plan.clip_id]
            why = fault(made.quality, bool(said), state.settings.quality)
            if why is not None:
                state.reject("quality", plan.start, plan.end, why, made.quality)
            else:
                state.clips.append(_record(state, plan, made, spoken[plan.clip_id], owner[plan.segment.index]))
        silent = sorted({clip.case for clip in state.clips if clip.diagnosis is None and clip.case is not None})
        if silent:
            cases = ", ".join(map(str, silent))
            source = state.lecture.source
            state.notes.append(f"{source}: no diagnosis is spoken or shown for case {cases}; its clips have none")
        return Count(len(plans), len(state.clips), len(plans) - len(state.clips))


STANDARD: dict[str, type[Block]] = {
    block.name: block for block in (Probe, Transcribe, FindSegments, Read, Clip, NameCases, Quality)
}
"""The standard blocks by the names that `CurateSettings.blocks` calls them."""


def _grid(state: LectureState, segment: Segment) -> Grid:
    return segment_grid(segment, state.settings.clips.fps, state.known_info().fps)


def _frames(state: LectureState) -> LectureFrames:
    if state.frames is None:
        state.frames = LectureFrames(state.lecture.path, state.known_info(), state.listener.beat)
    return state.frames


def _detectors(state: LectureState) -> list[str]:
    return [detector.name for detector in open_detectors(state.settings)]


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


def _record(state: LectureState, plan: ClipPlan, made: ClipFiles, words: list[Sentence], case: Case) -> ClipRecord:
    return ClipRecord(
        clip_id=plan.clip_id,
        video_id=state.lecture.video_id,
        source=state.lecture.source,
        start=plan.start,
        end=plan.end,
        fps=state.settings.clips.fps,
        frames=made.frames,
        width=made.width,
        height=made.height,
        clip=f"clips/{plan.clip_id}.mp4",
        sha256=made.sha256,
        transcript=words,
        text=" ".join(sentence.text for sentence in words),
        case=case.number,
        organ=case.organ,
        diagnosis=case.diagnosis,
        crop=made.crop,
        tissue_box=made.tissue_box,
        thumbnails=made.thumbnails,
        hashes=made.hashes,
        persons=made.persons,
        removed_text=made.texts,
        quality=made.quality,
        keyframes=made.keyframes,
    )
