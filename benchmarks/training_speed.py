"""Samples a second, and the order of batches.

Ways take turns. A sample's seconds are the processor's, all processes of a way together, since a busy machine's clock
says little.
"""

import random
import resource
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from training_records import WORDS, compare_memory, record
from training_tables import print_rows
from training_waiting import compare_waiting

CLIPS, STILLS, BATCH = 16, 16, 4
TRAINED = 24
"""Batches of each order that are trained on."""
FRAMES, SIDE, FPS = 32, (180, 320), 8.0


class Pass(NamedTuple):
    """Seconds of processor time that one pass over the samples took, and how many of them went into batches."""

    samples: int
    processor: float
    fed: float


def speed() -> None:
    """Print all tables."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        records = write_samples(root)
        compare_collators(root, [record for record in records if record.media[0].type == "video"])
        compare_orders(root, records)
    compare_waiting()
    compare_memory()


def write_samples(root: Path) -> list[Any]:
    """Clips and stills of noise with answers of 10 to 200 words; returns their records."""
    import numpy as np
    from PIL import Image

    from videopath_hf.video.encode import write_clip

    rng, chance = np.random.default_rng(0), random.Random(0)
    records = []
    for number in range(CLIPS + STILLS):
        medium = "video" if number < CLIPS else "image"
        path = f"{medium}{number}.{'mp4' if medium == 'video' else 'jpg'}"
        field = np.kron(rng.integers(90, 240, (30, 50, 3), dtype=np.uint8), np.ones((12, 12, 1), dtype=np.uint8))
        if medium == "video":
            frames = (field[shift : shift + SIDE[0], shift : shift + SIDE[1]] for shift in range(FRAMES))
            write_clip(root / path, frames, FPS)
        else:
            Image.fromarray(field[: chance.randint(100, 360), : chance.randint(100, 600)]).save(root / path)
        records.append(record(number, medium, path, " ".join(chance.choices(WORDS, k=chance.randint(10, 200)))))
    return records


def load_tiny(root: Path) -> tuple[Any, Any]:
    """The tiny model in training, its tower frozen, and its processor."""
    from videopath_hf.modeling.loading import load_model
    from videopath_hf.modeling.tiny import build_tiny

    if not (root / "tiny").is_dir():
        build_tiny([" ".join(WORDS), "Describe the video. Describe the image."], root / "tiny", seed=0)
    model, processor = load_model(root / "tiny")
    model.model.vision_tower.requires_grad_(False)
    return model.train(), processor


def train_on(model: Any, batches: Iterator[dict[str, Any]]) -> Pass:
    """Forward and backward over all batches; how long, and how much of it was making them."""
    start, fed, samples = _processor(), 0.0, 0
    while True:
        asked = _processor()
        batch = next(batches, None)
        fed += _processor() - asked
        if batch is None:
            break
        batch.pop("sample_ids", None)
        samples += len(batch["input_ids"])
        model(**batch).loss.backward()
        model.zero_grad()
    return Pass(samples, _processor() - start, fed)


def _processor() -> float:
    """Seconds of processor time of this process and of those it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def take_turns(ways: dict[str, Callable[[], Pass]], rounds: int = 3) -> dict[str, Pass]:
    """Of each way, the round that took the least processor time."""
    best: dict[str, Pass] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            found = way()
            if name not in best or found.processor < best[name].processor:
                best[name] = found
    return best


def _rows(best: dict[str, Pass]) -> list[list[str]]:
    ours = next(iter(best.values()))
    rate = {name: found.samples / found.processor for name, found in best.items()}
    first = ours.samples / ours.processor
    return [
        [
            name,
            f"{rate[name]:.1f}",
            f"{rate[name] / first:.2f}",
            f"{1000 * found.fed / found.samples:.1f}",
        ]
        for name, found in best.items()
    ]


HEADS = ["way", "samples a processor second", "ratio to ours", "of it making batches, ms a sample"]


def compare_collators(root: Path, clips: Sequence[Any]) -> None:
    """Our collator beside TRL's, which takes videos where an empty column `images` is given."""
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    from videopath_hf.training.collator import VideoPathCollator

    model, processor = load_tiny(root)
    processor.video_processor.num_frames = 16
    ours = VideoPathCollator(processor, root, num_frames=16)
    theirs = DataCollatorForVisionLanguageModeling(processor, max_length=None, assistant_only_loss=True)

    def row(clip: Any) -> dict[str, Any]:
        shown = [{"type": "video", "path": str(root / clip.media[0].path)}, clip.messages[0]["content"][1]]
        return {"messages": [{"role": "user", "content": shown}, clip.messages[1]], "images": []}

    groups = [clips[start : start + BATCH] for start in range(0, len(clips), BATCH)]
    a, b = ours.collate(groups[0]), theirs([row(clip) for clip in groups[0]])
    assert bool((a["labels"] == b["labels"]).all()) and bool((a["input_ids"] == b["input_ids"]).all())
    ways: dict[str, Callable[[], Pass]] = {
        "videopath_hf": lambda: train_on(model, (ours.collate(group) for group in groups)),
        "TRL's collator, `images: []`": lambda: train_on(
            model, (theirs([row(clip) for clip in group]) for group in groups)
        ),
    }
    title = f"{len(clips)} clips of {FRAMES} frames, 16 of them taken; the same tokens and labels"
    print_rows(title, HEADS, _rows(take_turns(ways)))


def compare_orders(root: Path, records: Sequence[Any]) -> None:
    """Batches of like length, of one modality, and of anything, over the same samples."""
    from videopath_hf.training.batches import ModalityBatches
    from videopath_hf.training.collator import VideoPathCollator
    from videopath_hf.training.samples import modality_of

    model, processor = load_tiny(root)
    collator = VideoPathCollator(processor, root, num_frames=16, cache_mb=500)
    records = list(records) * 8  # so many that there is something to group; each is decoded once
    lengths = [collator.encode(one)["input_ids"].shape[1] for one in records]
    kinds = [modality_of(one) for one in records]
    orders = {
        "one modality, like lengths (videopath_hf)": ModalityBatches(kinds, BATCH, 0, lengths=lengths),
        "one modality": ModalityBatches(kinds, BATCH, 0),
        "anything": ModalityBatches(["any"] * len(kinds), BATCH, 0),
    }

    def go(order: ModalityBatches) -> Pass:
        batches = islice(order, TRAINED)
        return train_on(model, (collator.collate([records[index] for index in batch]) for batch in batches))

    best = take_turns({name: lambda order=order: go(order) for name, order in orders.items()}, rounds=2)
    rows = []
    for row, order in zip(_rows(best), orders.values(), strict=True):
        rows.append([*row[:3], f"{padding(order, lengths):.1%}", f"{epoch_padding(row[0]):.1%}"])
    heads = [*HEADS[:3], "padding", "padding of 20,000 samples in batches of 8"]
    print_rows(f"{TRAINED} batches of {BATCH} of {len(records)} clips and stills, kept in memory", heads, rows)


def padding(order: Any, lengths: Sequence[int]) -> float:
    """Share of the tokens of an epoch that is padding."""
    whole = used = 0
    for batch in order:
        whole += len(batch) * max(lengths[index] for index in batch)
        used += sum(lengths[index] for index in batch)
    return 1 - used / whole


def epoch_padding(way: str) -> float:
    """The same of an order over many samples, images of 1 to 10 tiles and clips of 2 to 32 frames."""
    from videopath_hf.training.batches import ModalityBatches

    chance = random.Random(0)
    kinds, lengths = [], []
    for number in range(20_000):
        words = 60 + chance.randint(20, 400)
        kinds.append("video" if number % 2 else "image")
        lengths.append(words + (196 * chance.randint(2, 32) if number % 2 else 729 * chance.randint(2, 10)))
    if way == "anything":
        kinds = ["any"] * len(kinds)
    return padding(ModalityBatches(kinds, 8, 0, lengths=lengths if "like" in way else None), lengths)
