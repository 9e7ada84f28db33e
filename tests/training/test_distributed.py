"""Two processes: whatever each of them sees, neither waits for the other, and both learn what one would."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.training.ranks import read_folder, train
from tests.training.synthetic import break_clip, short_recipe, write_dataset
from videopath_hf.data.folder import read_instructions
from videopath_hf.files import read_json
from videopath_hf.modeling.loading import load_model
from videopath_hf.records import InstructionRecord
from videopath_hf.training.build import make_collator

FULL = {"projector": True, "vision_tower": True, "language_model": "full"}
BROKEN = "lecture_c00002"
IMAGE, VIDEO, TEXT = 0, 1, 2
# Of the ranks in turn: images beside a clip, words beside an image, all three beside words, a clip beside all three.
ORDER = [[IMAGE], [VIDEO], [TEXT], [IMAGE], [IMAGE, VIDEO, TEXT], [TEXT], [VIDEO], [TEXT, VIDEO, IMAGE]]
ROOT = Path(__file__).parents[2]
LAUNCH = ["accelerate.commands.launch", "--config_file", str(ROOT / "recipes/accelerate/cpu.yaml")]


def in_words(record: InstructionRecord) -> InstructionRecord:
    """The record without what it shows."""
    question, answer = record.messages
    words = [block for block in question["content"] if block["type"] == "text"]
    messages = [{**question, "content": words}, answer]
    return record.model_copy(update={"id": f"{record.id}-words", "media": [], "messages": messages})


@pytest.fixture(scope="module")
def ended(tiny: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of what two processes, and one alone, have done."""
    root = tmp_path_factory.mktemp("ranks")
    torn = write_dataset(root / "data", clips=6, held_out=0)
    break_clip(torn / f"videos/train/{BROKEN}.mp4")

    def write(name: str, **changes: Any) -> Path:
        folder = root / name
        (folder / "out").mkdir(parents=True)
        chosen = short_recipe(tiny, data, folder / "out", trainable=FULL, **changes)
        (folder / "recipe.json").write_text(chosen.model_dump_json())
        records = [read_instructions(data, [kind], "train")[0] for kind in ("image", "video")]
        records.append(in_words(records[0]))
        (folder / "records.jsonl").write_text("".join(f"{record.model_dump_json()}\n" for record in records))
        (folder / "order.json").write_text(json.dumps(ORDER))
        return folder

    plan = {"max_steps": len(ORDER) // 2, "batch_size": 1, "warmup_ratio": 0.0}
    # Three clips a rank and epoch: each clip is one rank's alone, and every step has another.
    broken = {"path": torn, "cache_mb": 0}
    twice = {"max_steps": 6, "batch_size": 1}
    tasks = {
        "kept": ("train", write("kept", optimisation=plan)),
        "recomputed": ("train", write("recomputed", optimisation={**plan, "gradient_checkpointing": True})),
        "sharded": ("shard", write("sharded", optimisation=plan)),
        "bearable": ("stage", write("bearable", data={**broken, "max_dropped": 0.2}, optimisation=twice)),
        "unbearable": ("stage", write("unbearable", data={**broken, "max_dropped": 0.1}, optimisation=twice)),
    }
    run([f"{mode}={folder}" for mode, folder in tasks.values()])
    alone = write("alone", optimisation={**plan, "accumulation": 2})
    train(alone)
    return {"alone": alone, **{name: folder for name, (_, folder) in tasks.items()}}


def run(tasks: list[str]) -> None:
    command = [sys.executable, "-m", *LAUNCH, "-m", "tests.training.ranks", *tasks]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]


def losses_in(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "out" / "log.jsonl").read_text().splitlines()]


def test_two_ranks_that_see_images_clips_and_words_learn_what_one_process_would(ended: dict[str, Path]) -> None:
    expected = load_file(ended["alone"] / "out" / "weights.safetensors")
    for name in ("kept", "recomputed"):
        assert losses_in(ended[name]) == pytest.approx(losses_in(ended["alone"]), rel=1e-4)
        found = load_file(ended[name] / "out" / "weights.safetensors")
        assert all(torch.allclose(found[name], value, atol=1e-4) for name, value in expected.items())


def test_with_sharded_weights_each_rank_has_the_loss_of_a_whole_model_on_each_of_its_batches(
    ended: dict[str, Path],
) -> None:
    recipe, records, order = read_folder(ended["sharded"])
    assert recipe.model is not None and recipe.data.path is not None
    model, processor = load_model(recipe.model)
    collator = make_collator(processor, recipe, recipe.data.path)
    found = json.loads((ended["sharded"] / "out" / "losses.json").read_text())
    for number, batch in enumerate(order):
        inputs = collator.collate([records[place] for place in batch])
        inputs.pop("sample_ids")
        with torch.no_grad():
            alone = float(model(**inputs, use_cache=False).loss)
        assert found[number % 2][number // 2] == pytest.approx(alone, rel=1e-5)


def test_a_clip_that_breaks_on_one_rank_is_left_out_by_all_and_counted_once(ended: dict[str, Path]) -> None:
    assert [how_it_ended(ended["bearable"], rank) for rank in (0, 1)] == [{"samples": 6}] * 2
    (left_out,) = read_json(ended["bearable"] / "out" / "run.json")["quarantined"]
    assert left_out["id"] == f"{BROKEN}-video-0" and f"{BROKEN}.mp4 cannot be read" in left_out["reason"]
    assert len(losses_in(ended["bearable"])) == 6


def test_too_many_broken_clips_stop_all_ranks_with_the_same_words(ended: dict[str, Path]) -> None:
    first, second = (how_it_ended(ended["unbearable"], rank) for rank in (0, 1))
    assert first == second and first["kind"] == "TooManyRejectsError"
    assert "1 of 6 samples cannot be trained on, data.max_dropped allows 0.1" in first["message"]
    assert f"{BROKEN}-video-0" in first["message"]
    assert not (ended["unbearable"] / "out" / "run.json").exists()


def how_it_ended(folder: Path, rank: int) -> dict[str, Any]:
    return dict(json.loads((folder / f"ended-{rank}.json").read_text()))
