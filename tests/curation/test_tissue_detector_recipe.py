import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.curation.conftest import stained
from videopath_hf.curation.yolo import OnnxYolo

RECIPE = Path(__file__).parents[2] / "recipes" / "tissue_detector"
needs_training = pytest.mark.skipif(
    find_spec("ultralytics") is None or find_spec("onnx") is None, reason="ultralytics or onnx is not installed"
)


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    """Two cases of two stained pictures each."""
    for case in ("a", "b"):
        (tmp_path / "slides" / case).mkdir(parents=True)
        for number in range(2):
            seed = 10 * number + ord(case)
            Image.fromarray(stained(400, 600, seed)).save(tmp_path / "slides" / case / f"{number}.png")
    return tmp_path / "slides"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A picture that stands for a person."""
    (tmp_path / "people").mkdir()
    picture = np.zeros((200, 160, 3), dtype=np.uint8)
    picture[40:] = (90, 60, 200)
    Image.fromarray(picture).save(tmp_path / "people" / "one.png")
    return tmp_path / "people"


def _composites(slides: Path, people: Path, out: Path, seed: int) -> list[tuple[bytes, str]]:
    code = (
        f"import sys; sys.path.insert(0, {str(RECIPE)!r}); from pathlib import Path; from composites import *\n"
        f"made = Composer(find_images(Path({str(slides)!r})), find_images(Path({str(people)!r})), {seed})\n"
        f"write_composites(made, 20, Path({str(out)!r}), 'train')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    images = sorted((out / "images" / "train").iterdir())
    return [(path.read_bytes(), (out / "labels" / "train" / f"{path.stem}.txt").read_text()) for path in images]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RECIPE / "train.py"), str(RECIPE / "tissue_detector.yaml"), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_composites_have_boxes_inside_the_frame_and_depend_on_the_seed_alone(
    slides: Path, people: Path, tmp_path: Path
) -> None:
    first = _composites(slides, people, tmp_path / "first", 3)
    assert first == _composites(slides, people, tmp_path / "again", 3)
    assert first != _composites(slides, people, tmp_path / "other", 4)
    lines = [line.split() for _, labels in first for line in labels.splitlines()]
    assert {line[0] for line in lines} == {"0", "1", "2"}
    for _, *values in lines:
        x, y, wide, tall = map(float, values)
        assert min(x - wide / 2, y - tall / 2) >= 0
        assert max(x + wide / 2, y + tall / 2) <= 1.001


@needs_training
def test_a_single_case_leaves_none_to_measure_on(slides: Path, people: Path, tmp_path: Path) -> None:
    done = _run(f"slides={slides / 'a'}", f"people={people}", f"out={tmp_path / 'out'}")
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].startswith("error: slides: ") and "Traceback" not in done.stderr


@needs_training
@pytest.mark.slow
def test_a_detector_is_trained_measured_and_opened_by_curation(slides: Path, people: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    few = ["weights=yolo11n.yaml", "train_frames=4", "unseen_frames=2", "epochs=1", "side=96", "batch=2"]
    done = _run(f"slides={slides}", f"people={people}", f"out={out}", *few)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((out / "result.json").read_text())
    assert 0 <= result["map50"] <= 1 and len(result["unseen_cases"]) == 1
    assert OnnxYolo(out / "weights.onnx", "tissue").name.startswith("weights.onnx ")
