"""Train a small docTR text detector for lecture frames, where docTR's own weights cannot be had.

    python recipes/text_detector/train.py --out detector.pt
    videopath curate LECTURE --out CURATED screen_text.backend=doctr screen_text.weights=detector.pt

Words are drawn over tissue: your own slide pictures with `--images FOLDER`, else the picture in scikit-image's wheel.
It needs `pip install 'videopath-hf[curate,doctr]'` and no network, and takes about five minutes on one core. What is
printed last, as JSON, is how many words of frames it has not seen it finds (0.95 with the defaults), and how many
boxes a frame it draws where no word is (0.03).
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from frames import Sample, samples, tissue_pictures

from videopath_hf.curation.ocr_doctr import ARCHITECTURES, CLASS, as_batch, build_detector
from videopath_hf.files import atomic_path


def train(
    out: Path,
    images: Path | None = None,
    arch: str = "linknet_resnet18",
    steps: int = 300,
    side: int = 256,
    batch: int = 4,
    seed: int = 0,
) -> dict[str, float]:
    """Train a detector, save its state dict and return its figures on frames it has not seen.

    Args:
        out (`Path`): the state dict is written here; it loads with `torch.load(..., weights_only=True)`.
        images (`Path`, *optional*): folder of slide pictures to draw on.
        arch (`str`): docTR's name of the detector.
        steps (`int`), batch (`int`), side (`int`): training steps, frames a step, and their size in pixels.
        seed (`int`): of weights and frames.

    Raises:
        UserError: the folder holds no picture.
        MissingExtraError: docTR is not installed.
    """
    torch.manual_seed(seed)
    pictures = tissue_pictures(images)
    model = build_detector(arch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps, pct_start=0.15)
    stream = samples(pictures, side, seed)
    model.train()
    started = time.monotonic()
    for step in range(steps):
        drawn = list(islice(stream, batch))
        loss = model(as_batch([sample.image for sample in drawn], model), target=_targets(drawn))["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 50 == 0 or step + 1 == steps:
            print(
                f"step {step + 1}/{steps}: loss {loss.item():.3f}, {time.monotonic() - started:.0f} s", file=sys.stderr
            )
    model.eval()
    with atomic_path(out) as temporary:
        torch.save(model.state_dict(), temporary)
    return check(model, list(islice(samples(pictures, side, seed + 1), 40)))


def check(model: Any, drawn: Sequence[Sample]) -> dict[str, float]:
    """Share of words found (covered by boxes to 60% or more) and boxes a frame that touch no word."""
    found = words = false = 0
    for image, boxes in drawn:
        with torch.inference_mode():
            (pred,) = model(as_batch([image], model), return_preds=True)["preds"]
        side = image.shape[0]
        mask = np.zeros((side, side), dtype=bool)
        truth = np.zeros((side, side), dtype=bool)
        for x0, y0, x1, y1 in (boxes * side).astype(int):
            truth[y0:y1, x0:x1] = True
        for x0, y0, x1, y1 in (pred[CLASS][:, :4] * side).astype(int):
            mask[y0:y1, x0:x1] = True
            false += not truth[y0:y1, x0:x1].any()
        for x0, y0, x1, y1 in (boxes * side).astype(int):
            words += 1
            found += bool(mask[y0:y1, x0:x1].mean() >= 0.6)
    return {"words": words, "recall": round(found / words, 4), "false_per_frame": round(false / len(drawn), 4)}


def _targets(drawn: Sequence[Sample]) -> list[dict[str, np.ndarray[Any, Any]]]:
    return [{CLASS: sample.boxes.copy()} for sample in drawn]


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file of the state dict")
    parser.add_argument("--images", type=Path, help="folder of slide pictures to draw on")
    parser.add_argument("--arch", choices=ARCHITECTURES, default="linknet_resnet18")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--side", type=int, default=256, help="pixels; a multiple of 32")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(json.dumps(train(given.out, given.images, given.arch, given.steps, given.side, given.batch, given.seed)))


if __name__ == "__main__":
    main()
