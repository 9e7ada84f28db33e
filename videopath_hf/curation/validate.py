"""Checks of a finished curated folder: does it hold what its records say, and nothing else."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from videopath_hf.curation.transcript import Transcript
from videopath_hf.errors import UserError, first_fault
from videopath_hf.files import file_sha256, read_json, resolve_inside
from videopath_hf.records import SCHEMA_VERSION, ClipRecord, Record, Reject, Segment
from videopath_hf.video.probe import VideoError, probe

RecordT = TypeVar("RecordT", bound=BaseModel)


class Finding(Record):
    """Something that is wrong with a folder: in which file, at which line or record, and what."""

    file: str
    where: str
    problem: str


def validate(out: Path) -> list[Finding]:
    """Check a folder that `curate` wrote: every record validates, its files are inside the folder and are those that
    were written, ids are unique, transcripts are there, and the counts are those of `run.json`.

    Returns:
        `list[Finding]`: what is wrong; empty for a sound folder.

    Raises:
        UserError: the folder does not exist or holds no curation run at all.
    """
    out = Path(out)
    if not out.is_dir():
        raise UserError(f"{out} is not a folder; give one that videopath curate wrote")
    run = read_json(out / "run.json")
    if not isinstance(run, dict) or run.get("what") != "curate":
        raise UserError(f"{out / 'run.json'} is not of a curate run; give a folder that videopath curate wrote")
    findings: list[Finding] = []
    clips = _records(out, "clips.jsonl", ClipRecord, findings, needed=_number(run, "clips") != 0)
    rejects = _records(out, "rejects.jsonl", Reject, findings)
    segments = _records(out, "segments.jsonl", Segment, findings)
    for clip in clips:
        findings += [Finding(file="clips.jsonl", where=clip.clip_id, problem=text) for text in _clip(out, clip)]
    findings += _together(out, clips, segments)
    findings += _counts(run, clips, rejects)
    return findings


def _records(out: Path, name: str, cls: type[RecordT], findings: list[Finding], needed: bool = True) -> list[RecordT]:
    """All records of a file that validate; a finding for each line that does not."""
    if not (out / name).is_file():
        if needed:
            findings.append(Finding(file=name, where="", problem="does not exist"))
        return []
    records = []
    lines = (out / name).read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = cls.model_validate_json(line)
        except ValidationError as error:
            field, message = first_fault(error)
            problem = f"is no {cls.__name__}: {field or 'line'}: {message}"
            findings.append(Finding(file=name, where=f"line {number}", problem=problem))
            continue
        if getattr(record, "schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
            problem = f"schema_version is not {SCHEMA_VERSION}"
            findings.append(Finding(file=name, where=f"line {number}", problem=problem))
        records.append(record)
    return records


def _clip(out: Path, clip: ClipRecord) -> Iterator[str]:
    """What is wrong with one clip and its files."""
    if clip.end <= clip.start:
        yield f"ends at {clip.end} s, before or when it starts at {clip.start} s"
    if Path(clip.source).is_absolute():
        yield f"source {clip.source} names a place on a machine"
    for name in [clip.clip, *clip.keyframes, *(f"sheets/{clip.clip_id}_{side}.jpg" for side in ("before", "after"))]:
        try:
            if not resolve_inside(out, name).is_file():
                yield f"{name} does not exist"
            elif name == clip.clip:
                yield from _video(out / name, clip)
        except UserError as error:
            yield str(error)


def _video(path: Path, clip: ClipRecord) -> Iterator[str]:
    if file_sha256(path) != clip.sha256:
        yield f"{clip.clip} is not the file that was written: its SHA-256 is another"
    try:
        info = probe(path)
    except VideoError as error:
        yield f"{clip.clip} does not decode: {error}"
        return
    if info.frames != clip.frames:
        yield f"{clip.clip} has {info.frames} frames, its record says {clip.frames}"
    if (info.width, info.height) != (clip.width, clip.height):
        yield f"{clip.clip} is {info.width}x{info.height}, its record says {clip.width}x{clip.height}"
    if info.has_audio:
        yield f"{clip.clip} has sound"


def _together(out: Path, clips: list[ClipRecord], segments: list[Segment]) -> Iterator[Finding]:
    """What is wrong with the records taken together."""
    for clip_id, count in Counter(clip.clip_id for clip in clips).items():
        if count > 1:
            yield Finding(file="clips.jsonl", where=clip_id, problem=f"comes {count} times")
    for video_id in sorted({clip.video_id for clip in clips} | {segment.video_id for segment in segments}):
        name = f"transcripts/{video_id}.json"
        try:
            Transcript.model_validate(read_json(out / name))
        except (UserError, ValidationError) as error:
            problem = "is no transcript" if isinstance(error, ValidationError) else str(error)
            yield Finding(file=name, where="", problem=problem)
    named = {clip.clip for clip in clips}
    for path in sorted((out / "clips").glob("*")):
        if f"clips/{path.name}" not in named:
            yield Finding(file=f"clips/{path.name}", where="", problem="belongs to no record")


def _counts(run: dict[str, Any], clips: list[ClipRecord], rejects: list[Reject]) -> Iterator[Finding]:
    """Where `run.json` counts otherwise than the records do."""
    by_step = dict(sorted(Counter(reject.step for reject in rejects).items()))
    counted = {"clips": len(clips), "rejects": by_step}
    for name, value in counted.items():
        said = run.get("summary", {}).get(name)
        if said != value:
            yield Finding(file="run.json", where=f"summary.{name}", problem=f"is {said}, the records say {value}")
    per_video = Counter(clip.video_id for clip in clips)
    for entry in run.get("lectures", []):
        if entry.get("clips") != per_video[entry.get("video_id")]:
            video_id, seen = entry.get("video_id"), per_video[entry.get("video_id")]
            problem = f"has {entry.get('clips')} clips, the records say {seen}"
            yield Finding(file="run.json", where=f"lectures.{video_id}", problem=problem)


def _number(run: dict[str, Any], name: str) -> Any:
    return run.get("summary", {}).get(name)
