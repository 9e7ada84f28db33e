"""A page for each lecture on which a person accepts, rejects, merges and splits its segments."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from videopath_hf.curation.decisions import SUFFIX
from videopath_hf.curation.inputs import Lecture, find_lectures
from videopath_hf.curation.scene_lists import Reviewed, read_reviewed
from videopath_hf.errors import UserError
from videopath_hf.files import write_text
from videopath_hf.progress import note, track
from videopath_hf.records import SCHEMA_VERSION, Segment
from videopath_hf.reporting.page import render, render_page
from videopath_hf.video.decode import iter_frames

_THUMBS = 7  # pictures of a segment, its first and last frame among them
_WIDTH = 200
_QUALITY = 70


class Thumb(NamedTuple):
    """A frame of the lecture, its seconds, and its picture as a data URI."""

    frame: int
    time: float
    uri: str


def write_reviews(curated: Path, inputs: Sequence[Path]) -> list[Path]:
    """Write `review/<video_id>.html` for every curated lecture whose video is among the inputs.

    Raises:
        UserError: the folder is no finished run, or none of its videos is among the inputs.
    """
    lectures = read_reviewed(curated)
    videos = {lecture.sha256: lecture for lecture in find_lectures(inputs, Path(curated))}
    here = [lecture for lecture in lectures if lecture.sha256 in videos]
    if not here:
        names = ", ".join(lecture.source for lecture in lectures)
        raise UserError(
            f"none of the inputs is a video that {curated} was made from ({names}, told by their contents)"
        )
    for lecture in lectures:
        if lecture not in here:
            note(f"{lecture.source} is not among the inputs: no page for it")
    return [write_review(lecture, videos[lecture.sha256], Path(curated) / "review") for lecture in here]


def write_review(reviewed: Reviewed, lecture: Lecture, folder: Path) -> Path:
    """Write the page of one lecture and return its path; it needs no other file."""
    from markupsafe import Markup

    thumbs = read_thumbs(lecture.path, reviewed.segments)
    data = json.dumps(page_data(reviewed, thumbs), ensure_ascii=True).replace("<", "\\u003c").replace(">", "\\u003e")
    body = render("review.html", source=reviewed.source, data=Markup(data))
    path = folder / f"{reviewed.video_id}.html"
    write_text(path, render_page(f"Segments of {reviewed.source}", body))
    return path


def page_data(reviewed: Reviewed, thumbs: Sequence[Thumb]) -> dict[str, Any]:
    """What the page's script works on; `decisions` has the fields of `Decisions`."""
    return {
        "file": reviewed.video_id + SUFFIX,
        "decisions": {
            "schema_version": SCHEMA_VERSION,
            "video_id": reviewed.video_id,
            "sha256": reviewed.sha256,
            "frames": reviewed.frames,
            "candidates": reviewed.candidates,
        },
        "fps": reviewed.fps,
        "segments": [
            {"first": s.first, "last": s.last, "kind": s.kind, "verdict": s.verdict} for s in reviewed.segments
        ],
        # Frames and seconds of all bounds: between them the script counts straight.
        "clock": [[s.first, s.start] for s in reviewed.segments] + [[reviewed.frames, reviewed.segments[-1].end]],
        "thumbs": [thumb._asdict() for thumb in thumbs],
    }


def read_thumbs(video: Path, segments: Sequence[Segment]) -> list[Thumb]:
    """Small pictures of every segment, read in one pass."""
    wanted: set[int] = set()
    for segment in segments:
        assert segment.first is not None and segment.last is not None
        wanted |= set(np.linspace(segment.first, segment.last - 1, _THUMBS).round().astype(int).tolist())
    found = []
    for frame in track(iter_frames(video, width=_WIDTH), f"{video.name}: thumbnails"):
        if frame.index in wanted:
            picture = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
            _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            uri = f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
            found.append(Thumb(frame.index, round(frame.time, 3), uri))
    return found
