"""From how many epochs does it pay to keep the features of a frozen tower?

The pretrained tower's first six layers, as the learning benchmark has them, and the demo's tiny random tower: features
are computed once, then the same samples are trained on from pixels and from features. Processor seconds.
"""

import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from training_learn import start_dinov2, start_siglip
from training_slides import QUESTIONS, write_slides_dataset
from training_tables import print_rows

from videopath_hf.data.folder import read_instructions
from videopath_hf.modeling.loading import load_model
from videopath_hf.modeling.tiny import train_tokenizer
from videopath_hf.progress import note
from videopath_hf.training.collator import SAMPLE_IDS, VideoPathCollator
from videopath_hf.training.config import VideoPathSFTConfig
from videopath_hf.training.features import store_features
from videopath_hf.training.samples import survey_samples

BATCH = 8
SAMPLES = 48
KINDS = {"image": "stills", "clip": "clips of 4 frames"}


def features(slides: Path, out: Path, offline: Path | None) -> None:
    """Print the table; data are made in `out` where they are not there yet."""
    torch.set_num_threads(1)
    data = write_slides_dataset(slides, out / "data")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        texts = [record.answer for record in read_instructions(data, ["image", "clip"], "train")]
        tokenizer = train_tokenizer([*texts, *QUESTIONS])
        start_siglip(tokenizer, root / "siglip", 0)
        towers = {"siglip": "tiny SigLIP, 4 layers of 96"}
        if offline is None or not (offline / "dinov2-small").is_dir():
            note("dinov2 is left out: VIDEOPATH_OFFLINE_MODELS names no folder that holds dinov2-small")
        else:
            start_dinov2(tokenizer, root / "dinov2", offline / "dinov2-small", 0)
            towers["dinov2"] = "DINOv2-small, 6 layers of 384"
        for tower, name in towers.items():
            for kind, medium in KINDS.items():
                rows.append([name, medium, *_measure(root / tower, data, kind, root / f"{tower}_{kind}")])
    heads = ["tower, 112 pixels", "samples", "computing and writing, ms a sample", "an epoch from pixels, ms a sample"]
    heads += ["an epoch from features, ms a sample", "pays from epochs", "KB a sample"]
    print_rows("Kept features of a frozen tower; projector and a decoder of 2 layers of 128 learn", heads, rows)


def _measure(model_path: Path, data: Path, kind: str, folder: Path) -> list[str]:
    model, processor = load_model(model_path)
    model.train()
    model.model.vision_tower.requires_grad_(False)
    records = read_instructions(data, [kind], "train")[:SAMPLES]
    collator = VideoPathCollator(processor, data, num_frames=4)
    survey = survey_samples(records, collator, 0)
    _epoch(model, collator, records[:BATCH])  # what a process does only once is not counted
    start = time.process_time()
    kept = store_features(model, collator, records, survey, folder, VideoPathSFTConfig(output_dir=str(folder)))
    once = time.process_time() - start
    pixels = min(_epoch(model, collator, records) for _ in range(2))
    stored = min(_epoch(model, kept, records) for _ in range(2))
    size = sum(path.stat().st_size for path in folder.iterdir()) / len(records) / 1000
    epochs = f"{math.floor(once / (pixels - stored)) + 1}" if pixels > stored else "never"
    each = [f"{1000 * seconds / len(records):.1f}" for seconds in (once, pixels, stored)]
    return [*each, epochs, f"{size:.0f}"]


def _epoch(model: Any, collator: VideoPathCollator, records: Sequence[Any]) -> float:
    start = time.process_time()
    for first in range(0, len(records), BATCH):
        batch = collator.collate(records[first : first + BATCH])
        batch.pop(SAMPLE_IDS)
        model(**batch).loss.backward()
        model.zero_grad()
    return time.process_time() - start
