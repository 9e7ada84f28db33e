import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.benchmarks.loading import load_benchmark
from tests.curation.conftest import labelled, pan, plate_of, stained
from videopath_hf.curation.ocr import rapidocr_installed
from videopath_hf.curation.refine import Refiner
from videopath_hf.curation.settings import CurateSettings, ScreenTextSettings
from videopath_hf.errors import UserError
from videopath_hf.files import write_json, write_records
from videopath_hf.records import ClipRecord, RemovedText
from videopath_hf.video.decode import iter_frames
from videopath_hf.video.encode import write_clip

WORDS = "Diagnosis: colitis"
TRUTH: dict[str, Any] = {"texts": [{"text": WORDS, "box": [30, 30, 270, 52], "start": 0.0, "end": 2.0}]}


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The script as a module."""
    return load_benchmark("screen_text")


def curated(folder: Path, refined: bool) -> tuple[Path, Path]:
    """A two-second lecture with a label, and a folder with its one clip, refined or left as it was."""
    canvas = stained(600, 1000)
    video, out = folder / "lecture.mp4", folder / "curated"
    write_clip(video, [labelled(pan(canvas, number, 8), WORDS) for number in range(20)], 10.0)
    (out / "clips").mkdir(parents=True)
    text = RemovedText(text=WORDS, box=plate_of(WORDS), start=0.0, end=2.0)
    refiner = Refiner([text] if refined else [], [], (243, 242, 244), ScreenTextSettings())
    frames = [refiner.refine(frame.time, frame.image) for frame in iter_frames(video, 2.0)]
    write_clip(out / "clips" / "a.mp4", frames, 2.0)
    clip = ClipRecord(
        clip_id="a", video_id="a", source="lecture.mp4", start=0.0, end=2.0, fps=2.0, frames=len(frames), width=640,
        height=360, clip="clips/a.mp4", sha256="", transcript=[], text="", removed_text=[text] if refined else [],
    )  # fmt: skip
    write_records(out / "clips.jsonl", [clip])
    write_json(out / "run.json", {"settings": CurateSettings().model_dump()})
    return out, video


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="the program tesseract is not installed")
@pytest.mark.skipif(not rapidocr_installed(), reason="rapidocr is not installed")
@pytest.mark.parametrize("refined", [True, False])
def test_a_label_counts_as_gone_only_where_it_was_painted_out(
    benchmark: ModuleType, tmp_path: Path, refined: bool
) -> None:
    figures = benchmark.measure_text(*curated(tmp_path, refined), TRUTH)
    assert (figures["texts"], figures["text_frames"]) == (1, 4)
    assert figures["readable_before_tesseract"] == figures["readable_before_rapidocr"] == 1
    assert figures["gone_tesseract"] == figures["gone_rapidocr"] == float(refined)
    assert bool(figures["left"]) is not refined
    assert figures["psnr_outside_worst"] >= 35
    assert figures["changed_outside"] < 0.001 and figures["false_boxes"] == 0
    assert (figures["changed_inside"] is not None and figures["changed_inside"] > 0.2) is refined


def test_likeness_takes_the_best_line_or_all_of_them(benchmark: ModuleType) -> None:
    assert benchmark.likeness(["Diagnosis:", "colitis"], WORDS) == 1.0
    assert benchmark.likeness(["noise", "DIAGNOSIS COLITIS"], WORDS) == 1.0
    assert benchmark.likeness(["el Fa"], WORDS) < 0.5
    assert benchmark.likeness([], WORDS) == 0.0


def test_without_tesseract_the_package_is_named(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="apt-get install tesseract-ocr"):
        benchmark.measure_text(tmp_path, tmp_path / "a.mp4", TRUTH)
