"""One lecture through all blocks, each step kept on disk so that it is done once."""

from pathlib import Path
from typing import Any, NamedTuple

from videopath_hf import __version__
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
from videopath_hf.curation.inputs import Lecture
from videopath_hf.curation.layout import Layout, kept_part
from videopath_hf.curation.look import look
from videopath_hf.curation.ocr import TextReader
from videopath_hf.curation.quality import fault
from videopath_hf.curation.reading import SegmentReading, name_presenters, read_page, read_tissue
from videopath_hf.curation.refine import Refiner, covered_share
from videopath_hf.curation.segments import find_segments
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.curation.transcript import Transcript, sidecars, transcribe
from videopath_hf.files import content_hash, file_sha256
from videopath_hf.progress import track
from videopath_hf.records import Box, ClipRecord, PersonBox, Reject, RemovedText, Segment, Sentence
from videopath_hf.runs import Steps
from videopath_hf.video.probe import VideoInfo, probe

_REASONS = {
    "title": "shows a title slide, no tissue",
    "presenter": "shows the presenter, no tissue",
    "other": "shows neither tissue nor a title slide nor a presenter",
}


class Curated(NamedTuple):
    """What came out of one lecture."""

    info: VideoInfo
    transcript: Transcript
    segments: list[Segment]
    clips: list[ClipRecord]
    rejects: list[Reject]
    notes: list[str]
    seconds: dict[str, float]


class LectureRun:
    """Curates one lecture into an output folder.

    Args:
        lecture (`Lecture`): the input.
        out (`Path`): the run's output folder.
        settings (`CurateSettings`): all settings.
        reader (`TextReader`, *optional*): reads on-screen text; None where there is no OCR.
        info (`VideoInfo`): what `probe_lecture` returned.
    """

    def __init__(
        self, lecture: Lecture, out: Path, settings: CurateSettings, reader: TextReader | None, info: VideoInfo
    ) -> None:
        self.lecture = lecture
        self.out = out
        self.settings = settings
        self.reader = reader
        self.info = info
        self.steps = lecture_steps(lecture, out)
        self.key = content_hash(__version__, lecture.sha256, settings, reader.name if reader else None)
        self.rejects: list[Reject] = []

    def run(self) -> Curated:
        """Do every step that is not done yet.

        Raises:
            UserError: the transcript that was asked for is not there, or a part of the video does not decode.
        """
        transcript = self._transcribe()
        segments, foreign = self._segment()
        readings: dict[int, SegmentReading] = {}
        for segment in segments:
            known = [reading.layout for reading in readings.values() if reading.layout is not None]
            readings[segment.index] = self._read(segment, foreign.get(segment.index, []), known)
        texts = [text for reading in readings.values() for text in reading.texts]
        cases = find_cases(segments, transcript.sentences, texts, self.settings.cases)
        kept = [(s, self._grid(s)) for s in segments if self._keep(s, readings[s.index])]
        plans = plan_clips(self.lecture.video_id, kept, transcript.sentences, self.settings.clips)
        spoken = assign_sentences(plans, transcript.sentences)
        owner = {index: case for case in cases for index in case.segments}
        clips: list[ClipRecord] = []
        for plan, words in track(list(zip(plans, spoken, strict=True)), f"{self.lecture.source}: clips"):
            if too_short(plan, self.settings.clips):
                limit = self.settings.clips.min_seconds
                self._reject(plan.start, plan.end, "clips", f"shorter than clips.min_seconds, {limit} s", {})
                continue
            made = self._make(plan, readings[plan.segment.index], transcript)
            why = fault(made.quality, bool(transcript.sentences), self.settings.quality)
            if why is not None:
                self._reject(plan.start, plan.end, "quality", why, made.quality)
            else:
                clips.append(self._record(plan, made, words, owner[plan.segment.index]))
        return Curated(
            self.info, transcript, segments, clips, self.rejects, self._notes(transcript, clips), self._seconds()
        )

    def _transcribe(self) -> Transcript:
        found = [(path.name, file_sha256(path)) for path in sidecars(self.lecture.path)]
        result = self.steps.run(
            "transcribe",
            content_hash(__version__, self.lecture.sha256, self.settings.transcript, found),
            lambda: transcribe(
                self.lecture.path, self.lecture.video_id, self.info.has_audio, self.settings.transcript
            ).model_dump(),
        )
        return Transcript.model_validate(result)

    def _segment(self) -> tuple[list[Segment], dict[int, list[tuple[float, Box]]]]:
        """All segments, and for tissue segments the times and boxes of what may be a presenter's inset."""

        def work() -> dict[str, Any]:
            seen = look(self.lecture.path, self.info, self.settings.segments)
            segments = name_presenters(
                self.lecture.path, find_segments(self.lecture.video_id, seen, self.settings), self.settings
            )
            times = [(float(seen.times[sample.frame]), sample.foreign) for sample in seen.samples]
            foreign = {
                segment.index: [(t, box) for t, boxes in times if segment.start <= t < segment.end for box in boxes]
                for segment in segments
                if segment.kind == "tissue"
            }
            return {
                "segments": [segment.model_dump() for segment in segments],
                "foreign": [[index, t, *box] for index, found in foreign.items() for t, box in found],
            }

        result = self.steps.run("segment", self.key, work)
        foreign: dict[int, list[tuple[float, Box]]] = {}
        for index, time, x0, y0, x1, y1 in result["foreign"]:
            foreign.setdefault(index, []).append((time, (x0, y0, x1, y1)))
        return [Segment.model_validate(segment) for segment in result["segments"]], foreign

    def _grid(self, segment: Segment) -> Grid:
        return segment_grid(segment, self.settings.clips.fps, self.info.fps)

    def _read(self, segment: Segment, foreign: list[tuple[float, Box]], known: list[Layout]) -> SegmentReading:
        def work() -> dict[str, Any]:
            path = self.lecture.path
            if segment.kind != "tissue":
                return read_page(path, segment, self.reader, self.settings).model_dump()
            grid = self._grid(segment)
            return read_tissue(path, self.info, segment, grid, foreign, self.reader, self.settings, known).model_dump()

        return SegmentReading.model_validate(self.steps.run(f"read_{segment.index:04d}", self.key, work))

    def _keep(self, segment: Segment, reading: SegmentReading) -> bool:
        """Whether a segment goes on to be cut into clips; a reject is noted for one that does not."""
        if segment.kind != "tissue":
            self._reject(segment.start, segment.end, "segments", _REASONS[segment.kind], segment.figures)
            return False
        covered = covered_share([person.box for person in reading.persons], (self.info.width, self.info.height))
        if covered > self.settings.persons.max_covered:
            figures = {**segment.figures, "covered": round(covered, 4)}
            self._reject(
                segment.start, segment.end, "persons", f"presenters cover {covered:.0%} of the frame", figures
            )
            return False
        return True

    def _make(self, plan: ClipPlan, reading: SegmentReading, transcript: Transcript) -> ClipFiles:
        refiner = Refiner(
            reading.texts,
            reading.persons,
            reading.glass,
            self.settings.screen_text,
            **kept_part(reading.layout, self.settings.tissue, (self.info.width, self.info.height)),
        )
        key = content_hash(self.key, list(plan), reading, transcript.sentences)
        name = f"clip_{plan.clip_id}"
        if not all(path.is_file() for path in clip_paths(plan, self.out, self.settings.clips)):
            (self.steps.folder / f"{name}.json").unlink(missing_ok=True)  # somebody removed a file: make it again

        def work() -> dict[str, Any]:
            made = make_clip(
                self.lecture.path, plan, refiner, transcript.sentences, self.out, self.settings.clips
            )._asdict()
            made["texts"] = [text.model_dump() for text in made["texts"]]
            made["persons"] = [person.model_dump() for person in made["persons"]]
            return made

        done = self.steps.run(name, key, work)
        texts = [RemovedText.model_validate(text) for text in done["texts"]]
        persons = [PersonBox.model_validate(person) for person in done["persons"]]
        boxes = {
            "crop": tuple(done["crop"]),
            "tissue_box": tuple(done["tissue_box"]) if done["tissue_box"] else None,
            "thumbnails": [tuple(box) for box in done["thumbnails"]],
        }
        return ClipFiles(**{**done, "texts": texts, "persons": persons, **boxes})

    def _record(self, plan: ClipPlan, made: ClipFiles, words: list[Sentence], case: Case) -> ClipRecord:
        return ClipRecord(
            clip_id=plan.clip_id,
            video_id=self.lecture.video_id,
            source=self.lecture.source,
            start=plan.start,
            end=plan.end,
            fps=self.settings.clips.fps,
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

    def _reject(self, start: float, end: float, step: str, reason: str, figures: dict[str, float]) -> None:
        self.rejects.append(
            Reject(
                video_id=self.lecture.video_id,
                source=self.lecture.source,
                start=start,
                end=end,
                step=step,
                reason=reason,
                figures=figures,
            )
        )

    def _notes(self, transcript: Transcript, clips: list[ClipRecord]) -> list[str]:
        notes = [f"{self.lecture.source}: {note}" for note in transcript.notes]
        silent = sorted({clip.case for clip in clips if clip.diagnosis is None and clip.case is not None})
        if silent:
            cases = ", ".join(map(str, silent))
            notes.append(
                f"{self.lecture.source}: no diagnosis is spoken or shown for case {cases}; its clips have none"
            )
        return notes

    def _seconds(self) -> dict[str, float]:
        """Seconds by block; what was done in an earlier run counts as it did then."""
        seconds: dict[str, float] = {}
        for name, value in self.steps.seconds.items():
            block = name.split("_")[0]
            seconds[block] = round(seconds.get(block, 0.0) + value, 3)
        return seconds


def lecture_steps(lecture: Lecture, out: Path) -> Steps:
    """Where the finished steps of a lecture are kept."""
    return Steps(out / ".work" / lecture.video_id)


def probe_lecture(lecture: Lecture, out: Path) -> tuple[VideoInfo, float]:
    """Probe a lecture once; returns what was found and how many seconds it took.

    Raises:
        VideoError: it is not a video that decodes.
    """

    def work() -> dict[str, Any]:
        info = probe(lecture.path)
        return {name: value for name, value in vars(info).items() if name != "path"}

    steps = lecture_steps(lecture, out)
    result = steps.run("probe", content_hash(__version__, lecture.sha256), work)
    return VideoInfo(path=lecture.path, **result), steps.seconds["probe"]
