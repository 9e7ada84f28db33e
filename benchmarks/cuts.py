"""Cuts, kinds and still moments of a lecture against its truth, and the time each detector takes.

python benchmarks/cuts.py [--video FILE --truth FILE] [--tissue DIR] [--detector NAME ...] [--json]

Without a video it measures the three synthetic lectures of `cut_lectures.py`. `--detector` may be repeated; `all`
stands for every detector that can be used here. With `-plain` after its name a detector goes without the package's own
search for dissolves and like pictures.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import cut_lectures

from videopath_hf.curation.detectors import check_detector
from videopath_hf.curation.frames import decode_pass
from videopath_hf.curation.reading import name_presenters
from videopath_hf.curation.segments import find_segments
from videopath_hf.curation.settings import DEFAULT_THRESHOLDS, CurateSettings
from videopath_hf.curation.worker import Silent
from videopath_hf.errors import UserError
from videopath_hf.files import read_json
from videopath_hf.records import Segment

KINDS = {"outro": "title"}  # what the truth calls otherwise


def measure_cuts(truth: dict[str, Any], segments: Sequence[Segment], tolerance: float = 0.5) -> dict[str, Any]:
    """Compare found segments with the truth of a lecture.

    Returns:
        `precision`, `recall`, `f1` of cuts within `tolerance` seconds, each truth cut matched once; `missed` and
        `false` times; `case_bounds` found of all (cuts after which the case changes); `lost_tissue`, truth tissue
        segments of which less than half is called tissue; `kept_other`, seconds of other segments that are called
        tissue; `kind_seconds`, share of the lecture whose kind is right; `still_f1` and `still_iou` by seconds of
        tissue, where the truth holds stills.
    """
    wanted = [float(cut["time"]) for cut in truth["cuts"]]
    found = [segment.start for segment in segments[1:]]
    pairs = match(wanted, found, tolerance)
    precision = len(pairs) / len(found) if found else 0.0
    recall = len(pairs) / len(wanted) if wanted else 1.0
    matched = {wanted[a] for a, _ in pairs}
    cases = [
        later["start"]
        for earlier, later in zip(truth["segments"], truth["segments"][1:], strict=False)
        if later.get("case") is not None and later.get("case") != earlier.get("case")
    ]
    return {
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "f1": round(2 * precision * recall / (precision + recall), 4) if precision + recall else 0.0,
        "missed": [wanted[n] for n in range(len(wanted)) if n not in {a for a, _ in pairs}],
        "false": [found[n] for n in range(len(found)) if n not in {b for _, b in pairs}],
        "case_bounds": [sum(any(abs(cut - bound) <= tolerance for cut in matched) for bound in cases), len(cases)],
        **_kinds(truth, segments),
        **_stills(truth, segments),
    }


def match(wanted: Sequence[float], found: Sequence[float], tolerance: float) -> list[tuple[int, int]]:
    """Pairs of nearest times, each used once."""
    near = sorted(
        (abs(a - b), i, j) for i, a in enumerate(wanted) for j, b in enumerate(found) if abs(a - b) <= tolerance + 1e-6
    )
    pairs: list[tuple[int, int]] = []
    for _, i, j in near:
        if i not in {a for a, _ in pairs} and j not in {b for _, b in pairs}:
            pairs.append((i, j))
    return pairs


def _kinds(truth: dict[str, Any], segments: Sequence[Segment]) -> dict[str, Any]:
    right, lost, kept = 0.0, [], 0.0
    for part in truth["segments"]:
        kind = KINDS.get(part["kind"], part["kind"])
        shared = {
            segment.index: overlap((segment.start, segment.end), (part["start"], part["end"])) for segment in segments
        }
        right += sum(shared[segment.index] for segment in segments if segment.kind == kind)
        tissue = sum(shared[segment.index] for segment in segments if segment.kind == "tissue")
        if kind == "tissue" and tissue < 0.5 * (part["end"] - part["start"]):
            lost.append(part["start"])
        if kind != "tissue":
            kept += tissue
    return {
        "lost_tissue": lost,
        "kept_other": round(kept, 3),
        "kind_seconds": round(right / truth["segments"][-1]["end"], 4),
    }


def _stills(truth: dict[str, Any], segments: Sequence[Segment]) -> dict[str, Any]:
    wanted = [
        tuple(still) for part in truth["segments"] if part["kind"] == "tissue" for still in part.get("still", [])
    ]
    if not wanted:
        return {}
    tissue = [(part["start"], part["end"]) for part in truth["segments"] if part["kind"] == "tissue"]
    found = [still for segment in segments for still in segment.stills]
    found = [(max(a, c), min(b, d)) for a, b in found for c, d in tissue if min(b, d) > max(a, c)]
    common = sum(overlap(a, b) for a in wanted for b in found)
    seconds = sum(b - a for a, b in wanted), sum(b - a for a, b in found)
    return {
        "still_f1": round(2 * common / (seconds[0] + seconds[1]), 4),
        "still_iou": round(common / (seconds[0] + seconds[1] - common), 4),
    }


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Seconds that two stretches share."""
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0]))


def measure(video: Path, truth: dict[str, Any], settings: CurateSettings) -> dict[str, Any]:
    """Run a detector over a video; `seconds` is its one pass, decoding included."""
    start = time.perf_counter()
    info, seen = decode_pass(video, settings.segments, Silent())
    seconds = time.perf_counter() - start
    segments = name_presenters(video, find_segments("lecture", seen, settings), settings)
    return {
        **measure_cuts(truth, segments),
        "seconds": round(seconds, 2),
        "real_time": round(info.duration / seconds, 1),
    }


def usable(names: Sequence[str], weights: str | None) -> dict[str, CurateSettings]:
    """Settings by detector; `all` leaves out, and names on stderr, what cannot be used here."""
    every = "all" in names
    chosen = list(DEFAULT_THRESHOLDS) + [f"{name}-plain" for name in DEFAULT_THRESHOLDS] if every else names
    found = {}
    for name in chosen:
        detector = name.removesuffix("-plain")
        segments = {"detector": detector, "transitions": not name.endswith("-plain"), "weights": weights}
        settings = CurateSettings.model_validate({"segments": segments})
        try:
            check_detector(settings.segments)
        except UserError as error:
            if not every:
                raise
            print(f"left out: {error}", file=sys.stderr)
            continue
        found[name] = settings
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--tissue", type=Path, help="folder of slide crops for the synthetic lectures")
    parser.add_argument("--detector", action="append")
    parser.add_argument("--weights", help="AutoShot's checkpoint")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        chosen = usable(arguments.detector or ["adaptive"], arguments.weights)
        with tempfile.TemporaryDirectory() as folder:
            lectures = _lectures(arguments, Path(folder))
            results = {
                lecture: {name: measure(video, truth, settings) for name, settings in chosen.items()}
                for lecture, (video, truth) in lectures.items()
            }
    except UserError as error:
        parser.exit(error.exit_code, f"{error}\n")
    if arguments.json:
        print(json.dumps(results, indent=2))
    else:
        _print(results)


def _lectures(arguments: argparse.Namespace, folder: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    if arguments.video is not None:
        truth = arguments.truth or arguments.video.with_suffix(".json")
        return {arguments.video.stem: (arguments.video, read_json(truth))}
    made = {}
    for name, scenes in cut_lectures.lectures(arguments.tissue).items():
        path = folder / f"{name}.mp4"
        made[name] = (path, cut_lectures.make(scenes, path))
    return made


def _print(results: dict[str, dict[str, dict[str, Any]]]) -> None:
    print(
        "| lecture | detector | precision | recall | F1 | missed | false | stills F1 / IoU | kinds | seconds "
        "| x real time |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for lecture, rows in results.items():
        for name, row in rows.items():
            still = f"{row['still_f1']:.2f} / {row['still_iou']:.2f}" if "still_f1" in row else "-"
            print(
                f"| {lecture} | {name} | {row['precision']:.2f} | {row['recall']:.2f} | {row['f1']:.2f} "
                f"| {_times(row['missed'])} | {_times(row['false'])} | {still} | {row['kind_seconds']:.3f} "
                f"| {row['seconds']:.1f} | {row['real_time']:.0f} |"
            )


def _times(times: Sequence[float]) -> str:
    return ", ".join(f"{time:.1f}" for time in times) or "-"


if __name__ == "__main__":
    main()
