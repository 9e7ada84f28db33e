"""Samples a second and data-wait, the order of batches, processes that decode ahead, and the memory of many records.

Ways take turns. A sample's seconds are the processor's, all processes of a way together, since a busy machine's clock
says little; data-wait, the share of the clock that training waits for its batch, is of the clock.
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from training_tables import print_rows

CLIPS, STILLS, BATCH = 16, 16, 4
TRAINED = 24
"""Batches of each order that are trained on."""
FRAMES, SIDE, FPS = 32, (180, 320), 8.0
WORDS = ("crypts", "straight", "evenly", "spaced", "plasma", "cells", "between", "them", "at", "higher", "power")
RECORDS = (14_000, 140_000)


class Pass(NamedTuple):
    """What one pass over the samples took, and how much of that was the batches: by the clock, by the processor."""

    samples: int
    processor: float
    clock: float
    waited: float
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
        compare_workers(root, [record for record in records if record.media[0].type == "video"])
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


def record(number: int, medium: str, path: str, answer: str) -> Any:
    """One record."""
    from videopath_hf.records import InstructionRecord

    question = f"Describe the {medium}."
    shown = [{"type": medium, "path": path}, {"type": "text", "text": question}]
    said = [{"type": "text", "text": answer}]
    return InstructionRecord.model_validate(
        {
            "id": f"{medium}_{number:07d}",
            "kind": medium,
            "clip_id": str(number),
            "video_id": "noise",
            "media": [{"type": medium, "path": path}],
            "messages": [{"role": "user", "content": shown}, {"role": "assistant", "content": said}],
            "question": question,
            "answer": answer,
            "description": answer,
            "split": "train",
            "source": "noise",
            "licence": "Apache-2.0",
            "writer": "benchmarks/training_speed.py",
            "prompt_hash": "0",
        }
    )


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
    """Forward and backward over all batches; how long, and how much of it was waiting for them."""
    start, used, waited, fed, samples = time.perf_counter(), _processor(), 0.0, 0.0, 0
    while True:
        asked, spent = time.perf_counter(), _processor()
        batch = next(batches, None)
        waited, fed = waited + time.perf_counter() - asked, fed + _processor() - spent
        if batch is None:
            break
        batch.pop("sample_ids", None)
        samples += len(batch["input_ids"])
        model(**batch).loss.backward()
        model.zero_grad()
    return Pass(samples, _processor() - used, time.perf_counter() - start, waited, fed)


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
            f"{1000 * found.fed / found.samples:.0f}",
            f"{found.waited / found.clock:.0%}",
        ]
        for name, found in best.items()
    ]


HEADS = ["way", "samples a processor second", "ratio to ours", "of it making batches, ms a sample", "data-wait"]


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


def compare_workers(root: Path, clips: Sequence[Any]) -> None:
    """Processes that decode ahead."""
    from torch.utils.data import DataLoader

    from videopath_hf.training.collator import VideoPathCollator

    model, processor = load_tiny(root)
    collator = VideoPathCollator(processor, root, num_frames=16)

    def go(workers: int) -> Pass:
        loader = DataLoader(list(clips) * 2, batch_size=BATCH, num_workers=workers, collate_fn=collator.collate)
        return train_on(model, iter(loader))

    best = take_turns({f"{workers} processes": lambda workers=workers: go(workers) for workers in (2, 0, 4)}, rounds=2)
    print_rows(f"{2 * len(clips)} clips of {FRAMES} frames, 16 of them taken", HEADS, _rows(best))


def compare_memory() -> None:
    """Choosing, measuring and handing over so many records, each size in a process of its own."""
    rows = []
    for count in RECORDS:
        command = [sys.executable, __file__, str(count)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows.append([f"{count:,}", *(f"{found[name]:.0f}" for name in ("held", "peak")), f"{found['seconds']:.1f}"])
    heads = ["records", "memory held over the imports, MB", "at its peak, MB", "processor seconds"]
    print_rows("Records of one stage, ready to be trained on", heads, rows)


def measure_memory(count: int) -> dict[str, float]:
    """Memory, in megabytes, that `count` records take up to the first step."""
    from videopath_hf.files import write_records
    from videopath_hf.training import build  # noqa: F401  (the imports of training are not counted)
    from videopath_hf.training.recipe import Recipe
    from videopath_hf.training.samples import Survey, choose_records, data_hash, to_dataset

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "clips").mkdir()
        for number in range(count):
            (root / "clips" / f"{number}.mp4").write_bytes(b"clip")
        text = " ".join(WORDS * 8)
        records = (record(number, "video", f"clips/{number}.mp4", f"{text} {number}") for number in range(count))
        write_records(root / "instructions.jsonl", records)
        sections: dict[str, Any] = {
            "data": {"kinds": ["video"]},
            "trainable": {"projector": True},
            "optimisation": {"learning_rate": 1e-3, "batch_size": 1},
        }
        recipe = Recipe.model_validate({"stage": 3, "name": "memory", **sections})
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        chosen = choose_records(recipe, root)
        data_hash(chosen, root)
        rows = to_dataset(chosen, Survey(lengths={one.id: 100 for one in chosen}), root / "rows.arrow")
        rows[count // 2]
        held = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        seconds = time.process_time() - start
    imports = before * 1024 / 1e6
    return {"held": held - imports, "peak": peak - imports, "seconds": seconds}


if __name__ == "__main__":
    print(json.dumps(measure_memory(int(sys.argv[1]))))
