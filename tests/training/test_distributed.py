"""Two processes: whatever each of them sees, neither waits for the other, and both learn what one would."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.ranks import read_folder, train
from videopath_hf.data.folder import read_instructions
from videopath_hf.modeling.loading import load_model
from videopath_hf.records import InstructionRecord
from videopath_hf.training.build import make_collator
from videopath_hf.training.recipe import Recipe

FULL = {"projector": True, "vision_tower": True, "language_model": "full"}
IMAGE, VIDEO, TEXT = 0, 1, 2
# Of the ranks in turn: images beside a clip, words beside an image, all three beside words, a clip beside all three.
ORDER = [[IMAGE], [VIDEO], [TEXT], [IMAGE], [IMAGE, VIDEO, TEXT], [TEXT], [VIDEO], [TEXT, VIDEO, IMAGE]]
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "--no_python"]


def in_words(record: InstructionRecord) -> InstructionRecord:
    """The record without what it shows."""
    question, answer = record.messages
    words = [block for block in question["content"] if block["type"] == "text"]
    messages = [{**question, "content": words}, answer]
    return record.model_copy(update={"id": f"{record.id}-words", "media": [], "messages": messages})


@pytest.fixture
def prepare(recipe: Callable[..., Recipe], data: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes what the processes read, into a folder of a name."""

    def write(name: str, **optimisation: object) -> Path:
        folder = tmp_path / name
        (folder / "out").mkdir(parents=True)
        plan = {"max_steps": len(ORDER) // 2, "batch_size": 1, "warmup_ratio": 0.0, **optimisation}
        chosen = recipe(trainable=FULL, out=folder / "out", optimisation=plan)
        records = [read_instructions(data, [kind], "train")[0] for kind in ("image", "video")]
        records.append(in_words(records[0]))
        (folder / "recipe.json").write_text(chosen.model_dump_json())
        (folder / "records.jsonl").write_text("".join(f"{record.model_dump_json()}\n" for record in records))
        (folder / "order.json").write_text(json.dumps(ORDER))
        return folder

    return write


def run(**folders: list[Path]) -> None:
    tasks = [f"{mode}={folder}" for mode, places in folders.items() for folder in places]
    command = [*LAUNCH, sys.executable, "-m", "tests.training.ranks", *tasks]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]


def losses_in(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "out" / "log.jsonl").read_text().splitlines()]


def test_two_ranks_that_see_images_clips_and_words_learn_what_one_process_would(prepare: Callable[..., Path]) -> None:
    kept, recomputed = prepare("kept"), prepare("recomputed", gradient_checkpointing=True)
    sharded, alone = prepare("sharded"), prepare("alone", accumulation=2)
    run(train=[kept, recomputed], shard=[sharded])
    train(alone)
    expected = load_file(alone / "out" / "weights.safetensors")
    for folder in (kept, recomputed):
        assert losses_in(folder) == pytest.approx(losses_in(alone), rel=1e-4)
        found = load_file(folder / "out" / "weights.safetensors")
        assert all(torch.allclose(found[name], value, atol=1e-4) for name, value in expected.items())
    assert_losses(sharded)


def assert_losses(folder: Path) -> None:
    """With sharded weights, each rank has the loss on each of its batches that a whole model has."""
    recipe, records, order = read_folder(folder)
    assert recipe.model is not None and recipe.data.path is not None
    model, processor = load_model(recipe.model)
    collator = make_collator(processor, recipe, recipe.data.path)
    found = json.loads((folder / "out" / "losses.json").read_text())
    for number, batch in enumerate(order):
        inputs = collator.collate([records[place] for place in batch])
        inputs.pop("sample_ids")
        with torch.no_grad():
            alone = float(model(**inputs, use_cache=False).loss)
        assert found[number % 2][number // 2] == pytest.approx(alone, rel=1e-5)
