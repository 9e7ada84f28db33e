"""How long training waits for its batches, by who makes them, in which order and by how many processes.

The step is a stand-in for a GPU's: it takes time in proportion to the tokens of its batch, padding included, and no
processor. Its rate is such that making the batches of the length-grouped order takes half a core. The same processes
serve all ways in turn; what they take to start is not counted.
"""

import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from training_records import WORDS, record
from training_tables import print_rows

CLIPS, BATCH, LONGEST = 64, 4, 32
SIDE, FPS = (240, 424), 8.0
PROCESSES = (0, 2, 4)
SHARE = 0.5
"""Cores that making batches takes while the step runs."""
OURS, RANDOM, TRL = "videopath_hf", "videopath_hf, not grouped by length", "TRL's collator, `images: []`"


Ways = dict[str, tuple[Callable[..., Any], list[list[Any]]]]


class Waiting(NamedTuple):
    """Of one pass: samples, seconds by the clock, how many of them went into waiting, tokens and real tokens."""

    samples: int
    clock: float
    waited: float
    tokens: int
    real: int


def compare_waiting() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        records = _write(root)
        ways = _ways(root, records)
        rate = _rate(*ways[OURS])
        rows = []
        for processes in PROCESSES:
            for name, found in _train(ways, processes, rate).items():
                rows.append(
                    [
                        name,
                        str(processes),
                        f"{found.samples / found.clock:.1f}",
                        f"{1 - found.real / found.tokens:.1%}",
                        f"{found.waited / found.clock:.1%}",
                    ]
                )
    heads = ["way", "processes", "samples a second", "padding", "data-wait"]
    title = f"{CLIPS} clips of 2 to {LONGEST} frames, batches of {BATCH}, a step twice as long as its batch takes"
    print_rows(f"{title}; load of the machine {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores", heads, rows)


def _write(root: Path) -> list[Any]:
    import numpy as np

    from videopath_hf.video.encode import write_clip

    rng, chance = np.random.default_rng(0), random.Random(0)
    records = []
    for number in range(CLIPS):
        field = np.kron(rng.integers(90, 240, (40, 60, 3), dtype=np.uint8), np.ones((12, 12, 1), dtype=np.uint8))
        frames = chance.randint(2, LONGEST)
        shown = (field[shift : shift + SIDE[0], shift : shift + SIDE[1]] for shift in range(frames))
        write_clip(root / f"{number}.mp4", shown, FPS)
        answer = " ".join(chance.choices(WORDS, k=chance.randint(10, 60)))
        records.append(record(number, "video", f"{number}.mp4", answer))
    return records


def _ways(root: Path, records: Sequence[Any]) -> Ways:
    """Of each way, what makes a batch and of what, in order."""
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    from videopath_hf.modeling.loading import load_model
    from videopath_hf.modeling.tiny import build_tiny
    from videopath_hf.training.batches import ModalityBatches
    from videopath_hf.training.collator import VideoPathCollator
    from videopath_hf.training.samples import survey_samples

    build_tiny([" ".join(WORDS), "Describe the video."], root / "tiny", seed=0)
    processor = load_model(root / "tiny")[1]
    processor.video_processor.num_frames = LONGEST
    ours = VideoPathCollator(processor, root, num_frames=LONGEST)
    theirs = DataCollatorForVisionLanguageModeling(processor, max_length=None, assistant_only_loss=True)
    lengths = list(survey_samples(records, ours, 0).lengths.values())
    kinds = ["video"] * len(records)

    def row(clip: Any) -> dict[str, Any]:
        shown = [{"type": "video", "path": str(root / clip.media[0].path)}, clip.messages[0]["content"][1]]
        return {"messages": [{"role": "user", "content": shown}, clip.messages[1]], "images": []}

    def batches(given: Sequence[int] | None, of: Sequence[Any]) -> list[list[Any]]:
        return [[of[place] for place in batch] for batch in ModalityBatches(kinds, BATCH, 0, lengths=given)]

    return {
        OURS: (ours.collate, batches(lengths, records)),
        RANDOM: (ours.collate, batches(None, records)),
        TRL: (theirs, batches(None, [row(clip) for clip in records])),
    }


def _rate(collate: Callable[..., Any], order: Sequence[Any]) -> float:
    """Seconds of a step for each token of its batch."""
    collate(order[0])
    start, tokens = time.process_time(), 0
    for batch in order:
        tokens += collate(batch)["input_ids"].numel()
    return (time.process_time() - start) / tokens / SHARE


class _Made:
    """Batches of all ways in turn; made by whichever process is asked for one."""

    def __init__(self, ways: Ways) -> None:
        self.makers = {name: collate for name, (collate, _) in ways.items()}
        first = next(iter(ways))
        turns = [("", first), *((name, name) for name in ways)]
        self.wanted = [(turn, name, batch) for turn, name in turns for batch in ways[name][1]]

    def __len__(self) -> int:
        return len(self.wanted)

    def __getitem__(self, place: int) -> tuple[str, Any]:
        turn, name, batch = self.wanted[place]
        return turn, self.makers[name](batch)


def _train(ways: Ways, processes: int, rate: float) -> dict[str, Waiting]:
    """One pass of each way, after one of the first that lets the processes start."""
    from torch.utils.data import DataLoader

    from videopath_hf.training.workers import worker_options

    made: Any = _Made(ways)
    loader: Any = DataLoader(made, batch_size=None, collate_fn=as_it_is, **worker_options(processes))
    passes: dict[str, Waiting] = {}
    asked = time.perf_counter()
    for turn, batch in loader:
        came = time.perf_counter()
        tokens, real = batch["input_ids"].numel(), int(batch["attention_mask"].sum())
        time.sleep(rate * tokens)
        now = time.perf_counter()
        this = (len(batch["input_ids"]), now - asked, came - asked, tokens, real)
        before = passes.get(turn, Waiting(0, 0, 0, 0, 0))
        passes[turn] = Waiting(*(a + b for a, b in zip(before, this, strict=True)))
        asked = now
    del passes[""]
    return passes


def as_it_is(made: Any) -> Any:
    """What a loader makes of a batch that is whole."""
    return made
