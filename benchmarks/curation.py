"""How good curation is on a lecture whose truth is known, and how fast.

python benchmarks/curation.py --video FILE --truth FILE [--whisper MODEL] [--set KEY=VALUE ...] [--json]

Curates the lecture with the default models and with the detectors that need none, each twice in a new folder, and
compares a result of the default models with the truth: cuts, tissue boxes, presenters, on-screen text (which takes
the program tesseract), the transcript and the diagnoses. Speed is seconds of video a second, beside a plain decode of
all frames. `--set` puts other backends in the place of the default models: `screen_text.backend=doctr`.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from cuts import measure_cuts
from screen_text import measure_text
from tissue import measure_clips, measure_tissue

from videopath_hf.curation.pipeline import curate
from videopath_hf.curation.settings import CurateSettings, TranscriptSettings
from videopath_hf.files import read_json, read_records
from videopath_hf.records import ClipRecord, Segment
from videopath_hf.settings import load_settings
from videopath_hf.video.container import decode, open_video

NO_MODELS = {"screen_text": {"backend": "none"}, "persons": {"enabled": False}, "transcript": {"backend": "none"}}
DEFAULT = "default models"


def decode_floor(video: Path) -> float:
    """Seconds that decoding every frame takes, on all cores, with nothing done to them."""
    start = time.perf_counter()
    with open_video(video) as source:
        source.stream.codec_context.thread_count = 0
        for _ in decode(source):
            pass
    return time.perf_counter() - start


def measure_speed(video: Path, folder: Path, chosen: CurateSettings, rounds: int = 2) -> dict[str, dict[str, float]]:
    """Seconds and seconds of video a second of both kinds of run, and of the floor: the fastest round of each."""
    without = CurateSettings.model_validate(NO_MODELS)
    seconds = {"decode floor": float("inf"), "no models": float("inf"), DEFAULT: float("inf")}
    length = memory = 0.0
    for number in range(rounds):
        seconds["decode floor"] = min(seconds["decode floor"], decode_floor(video))
        for name, settings in (("no models", without), (DEFAULT, chosen)):
            out = folder / f"{name} {number}"
            start = time.perf_counter()
            curate([video], out, settings)
            seconds[name] = min(seconds[name], time.perf_counter() - start)
            run = read_json(out / "run.json")
            length, memory = run["video_seconds"], max(memory, run["peak_memory_mb"])
    found = {
        name: {"seconds": round(value, 2), "real_time_factor": round(length / value, 1)}
        for name, value in seconds.items()
    }
    return {**found, "memory": {"peak_mb": memory}}


def measure_quality(video: Path, truth: Path, out: Path, settings: CurateSettings) -> dict[str, Any]:
    """Everything about one result that the truth can tell."""
    curate([video], out, settings)
    data = read_json(truth)
    clips = read_records(out / "clips.jsonl", ClipRecord)
    segments = read_records(out / "segments.jsonl", Segment)
    found = {clip.diagnosis.value.lower() for clip in clips if clip.diagnosis is not None}
    figures: dict[str, Any] = {
        "cuts": measure_cuts(data, segments),
        "tissue": measure_tissue(clips, out, video, data),
        "clips": measure_clips(clips, data),
        "diagnoses": {case["diagnosis"]: case["diagnosis"].lower() in found for case in data.get("cases", [])},
    }
    if shutil.which("tesseract"):
        figures["text"] = measure_text(out, video, data)
    else:
        print("text was not measured: the program tesseract is not installed", file=sys.stderr)
    return figures


def measure(video: Path, truth: Path, whisper: str | None, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Speed, quality and, where a model is given, the transcript."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        alone = folder / "alone" / video.name  # away from its truth, which could be taken for a transcript
        alone.parent.mkdir()
        shutil.copy(video, alone)
        settings = load_settings(CurateSettings, None, ["transcript.backend=none", *overrides])
        figures: dict[str, Any] = {}
        heard = settings
        if whisper is not None:
            from transcripts import measure_transcript

            backend = "faster-whisper" if Path(whisper).is_dir() else "whisper"
            transcript = TranscriptSettings.model_validate({"backend": backend, "whisper_model": whisper})
            figures["transcript"] = measure_transcript(alone, truth, transcript)
            heard = settings.model_copy(update={"transcript": transcript})
        figures["speed"] = measure_speed(alone, folder, settings)
        return {**figures, **measure_quality(alone, truth, folder / f"{DEFAULT} 0", heard)}


def main() -> None:
    """Print the tables, or the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lecture = Path("../shared/lectures/dev")
    parser.add_argument("--video", type=Path, default=lecture / "lecture.mp4")
    parser.add_argument("--truth", type=Path, default=lecture / "lecture.json")
    parser.add_argument("--whisper", help="an openai-whisper name or .pt file, or a CTranslate2 folder")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of curation")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    figures = measure(args.video, args.truth, args.whisper, args.set)
    if args.json:
        print(json.dumps(figures, indent=2))
        return
    speed = figures.pop("speed")
    print("| run | seconds | seconds of video a second |\n| --- | --- | --- |")
    titles = {DEFAULT: " ".join(args.set) or DEFAULT}
    for name in ("decode floor", "no models", DEFAULT):
        print(f"| {titles.get(name, name)} | {speed[name]['seconds']} | {speed[name]['real_time_factor']} |")
    print(f"\nPeak memory: {speed['memory']['peak_mb']:.0f} MB\n\n| what | figure | value |\n| --- | --- | --- |")
    for what, values in figures.items():
        for name, value in values.items():
            print(f"| {what} | {name} | {value} |")


if __name__ == "__main__":
    main()
