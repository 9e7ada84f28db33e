"""How well the slide's box is found and presenters are hidden, on a lecture whose truth is known.

    python benchmarks/tissue.py --video FILE --truth FILE [--curated DIR] [--json]

Curates the lecture (or takes a folder in which that was done) and compares: every clip's tissue box with the truth's,
and every frame of a clip that shows a presenter in the truth with the same frame of the source: a presenter is hidden
where what is left in their box no longer looks like them.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from videopath_hf.curation.boxes import overlap
from videopath_hf.curation.pipeline import curate
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.files import read_records
from videopath_hf.records import Box, ClipRecord
from videopath_hf.settings import validate_settings
from videopath_hf.video.decode import read_frames
from videopath_hf.video.frame_index import frame_index

_ALIKE = 0.4  # correlation with the source from which a presenter is still to be seen
_COVERED = 0.9  # share of a minimap that must be masked

Picture = np.ndarray[Any, np.dtype[np.uint8]]


def measure_tissue(clips: Sequence[ClipRecord], curated: Path, video: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Tissue boxes, presenters and minimaps of curated clips against the truth.

    Args:
        clips (`Sequence[ClipRecord]`): the clips of this video.
        curated (`Path`): the folder they lie in.
        video (`Path`): the source.
        truth (`dict`): `segments` with `tissue_box`, `persons` and `overlays`, each with times and boxes.

    Returns:
        `dict`: `tissue_iou_min` and `tissue_iou_mean` over clips, `person_frames`, `person_frame_recall` and the
        frames in which a presenter is left, and `minimap_clips` and `minimap_recall`. A recall is None where there is
        nothing to find.
    """
    ious, minimaps, shown = [], [], []
    hidden: list[bool] = []
    for clip in clips:
        segment = _shown_segment(clip, truth)
        if segment.get("tissue_box"):
            ious.append(overlap(clip.tissue_box, _box(segment["tissue_box"])) if clip.tissue_box else 0.0)
        for part in truth.get("overlays", []):
            if part["role"] == "minimap" and _common(clip, part["start"], part["end"]) > 0:
                minimaps.append(_masked(clip, _box(part["box"])) >= _COVERED)
        for time, gone in _presenters(clip, curated, video, truth["persons"]):
            hidden.append(gone)
            if not gone:
                shown.append(round(time, 3))
    return {
        "clips": len(clips),
        "tissue_iou_min": round(min(ious), 4) if ious else None,
        "tissue_iou_mean": round(float(np.mean(ious)), 4) if ious else None,
        "person_frames": len(hidden),
        "person_frame_recall": round(float(np.mean(hidden)), 4) if hidden else None,
        "person_left_at": shown,
        "minimap_clips": len(minimaps),
        "minimap_recall": round(float(np.mean(minimaps)), 4) if minimaps else None,
    }


def measure_clips(clips: Sequence[ClipRecord], truth: dict[str, Any]) -> dict[str, Any]:
    """What became of a lecture's segments and cases in its clips, whichever step dropped or mixed them up.

    Returns:
        `dict`: `lost_segments`, starts of the truth's tissue segments of which less than half is in clips;
        `kept_other`, seconds of other segments in clips; `wrong_diagnosis`, clips whose diagnosis is not the one of
        the segment they show; `masked_beyond`, the largest share of a frame that a presenter's mask takes beyond the
        presenters' own boxes.
    """
    lost, wrong, other, beyond = [], [], 0.0, 0.0
    for part in truth["segments"]:
        shown = sum(max(0.0, _common(clip, part["start"], part["end"])) for clip in clips)
        if part["kind"] != "tissue":
            other += shown
        elif shown < 0.5 * (part["end"] - part["start"]):
            lost.append(part["start"])
    for clip in clips:
        segment = _shown_segment(clip, truth)
        right = str(segment.get("diagnosis", "")).lower()
        if clip.diagnosis is not None and clip.diagnosis.value.lower() not in right:
            wrong.append(clip.clip_id)
        for mask in clip.persons:
            spare = np.zeros((truth["height"], truth["width"]), dtype=bool)
            spare[mask.box[1] : mask.box[3], mask.box[0] : mask.box[2]] = True
            for person in truth["persons"]:
                if person["start"] < mask.end and person["end"] > mask.start:
                    x0, y0, x1, y1 = person["box"]
                    spare[y0:y1, x0:x1] = False
            beyond = max(beyond, float(spare.mean()))
    return {
        "lost_segments": lost,
        "kept_other": round(other, 3),
        "wrong_diagnosis": wrong,
        "masked_beyond": round(beyond, 4),
    }


def _presenters(
    clip: ClipRecord, curated: Path, video: Path, persons: Sequence[dict[str, Any]]
) -> list[tuple[float, bool]]:
    """Times of the clip's frames that show a presenter in the truth, and whether each is hidden in the clip."""
    times = [clip.start + number / clip.fps for number in range(clip.frames)]
    wanted = [
        (number, time, _box(person["box"]))
        for number, time in enumerate(times)
        for person in persons
        if person["start"] <= time < person["end"]
    ]
    if not wanted:
        return []
    source = frame_index(video).times
    indices = [int(np.clip(np.searchsorted(source, time + 1e-6, side="right") - 1, 0, None)) for _, time, _ in wanted]
    originals = read_frames(video, indices)
    refined = read_frames(curated / clip.clip, [number for number, _, _ in wanted])
    crop = clip.crop or (0, 0, originals.shape[2], originals.shape[1])
    found = []
    for (_, time, box), before, after in zip(wanted, originals, refined, strict=True):
        inside = (max(box[0], crop[0]), max(box[1], crop[1]), min(box[2], crop[2]), min(box[3], crop[3]))
        if inside[0] >= inside[2] or inside[1] >= inside[3]:
            found.append((time, True))  # cropped away
            continue
        x, y = crop[0], crop[1]
        left = after[inside[1] - y : inside[3] - y, inside[0] - x : inside[2] - x]
        found.append((time, _alike(before[inside[1] : inside[3], inside[0] : inside[2]], left) < _ALIKE))
    return found


def _alike(before: Picture, after: Picture) -> float:
    """Correlation of two pictures of a place; a picture without any contrast is like none."""
    a, b = (
        cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY).astype(np.float64) for image in (before, after)
    )
    a, b = a - a.mean(), b - b.mean()
    if b.std() < 2.0:
        return 0.0
    return float((a * b).sum() / max(1e-9, float(np.sqrt((a * a).sum() * (b * b).sum()))))


def _masked(clip: ClipRecord, box: Box) -> float:
    """Share of a box that is masked in a clip or cropped away."""
    x0, y0, x1, y1 = box
    gone = np.zeros((y1 - y0, x1 - x0), dtype=bool)
    if clip.crop is not None:
        kept = np.zeros_like(gone)
        kept[
            max(0, clip.crop[1] - y0) : max(0, clip.crop[3] - y0),
            max(0, clip.crop[0] - x0) : max(0, clip.crop[2] - x0),
        ] = True
        gone |= ~kept
    for a, b, c, d in clip.thumbnails:
        gone[max(0, b - y0) : max(0, d - y0), max(0, a - x0) : max(0, c - x0)] = True
    return float(gone.mean())


def _shown_segment(clip: ClipRecord, truth: dict[str, Any]) -> dict[str, Any]:
    """The segment of which a clip shows most."""
    found: dict[str, Any] = max(truth["segments"], key=lambda part: _common(clip, part["start"], part["end"]))
    return found


def _common(clip: ClipRecord, start: float, end: float) -> float:
    return min(clip.end, end) - max(clip.start, start)


def _box(values: Sequence[int]) -> Box:
    x0, y0, x1, y1 = values
    return x0, y0, x1, y1


def main() -> None:
    """Measure one lecture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--curated", type=Path, help="a folder in which `videopath curate` put this video's clips")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    truth = json.loads(arguments.truth.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        curated = arguments.curated or Path(folder) / "curated"
        if arguments.curated is None:
            without = {"screen_text": {"backend": "none"}, "transcript": {"backend": "none"}}
            curate([arguments.video], curated, validate_settings(CurateSettings, without, "benchmarks/tissue.py"))
        clips = [
            clip for clip in read_records(curated / "clips.jsonl", ClipRecord) if clip.video_id == arguments.video.stem
        ]
        figures = {**measure_tissue(clips, curated, arguments.video, truth), **measure_clips(clips, truth)}
    print(json.dumps(figures) if arguments.json else "\n".join(f"{name}: {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
