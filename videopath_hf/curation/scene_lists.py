"""Segments as lists that people edit elsewhere: CSV, CMX 3600 edit decision lists, PySceneDetect's scene lists.

Every format is exact to the frame. What a list leaves out is rejected; a list without kinds takes the candidates'.
"""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from videopath_hf.curation.decisions import DecidedSegment, Decisions
from videopath_hf.errors import UserError
from videopath_hf.files import read_json, read_records, write_text
from videopath_hf.records import Segment, SegmentKind, Verdict

Format = Literal["csv", "edl", "scenedetect"]
_COLUMNS = ("video_id", "start_frame", "end_frame", "start", "end", "kind", "verdict")
_KINDS: tuple[SegmentKind, ...] = ("tissue", "presenter", "title", "other")
_VERDICTS: tuple[Verdict, ...] = ("accept", "reject")
_EVENT = re.compile(
    r"^\s*\d+\s+(\S+)\s+(\S+)\s+(\S+)\s+(?:\d+\s+)?" + r"\s+".join([r"(\d+[:;]\d+[:;]\d+[:;.]\d+)"] * 4)
)


class Reviewed(NamedTuple):
    """A curated lecture as lists and pages need it: what `run.json` says of it, and its segments."""

    video_id: str
    source: str
    sha256: str
    frames: int
    fps: float
    candidates: str
    segments: list[Segment]

    def time(self, frame: int) -> float:
        """Seconds of a frame, straight between the known bounds: exact where the frame rate is constant."""
        return float(np.interp(frame, *self._known()))

    def frame(self, time: float) -> int:
        """The frame nearest to a time."""
        frames, times = self._known()
        return round(float(np.interp(time, times, frames)))

    def _known(self) -> tuple[list[float], list[float]]:
        bounds = [(float(s.first or 0), s.start) for s in self.segments] + [
            (float(self.frames), self.segments[-1].end)
        ]
        return [frame for frame, _ in bounds], [time for _, time in bounds]


def read_reviewed(curated: Path) -> list[Reviewed]:
    """All lectures of a curated folder.

    Raises:
        UserError: it is no finished folder of `curate`.
    """
    path = Path(curated) / "run.json"
    if not path.is_file():
        raise UserError(f"{curated} is not a finished folder of `videopath curate`: it holds no run.json")
    segments = read_records(Path(curated) / "segments.jsonl", Segment)
    found = []
    for entry in read_json(path).get("lectures", []):
        if "candidates" not in entry:
            raise UserError(f"{curated} was curated by a version without frame-exact segments; curate it again")
        own = [segment for segment in segments if segment.video_id == entry["video_id"]]
        found.append(Reviewed(**{name: entry[name] for name in Reviewed._fields[:-1]}, segments=own))
    return found


def pick(lectures: Sequence[Reviewed], video: str | None) -> Reviewed:
    """The lecture named `video`, or the only one there is."""
    named = [lecture for lecture in lectures if video in (None, lecture.video_id)]
    if len(named) == 1:
        return named[0]
    names = ", ".join(lecture.video_id for lecture in lectures)
    raise UserError(
        f"--video {video} is not a lecture of this folder" if video else f"name a lecture with --video: {names}"
    )


def export_segments(lecture: Reviewed, path: Path, form: Format) -> int:
    """Write a lecture's segments as a list and return how many; EDL and scene lists leave rejected ones out."""
    kept = lecture.segments if form == "csv" else [s for s in lecture.segments if s.verdict != "reject"]
    write = {"csv": _csv, "edl": _edl, "scenedetect": _scene_list}[form]
    write_text(path, write(lecture, kept))
    return len(kept)


def import_segments(lecture: Reviewed, path: Path) -> Decisions:
    """Read a list, in whichever of the formats it is, as decisions about a lecture.

    Raises:
        UserError: names the file and line that cannot be read, overlaps another, or reaches beyond the video.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text: {error}") from None
    if "Scene Number" in text:
        spans = _read_scene_list(text, path)
    elif "start_frame" in text or "start" in text.split("\n")[0].split(","):
        spans = _read_csv(text, path, lecture)
    elif _is_edl(text):
        spans = _read_edl(text, path, lecture)
    else:
        raise UserError(
            f"{path} is none of the known lists: CSV with columns {', '.join(_COLUMNS)}, a CMX 3600 EDL, or "
            "PySceneDetect's scene list"
        )
    return Decisions(
        video_id=lecture.video_id,
        sha256=lecture.sha256,
        frames=lecture.frames,
        segments=_without_gaps(sorted(spans, key=lambda span: span.first), lecture.frames, path),
    )


def _without_gaps(spans: Sequence[DecidedSegment], frames: int, path: Path) -> list[DecidedSegment]:
    if not spans:
        raise UserError(f"{path} lists no segment")
    whole: list[DecidedSegment] = []
    end = 0
    for span in spans:
        if span.first < end:
            raise UserError(f"{path}: the segment from frame {span.first} overlaps the one before it, up to {end}")
        if span.last > frames:
            raise UserError(f"{path}: a segment ends at frame {span.last}, the video has {frames}")
        if span.first > end:
            whole.append(DecidedSegment(first=end, last=span.first, verdict="reject"))
        whole.append(span)
        end = span.last
    if end < frames:
        whole.append(DecidedSegment(first=end, last=frames, verdict="reject"))
    return whole


def _span(path: Path, line: int, first: int, last: int, kind: str = "", verdict: str = "") -> DecidedSegment:
    if last <= first or first < 0:
        raise UserError(f"{path}:{line}: a segment from frame {first} to {last} is empty")
    if kind and kind not in _KINDS:
        raise UserError(f"{path}:{line}: kind = {kind!r} is none of {', '.join(_KINDS)}")
    if verdict and verdict not in _VERDICTS:
        raise UserError(f"{path}:{line}: verdict = {verdict!r} is none of {', '.join(_VERDICTS)}, or empty")
    data: dict[str, Any] = {"first": first, "last": last, "kind": kind or None, "verdict": verdict or None}
    return DecidedSegment.model_validate(data)


def _csv(lecture: Reviewed, segments: Sequence[Segment]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for s in segments:
        writer.writerow([s.video_id, s.first, s.last, f"{s.start:.3f}", f"{s.end:.3f}", s.kind, s.verdict or ""])
    return stream.getvalue()


def _read_csv(text: str, path: Path, lecture: Reviewed) -> list[DecidedSegment]:
    spans = []
    reader = csv.DictReader(io.StringIO(text))
    for row in reader:
        if row.get("video_id") in (None, "", lecture.video_id):
            first, last = (_csv_frame(row, side, path, reader.line_num, lecture) for side in ("start", "end"))
            kind, verdict = ((row.get(name) or "").strip() for name in ("kind", "verdict"))
            spans.append(_span(path, reader.line_num, first, last, kind, verdict))
    return spans


def _csv_frame(row: dict[str, Any], side: str, path: Path, line: int, lecture: Reviewed) -> int:
    """A bound by its frame, by its seconds, or by both where they agree."""
    frame, seconds = ((row.get(name) or "").strip() for name in (f"{side}_frame", side))
    try:
        number = int(frame) if frame else None
        time = float(seconds) if seconds else None
    except ValueError:
        raise UserError(f"{path}:{line}: {side}_frame = {frame!r}, {side} = {seconds!r}: numbers are needed") from None
    if number is None and time is None:
        raise UserError(f"{path}:{line}: {side}_frame or {side} (seconds) is needed")
    if number is None:
        return lecture.frame(time or 0.0)
    if time is not None and abs(lecture.time(number) - time) > 0.6 / lecture.fps:
        raise UserError(
            f"{path}:{line}: {side}_frame {number} is at {lecture.time(number):.3f} s, not at {side} = {seconds}; "
            "change both or empty one of them"
        )
    return number


def _rate(fps: float) -> int:
    return max(1, round(fps))


def _timecode(frame: int, fps: float) -> str:
    rate = _rate(fps)
    seconds = frame // rate
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frame % rate:02d}"


def _edl(lecture: Reviewed, segments: Sequence[Segment]) -> str:
    title = re.sub(r"[^\x20-\x7e]", "_", lecture.video_id)
    lines = [f"TITLE: {title}", "FCM: NON-DROP FRAME", ""]
    for number, segment in enumerate(segments, start=1):
        span = " ".join(_timecode(frame or 0, lecture.fps) for frame in (segment.first, segment.last))
        lines += [f"{number:03d}  AX       V     C        {span} {span}", f"* KIND: {segment.kind}"]
        lines += [f"* VERDICT: {segment.verdict}"] if segment.verdict else []
    return "\n".join(lines) + "\n"


def _is_edl(text: str) -> bool:
    return any(_EVENT.match(line) for line in text.split("\n"))


def _read_edl(text: str, path: Path, lecture: Reviewed) -> list[DecidedSegment]:
    """Source in and out of every video event.

    PySceneDetect 0.7 writes seconds of the clock and cuts the frames' part off, so its own lists are a frame early now
    and then.
    """
    drop = "FCM: DROP FRAME" in text.upper()
    clock = "CREATED WITH PYSCENEDETECT" in text.upper()
    spans: list[DecidedSegment] = []
    for line, content in enumerate(text.split("\n"), start=1):
        note = re.match(r"^\*\s*(KIND|VERDICT):\s*(\w+)", content)
        if note and spans:
            last = spans[-1]
            words = {"kind": last.kind or "", "verdict": last.verdict or "", note[1].lower(): note[2]}
            spans[-1] = _span(path, line, last.first, last.last, words["kind"], words["verdict"])
        event = _EVENT.match(content)
        if event is None:
            if re.match(r"^\s*\d{3,}\s", content):
                raise UserError(
                    f"{path}:{line}: this event cannot be read; one cut is `001 AX V C` and four timecodes"
                )
            continue
        if "V" not in event[2].upper() and "B" not in event[2].upper():
            continue  # a track of sound
        if event[3].upper() != "C":
            raise UserError(f"{path}:{line}: the transition {event[3]!r} cannot be read; only cuts (C) can")
        first, end = (_frame(code, lecture.fps, drop, clock, f"{path}:{line}") for code in (event[4], event[5]))
        spans.append(_span(path, line, first, end + 1 if clock and end == lecture.frames - 1 else end))
    return spans


def _frame(code: str, fps: float, drop: bool, clock: bool, where: str) -> int:
    hours, minutes, seconds, frames = (int(part) for part in re.split(r"[:;.]", code))
    rate = _rate(fps)
    if minutes > 59 or seconds > 59 or frames >= rate:
        raise UserError(f"{where}: timecode {code} does not exist at {rate} frames a second")
    whole = hours * 3600 + minutes * 60 + seconds
    if clock:
        return round(whole * fps) + frames
    number = whole * rate + frames
    if drop or ";" in code:
        passed = 60 * hours + minutes
        number -= rate // 15 * (passed - passed // 10)  # SMPTE 12M: 2 numbers a minute at 29.97, 4 at 59.94
    return number


def _scene_list(lecture: Reviewed, segments: Sequence[Segment]) -> str:
    from scenedetect import FrameTimecode
    from scenedetect.output import write_scene_list

    stream = io.StringIO()
    fps = float(lecture.fps)
    scenes = [(FrameTimecode(segment.first or 0, fps), FrameTimecode(segment.last or 0, fps)) for segment in segments]
    write_scene_list(stream, scenes, include_cut_list=False)
    return stream.getvalue()


def _read_scene_list(text: str, path: Path) -> list[DecidedSegment]:
    """`Start Frame` counts from 1, `End Frame` is the last frame, counted from 1."""
    rows = list(csv.reader(io.StringIO(text)))
    head = next((n for n, row in enumerate(rows) if "Scene Number" in row), 0)
    spans = []
    for line, row in enumerate(rows[head + 1 :], start=head + 2):
        if not any(row):
            continue
        named = dict(zip(rows[head], row, strict=False))
        try:
            first, last = int(named["Start Frame"]) - 1, int(named["End Frame"])
        except (KeyError, ValueError):
            raise UserError(f"{path}:{line}: `Start Frame` and `End Frame` must be whole numbers") from None
        spans.append(_span(path, line, first, last))
    return spans
