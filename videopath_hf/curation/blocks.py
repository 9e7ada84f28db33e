"""The standard blocks: what curation does with a lecture, step by step."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from videopath_hf.curation.block import Block, Count, LectureState
from videopath_hf.curation.cases import Case, find_cases
from videopath_hf.curation.clips import ClipFiles, ClipPlan, assign_sentences
from videopath_hf.curation.decisions import apply_decisions, candidates_hash
from videopath_hf.curation.frames import decode_pass
from videopath_hf.curation.inputs import shown
from videopath_hf.curation.quality import fault
from videopath_hf.curation.reading import name_presenters
from videopath_hf.curation.segment_blocks import Clip, Read
from videopath_hf.curation.segments import find_segments
from videopath_hf.curation.transcript import Transcript, transcribe, transcript_inputs
from videopath_hf.curation.yolo import detector_names
from videopath_hf.records import ClipRecord, Segment, Sentence
from videopath_hf.video.backends import cpus
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.probe import VideoInfo

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
        inputs = [state.lecture.video_id, detector_names(state.settings)]
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
