"""The learning benchmark's clips: nothing tested was trained on, at any magnification, and all can be repeated."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def slides_module() -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import training_slides
    finally:
        sys.path.remove(str(BENCHMARKS))
    return training_slides


def make_slides(root: Path, cases: int = 2) -> Path:
    """Slides of coloured noise with the layout of real ones: a crop at low power around one at high power."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    labels = []
    for number in range(cases):
        crops = []
        for downsample, x, y in ((8, 0, 0), (2, 4000, 3000)):
            name = f"case{number}/x{downsample}.jpg"
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(40, 200, (1050, 1400, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name, quality=60)
            crops.append({"file": name, "downsample": downsample, "x": x, "y": y, "width": 1400, "height": 1050})
        labels.append({"case": f"case{number}", "organ": "colon", "diagnosis": f"disease {number}", "images": crops})
    (root / "labels.json").write_text(json.dumps(labels))
    return root


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_slides(tmp_path_factory.mktemp("slides"))


def test_the_dataset_is_one_that_training_and_evaluation_read_and_its_splits_are_far_apart(
    slides_module: ModuleType, slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videopath_hf.data.folder import read_instructions
    from videopath_hf.video.probe import probe

    few = {key: 2 for key in slides_module.COUNTS}
    monkeypatch.setattr(slides_module, "COUNTS", few)
    out = slides_module.write_slides_dataset(slides, tmp_path / "data")
    counts = {kind: len(read_instructions(out, [kind], "train")) for kind in ("caption", "image", "clip", "video")}
    assert counts == {"caption": 4, "image": 4, "clip": 4, "video": 4}
    tests = read_instructions(out, ["video"], "test")
    assert {record.diagnosis for record in tests} == {"disease 0", "disease 1"}
    info = probe(out / tests[0].media[0].path)
    assert (info.codec, info.frames, info.width) == ("h264", slides_module.FRAMES, slides_module.SIDE)
    again = slides_module.write_slides_dataset(slides, tmp_path / "again")
    first = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()} == first


def test_a_test_region_that_touches_training_at_another_magnification_is_refused(slides_module: ModuleType) -> None:
    shot, window = slides_module.Shot, slides_module.Window
    train = shot("a", "a/x8.jpg", 8, (0, 0), window(0, 0, 100), window(50, 0, 100), "pans")
    apart = shot("a", "a/x2.jpg", 2, (1200, 0), window(0, 0, 300), window(0, 0, 300), "pans")
    near = shot("a", "a/x2.jpg", 2, (1198, 0), window(0, 0, 300), window(0, 0, 300), "pans")
    slides_module.check_apart([("train", train), ("test", apart)])
    slides_module.check_apart([("train", train), ("train", near)])
    with pytest.raises(ValueError, match=r"a: the test region .* overlaps"):
        slides_module.check_apart([("train", train), ("test", near)])


@pytest.mark.needs_shared
def test_on_the_real_slides_every_test_clip_lies_beyond_the_line(slides_module: ModuleType, shared: Path) -> None:
    root = shared / "tissue"
    cases = json.loads((root / "labels.json").read_text())
    shots = [(split, shot) for case in cases[:6] for _, split, shot in slides_module._shots(root, case, 0)]
    slides_module.check_apart(shots)
    for case in {shot.case for _, shot in shots}:
        areas = {
            split: [shot.area() for chosen, shot in shots if chosen == split and shot.case == case]
            for split in ("train", "test")
        }
        gap = min(area[0] for area in areas["test"]) - max(area[2] for area in areas["train"])
        assert gap >= 2 * slides_module.GAP
    assert {shot.downsample for _, shot in shots} == set(slides_module.POWERS)
