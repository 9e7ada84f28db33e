"""Curation from end to end: lectures in; clips, records, rejects and a report out."""

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from videopath_hf import __version__
from videopath_hf.curation.inputs import Lecture, find_lectures
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.errors import MissingExtraError, TooManyRejectsError, UserError
from videopath_hf.files import content_hash, file_sha256, read_json, write_json, write_records
from videopath_hf.progress import note
from videopath_hf.records import ClipRecord, Record, Reject
from videopath_hf.runs import claim_output

_NEEDED = {"cv2": "opencv", "skimage": "scikit-image", "scenedetect": "scenedetect"}
_VERSIONS = (
    "videopath-hf", "av", "numpy", "opencv-python-headless", "scenedetect-headless", "scikit-image", "rapidocr",
    "onnxruntime", "openai-whisper",
)  # fmt: skip


class CurateSummary(Record):
    """What a run of `curate` did.

    Args:
        out (`str`): the output folder.
        videos (`int`): inputs that were curated; `failed` ones could not be read.
        clips (`int`): clips kept; `clip_seconds` is their length together.
        rejects (`dict[str, int]`): what was dropped, by step.
        cases (`dict[str, str | None]`): `"<video_id>/<case>"` and the diagnosis that was found for it.
        notes (`list[str]`): what was left out or could not be done.
        seconds (`dict[str, float]`): seconds by step.
    """

    out: str
    videos: int
    failed: int
    clips: int
    clip_seconds: float
    rejects: dict[str, int]
    cases: dict[str, str | None]
    notes: list[str]
    seconds: dict[str, float]


def curate(inputs: Sequence[Path], out: Path, settings: CurateSettings) -> CurateSummary:
    """Turn lecture videos into clean, labelled clips.

    Args:
        inputs (`Sequence[Path]`): video files and folders of them; subtitle files are found beside the videos.
        out (`Path`): output folder. A run that was interrupted goes on where it stopped.
        settings (`CurateSettings`): all settings.

    Raises:
        UserError: no usable input, an output folder that is not this run's, nothing worth keeping in any lecture.
        TooManyRejectsError: more than `max_failed_videos` of the inputs could not be read; the others are done.
        MissingExtraError: the `curate` extra is not installed.
    """
    out = Path(out)
    for module, package in _NEEDED.items():
        if find_spec(module) is None:
            raise MissingExtraError(package, "curate", "curating videos")
    from videopath_hf.curation.transcript import sidecars

    lectures = find_lectures(inputs, out)
    _check_backends(lectures, settings)
    beside = [[(path.name, file_sha256(path)) for path in sidecars(lecture.path)] for lecture in lectures]
    names = [(lecture.video_id, lecture.source, lecture.sha256) for lecture in lectures]
    with claim_output(out, content_hash(names, beside, settings), "curate"):
        finished = _finished(out)
        summary = finished if finished is not None else _Run(lectures, out, settings).run()
    if summary.failed > settings.max_failed_videos * len(lectures):
        raise TooManyRejectsError(
            f"{summary.failed} of {len(lectures)} videos could not be curated, more than max_failed_videos = "
            f"{settings.max_failed_videos} allows; they are named, with the reasons, in {out / 'rejects.jsonl'}"
        )
    return summary


def _check_backends(lectures: Sequence[Lecture], settings: CurateSettings) -> None:
    """Refuse what cannot work before the output folder is claimed for it."""
    from videopath_hf.curation.ocr import rapidocr_installed
    from videopath_hf.curation.speech import find_whisper
    from videopath_hf.curation.transcript import sidecars
    from videopath_hf.curation.yolo import check_detectors

    check_detectors(settings)
    if settings.screen_text.backend == "rapidocr" and not rapidocr_installed():
        raise MissingExtraError("rapidocr", "curate", "screen_text.backend=rapidocr")
    if settings.transcript.backend == "whisper" and isinstance(
        missing := find_whisper(settings.transcript.whisper_model), str
    ):
        raise UserError(f"transcript.backend=whisper cannot be used: {missing}")
    without = [lecture.path.name for lecture in lectures if not sidecars(lecture.path)]
    if settings.transcript.backend == "sidecar" and len(without) == len(lectures):
        raise UserError(
            f"transcript.backend=sidecar, but no input has a .srt, .vtt or .json file of its name beside it "
            f"({', '.join(without[:3])}); add them or set transcript.backend to auto, whisper or none"
        )


def _finished(out: Path) -> CurateSummary | None:
    """The summary of a run that was finished by this version and whose clips are all still there."""
    path = out / "run.json"
    if not path.exists() or not (out / "clips.jsonl").exists() or not (out / "report.html").exists():
        return None
    data = read_json(path)
    if data["versions"] != _versions() or any(
        not (out / name).is_file() or (out / name).stat().st_size != size for name, size in data["files"].items()
    ):
        return None
    return CurateSummary.model_validate({**data["summary"], "out": str(out)})


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for package in _VERSIONS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


class _Run:
    """A run over several lectures."""

    def __init__(self, lectures: list[Lecture], out: Path, settings: CurateSettings) -> None:
        self.lectures = lectures
        self.out = out
        self.settings = settings
        self.rejects: list[Reject] = []
        self.notes: list[str] = []
        self.seconds: dict[str, float] = {}
        self.failed = 0

    def run(self) -> CurateSummary:
        from videopath_hf.curation.lecture import Curated
        from videopath_hf.curation.ocr import make_reader

        infos = self._probe()
        reader, why = make_reader(self.settings.screen_text)
        if why is not None:
            self._note(why)
        done: list[Curated] = []
        for lecture, info in infos:
            curated = self._curate(lecture, info, reader)
            if curated is not None:
                done.append(curated)
        return self._finish(done)

    def _probe(self) -> list[tuple[Lecture, Any]]:
        from videopath_hf.curation.lecture import probe_lecture

        infos = []
        for lecture in self.lectures:
            try:
                info, seconds = probe_lecture(lecture, self.out)
            except UserError as error:
                self._fail(lecture, "probe", error)
                continue
            infos.append((lecture, info))
            self.seconds["probe"] = round(self.seconds.get("probe", 0.0) + seconds, 3)
        return infos

    def _curate(self, lecture: Lecture, info: Any, reader: Any) -> Any:
        from videopath_hf.curation.lecture import LectureRun

        note(f"curating {lecture.source}: {info.duration:.1f} s, {info.width}x{info.height}, {info.fps:.4g} fps")
        try:
            curated = LectureRun(lecture, self.out, self.settings, reader, info).run()
        except UserError as error:
            self._fail(lecture, "curate", error)
            return None
        for message in curated.notes:
            self._note(message)
        self.rejects += curated.rejects
        for block, seconds in curated.seconds.items():
            self.seconds[block] = round(self.seconds.get(block, 0.0) + seconds, 3)
        if not curated.clips:
            self._note(f"{lecture.source}: nothing was kept")
        return curated

    def _fail(self, lecture: Lecture, step: str, error: UserError) -> None:
        """Note a lecture that cannot be curated; alone, it is the user's mistake and ends the run."""
        if len(self.lectures) == 1:
            raise error
        self.failed += 1
        self.rejects.append(
            Reject(video_id=lecture.video_id, source=lecture.source, start=0, end=0, step=step, reason=str(error))
        )
        note(f"skipped {lecture.source}: {error}")

    def _note(self, message: str) -> None:
        self.notes.append(message)
        note(message)

    def _finish(self, done: list[Any]) -> CurateSummary:
        from videopath_hf.curation.duplicates import write_duplicates
        from videopath_hf.curation.report import write_report

        clips: list[ClipRecord] = [clip for curated in done for clip in curated.clips]
        write_records(self.out / "segments.jsonl", (segment for curated in done for segment in curated.segments))
        write_records(self.out / "rejects.jsonl", self.rejects)
        for curated in done:
            write_json(
                self.out / "transcripts" / f"{curated.transcript.video_id}.json", curated.transcript.model_dump()
            )
        if clips:
            write_records(self.out / "clips.jsonl", clips)
        leakage = write_duplicates(self.out, clips, self.settings.quality)
        if leakage is not None:
            self._note(leakage)
        _remove_leftovers(self.out, clips)
        summary = CurateSummary(
            out=str(self.out),
            videos=len(done),
            failed=self.failed,
            clips=len(clips),
            clip_seconds=round(sum(clip.end - clip.start for clip in clips), 3),
            rejects=dict(sorted(Counter(reject.step for reject in self.rejects).items())),
            cases={f"{c.video_id}/{c.case}": c.diagnosis.value if c.diagnosis else None for c in clips},
            notes=self.notes,
            seconds=self.seconds,
        )
        self._write_run(summary, done, clips)
        write_report(self.out)
        if not clips and self.failed <= self.settings.max_failed_videos * len(self.lectures):
            raise UserError(self._nothing_kept(done))
        return summary

    def _write_run(self, summary: CurateSummary, done: list[Any], clips: list[ClipRecord]) -> None:
        names = sorted(name for clip in clips for name in [clip.clip, *clip.keyframes])
        write_json(
            self.out / "run.json",
            {
                "what": "curate",
                "version": __version__,
                "versions": _versions(),
                "settings_hash": content_hash(self.settings),
                "settings": self.settings.model_dump(),
                "lectures": [
                    {
                        "video_id": curated.transcript.video_id,
                        "source": next(x.source for x in self.lectures if x.video_id == curated.transcript.video_id),
                        **{key: value for key, value in vars(curated.info).items() if key != "path"},
                        "transcript": curated.transcript.backend,
                        "clips": len(curated.clips),
                    }
                    for curated in done
                ],
                "summary": summary.model_dump(exclude={"out"}),
                "files": {name: (self.out / name).stat().st_size for name in names},
            },
        )

    def _nothing_kept(self, done: list[Any]) -> str:
        names = ", ".join(lecture.source for lecture in self.lectures)
        kinds = Counter(segment.kind for curated in done for segment in curated.segments)
        where = f"see {self.out / 'rejects.jsonl'}"
        if kinds["tissue"]:
            reasons = "; ".join(sorted({reject.reason for reject in self.rejects if reject.step != "segments"}))
            return f"no clip could be kept from {names}: {reasons}; {where}"
        seen = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        return f"no tissue found in {names}: the segments are {seen}; {where}"


def _remove_leftovers(out: Path, clips: Sequence[ClipRecord]) -> None:
    """Remove clips that were dropped after they were written, and what a killed run left half-written."""
    kept = {out / clip.clip for clip in clips} | {out / name for clip in clips for name in clip.keyframes}
    kept |= {out / "sheets" / f"{clip.clip_id}_{side}.jpg" for clip in clips for side in ("before", "after")}
    for folder in ("clips", "sheets", "keyframes"):
        for path in (out / folder).glob("*"):
            if path not in kept:
                path.unlink()
        if (out / folder).is_dir() and not any((out / folder).iterdir()):
            (out / folder).rmdir()
    for path in out.rglob(".*"):
        if path.is_file() and path.name not in (".lock", ".claim.json"):
            path.unlink()
