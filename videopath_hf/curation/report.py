"""The report of a curation run: what each lecture showed, what was kept of it, and how it was refined."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from videopath_hf.files import read_json, read_records, write_text
from videopath_hf.records import ClipRecord, Reject, Segment, Sentence
from videopath_hf.reporting.page import image_uri, render, render_page

_LABELS = 78  # pixels left of the timeline for the names of its rows
_BARS = 1000  # pixels of the timeline
_ROW = 26
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)
INLINED = 100
"""Clips whose contact sheets a page holds itself, some 20 MB; of more, it shows the files beside it."""

_CASE_COLOURS = ("#2b7a4b", "#3566a8", "#8a5a2b", "#6d4a9c", "#1f7f86", "#a03a5a")


def write_report(out: Path) -> Path:
    """Write `report.html` of a finished curation folder; up to `INLINED` clips it needs nothing outside of itself."""
    write_text(out / "report.html", render_page("Curated lectures", _sections(out, _cards(out), "")))
    return out / "report.html"


def lecture_sections(out: Path, folder: str = "") -> str:
    """The report's body as an HTML fragment: for each lecture its timeline, cases and clips before and after
    refinement, then what was rejected and why. All text is escaped.

    Args:
        out (`Path`): a folder that `curate` wrote.
        folder (`str`): how the page that this is for gets to it, e.g. `"curated/"`.

    Raises:
        UserError: the folder holds no curation run.
    """
    return _sections(out, [], folder)


def _sections(out: Path, cards: Sequence[tuple[str, Any]], folder: str) -> str:
    data = read_json(out / "run.json")
    clips = read_records(out / "clips.jsonl", ClipRecord) if (out / "clips.jsonl").exists() else []
    segments = read_records(out / "segments.jsonl", Segment)
    beside = folder if len(clips) > INLINED else None
    lectures = [_lecture(out, entry, clips, segments, beside) for entry in data["lectures"]]
    rejects = read_records(out / "rejects.jsonl", Reject)
    notes = list(data["summary"]["notes"])
    if beside is not None:
        notes.append(f"contact sheets of so many clips are not in this page: it shows the files of {beside}sheets/")
    return render("curation.html", cards=cards, lectures=lectures, rejects=rejects, notes=notes)


def _cards(out: Path) -> list[tuple[str, Any]]:
    summary = read_json(out / "run.json")["summary"]
    return [
        ("lectures", summary["videos"]),
        ("clips kept", summary["clips"]),
        ("seconds of clips", f"{summary['clip_seconds']:.0f}"),
        ("cases with a diagnosis", f"{sum(map(bool, summary['cases'].values()))} of {len(summary['cases'])}"),
        ("not kept", sum(summary["rejects"].values())),
        ("seconds of work", f"{sum(summary['seconds'].values()):.0f}"),
    ]


def _lecture(
    out: Path, entry: dict[str, Any], clips: Sequence[ClipRecord], segments: Sequence[Segment], beside: str | None
) -> dict[str, Any]:
    own = [clip for clip in clips if clip.video_id == entry["video_id"]]
    words = read_json(out / "transcripts" / f"{entry['video_id']}.json")["sentences"]
    sentences = [Sentence.model_validate(sentence) for sentence in words]
    shown = [segment for segment in segments if segment.video_id == entry["video_id"]]
    rows = _rows(shown, own, sentences, entry["duration"])
    return {
        **entry,
        "clips": [_clip(out, clip, beside) for clip in own],
        "kept": sum(clip.end - clip.start for clip in own),
        "cases": _cases(own),
        "sentences": sentences,
        "rows": rows,
        "ticks": _ticks(entry["duration"]),
        "width_px": _LABELS + _BARS + 14,
        "height_px": len(rows) * _ROW + 16,
    }


def _clip(out: Path, clip: ClipRecord, beside: str | None) -> dict[str, Any]:
    names = {side: f"sheets/{clip.clip_id}_{side}.jpg" for side in ("before", "after")}
    if beside is not None:
        return {"record": clip, **{side: quote(beside + name) for side, name in names.items()}}
    return {"record": clip, **{side: image_uri(out / name) for side, name in names.items()}}


def _cases(clips: Sequence[ClipRecord]) -> list[dict[str, Any]]:
    cases: dict[int, dict[str, Any]] = {}
    for clip in clips:
        if clip.case is not None:
            case = cases.setdefault(
                clip.case, {"number": clip.case, "organ": clip.organ, "diagnosis": clip.diagnosis, "clips": 0}
            )
            case["clips"] += 1
    return [cases[number] for number in sorted(cases)]


def _rows(
    segments: Sequence[Segment], clips: Sequence[ClipRecord], sentences: Sequence[Sentence], duration: float
) -> list[dict[str, Any]]:
    """The timeline's rows: segments, clips, removed texts, masked presenters, sentences; empty ones are left out."""

    def bar(start: float, end: float, title: str, label: str, colour: str, opacity: float = 1.0) -> dict[str, Any]:
        width = max(1.5, (min(end, duration) - start) / duration * _BARS)
        fits = label if width > 6.3 * len(label) + 8 else ""
        x = round(_LABELS + start / duration * _BARS, 1)
        ink = "#ffffff" if opacity > 0.6 else "currentColor"
        span = f"{start:.1f} to {end:.1f} s"
        return {
            "x": x, "width": round(width, 1), "title": f"{title} ({span})", "label": fits, "colour": colour,
            "opacity": opacity, "ink": ink,
        }  # fmt: skip

    texts = {(text.text, text.start): text for clip in clips for text in clip.removed_text}
    persons = {(person.box, person.start): person for clip in clips for person in clip.persons}
    rows = [
        ("segments", [bar(s.start, s.end, s.kind, s.kind, f"var(--{s.kind})") for s in segments]),
        (
            "clips",
            [bar(c.start, c.end, _title(c), f"case {c.case}", _CASE_COLOURS[((c.case or 1) - 1) % 6]) for c in clips],
        ),
        ("text out", [bar(t.start, t.end, t.text, t.text, "var(--soft)", 0.35) for t in texts.values()]),
        ("masked", [bar(p.start, p.end, "presenter's inset", "inset", "var(--presenter)") for p in persons.values()]),
        ("speech", [bar(s.start, s.end, s.text, "", "var(--soft)", 0.55) for s in sentences]),
    ]
    return [
        {"name": name, "bars": bars, "y": number * _ROW}
        for number, (name, bars) in enumerate((name, bars) for name, bars in rows if bars)
    ]


def _title(clip: ClipRecord) -> str:
    return f"{clip.clip_id}: {clip.diagnosis.value if clip.diagnosis else 'no diagnosis said'}"


def _ticks(duration: float) -> list[dict[str, Any]]:
    step = next((step for step in _TICKS if duration / step <= 13), 7200)
    return [
        {"x": round(_LABELS + second / duration * _BARS, 1), "label": f"{second // 60}:{second % 60:02d}"}
        for second in range(0, int(duration) + 1, step)
    ]
