"""Train a detector of tissue, persons and slide text on composites of your own slide images.

    python recipes/tissue_detector/train.py recipes/tissue_detector/tissue_detector.yaml slides=SLIDES people=PEOPLE

It writes `OUT/weights.pt`, `OUT/weights.onnx` (safe to share: it holds no code) and `OUT/result.json`.
"""

import shutil
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from composites import CLASSES, Composer, find_images, write_composites
from pydantic import Field

from videopath_hf.errors import MissingExtraError, UserError
from videopath_hf.files import write_json
from videopath_hf.imports import import_quietly
from videopath_hf.settings import Settings, load_settings


class DetectorRecipe(Settings):
    """See the comments in `tissue_detector.yaml`."""

    slides: Path
    people: Path
    out: Path
    weights: str
    unseen_share: float = Field(gt=0, lt=1)
    train_frames: int = Field(ge=1)
    unseen_frames: int = Field(ge=1)
    epochs: int = Field(ge=1)
    side: int = Field(ge=32)
    batch: int = Field(ge=1)
    freeze: int = Field(ge=0)
    device: str
    seed: int


def split_cases(slides: list[Path], share: float) -> tuple[list[Path], list[Path]]:
    """Slides for training and unseen ones; all images of a case, a folder, go to the same side."""
    cases = sorted({path.parent for path in slides})
    if len(cases) < 2:
        raise UserError(f"slides: {cases[0]} is the only case; the mAP needs cases of its own, one sub-folder each")
    count = min(len(cases) - 1, max(1, round(share * len(cases))))
    unseen = set(cases[:: max(1, len(cases) // count)][:count])
    return [path for path in slides if path.parent not in unseen], [path for path in slides if path.parent in unseen]


def main(path: str, overrides: list[str]) -> None:
    """Make the composites, train, measure, export."""
    recipe = load_settings(DetectorRecipe, Path(path), overrides)
    try:
        yolo = import_quietly("ultralytics.models").YOLO
    except ImportError:
        raise MissingExtraError("ultralytics", "yolo", "training a detector (ultralytics is AGPL-3.0)") from None
    if find_spec("onnx") is None:
        raise MissingExtraError("onnx", "yolo", "exporting the detector")
    seen, unseen = split_cases(find_images(recipe.slides), recipe.unseen_share)
    people = find_images(recipe.people)
    data = recipe.out / "composites"
    shutil.rmtree(data, ignore_errors=True)
    write_composites(Composer(seen, people, recipe.seed), recipe.train_frames, data, "train")
    write_composites(Composer(unseen, people, recipe.seed + 1), recipe.unseen_frames, data, "val")
    (data / "data.yaml").write_text(
        yaml.safe_dump(
            {
                "path": str(data.resolve()),
                "train": "images/train",
                "val": "images/val",
                "names": dict(enumerate(CLASSES)),
            }
        ),
        encoding="utf-8",
    )
    start = time.monotonic()
    model = yolo(recipe.weights)
    model.train(
        data=str(data / "data.yaml"),
        epochs=recipe.epochs,
        imgsz=recipe.side,
        batch=recipe.batch,
        freeze=recipe.freeze or None,
        device=recipe.device,
        seed=recipe.seed,
        project=str(recipe.out.resolve()),
        name="run",
        exist_ok=True,
        workers=0,
        plots=False,
        mosaic=0.5,
        close_mosaic=max(1, recipe.epochs // 3),
        warmup_epochs=1.0,
    )
    minutes = (time.monotonic() - start) / 60
    best = yolo(recipe.out / "run" / "weights" / "best.pt")
    figures = best.val(data=str(data / "data.yaml"), imgsz=recipe.side, device=recipe.device, workers=0, plots=False)
    shutil.copyfile(recipe.out / "run" / "weights" / "best.pt", recipe.out / "weights.pt")
    exported = best.export(format="onnx", imgsz=(recipe.side * 9 // 16 // 32 * 32 + 32, recipe.side))
    shutil.copyfile(exported, recipe.out / "weights.onnx")
    write_json(recipe.out / "result.json", _result(figures, recipe, minutes, [str(p.parent.name) for p in unseen]))


def _result(figures: Any, recipe: DetectorRecipe, minutes: float, unseen: list[str]) -> dict[str, Any]:
    return {
        "map50": round(float(figures.box.map50), 4),
        "map50_95": round(float(figures.box.map), 4),
        "by_class": {
            CLASSES[int(number)]: round(float(value), 4)
            for number, value in zip(figures.box.ap_class_index, figures.box.ap50, strict=True)
        },
        "minutes": round(minutes, 2),
        "unseen_cases": sorted(set(unseen)),
        "recipe": recipe.model_dump(mode="json"),
    }


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1], sys.argv[2:])
    except UserError as error:
        sys.exit(f"error: {error}")
