"""Records of a stage in any number, and the memory they take up to its first step."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from training_tables import print_rows

WORDS = ("crypts", "straight", "evenly", "spaced", "plasma", "cells", "between", "them", "at", "higher", "power")
RECORDS = (14_000, 140_000)


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
            "writer": "benchmarks/training_records.py",
            "prompt_hash": "0",
        }
    )


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
