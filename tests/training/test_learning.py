"""The tiny recipes learn to tell two diagnoses apart from pixels, and several processes train as one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.training.synthetic import texts, write_dataset
from videopath_hf.data.folder import read_instructions
from videopath_hf.modeling.loading import load_model
from videopath_hf.modeling.tiny import build_tiny
from videopath_hf.records import InstructionRecord
from videopath_hf.settings import load_settings
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.stages import run_stage

RECIPES = Path(__file__).parents[2] / "recipes" / "tiny"
# Fewer steps than the recipes': the synthetic cases differ in colour alone.
STEPS = {"stage0_alignment": 5, "stage1_image_sft": 60, "stage2_hybrid_sft": 60, "stage3_video_sft": 10}
PLAN = ("optimisation.max_steps=6", "optimisation.save_steps=2")


def ask(model: Any, processor: Any, root: Path, record: InstructionRecord) -> str:
    question = {"type": "text", "text": record.question}
    shown = {"type": "video", "path": str(root / record.media[0].path)}
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": [shown, question]}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    ids = model.generate(**inputs, max_new_tokens=80)
    return str(processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))


@pytest.mark.slow
def test_the_four_tiny_stages_teach_a_random_model_to_name_the_diagnosis_of_unseen_clips(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data", clips=14, held_out=8)
    model_path = build_tiny(texts(), tmp_path / "tiny", seed=0)
    for name, steps in STEPS.items():
        overrides = [f"model={model_path}", f"data.path={root}", f"out={tmp_path / name}"]
        chosen = load_settings(Recipe, RECIPES / f"{name}.yaml", [*overrides, f"optimisation.max_steps={steps}"])
        model_path = run_stage(chosen).model
    model, processor = load_model(model_path)
    records = read_instructions(root, ["video"], "test")
    answers = [ask(model, processor, root, record) for record in records]
    right = [f"Diagnosis: {record.diagnosis}" in answer for record, answer in zip(records, answers, strict=True)]
    assert len(right) == 8 and sum(right) >= 7, answers


@pytest.mark.slow
def test_two_processes_with_half_the_batch_train_as_one_with_the_whole(tiny: Path, data: Path, tmp_path: Path) -> None:
    def words(processes: int) -> list[str]:
        places = [f"model={tiny}", f"data.path={data}", f"out={tmp_path / str(processes)}"]
        return [*places, f"optimisation.batch_size={2 // processes}", *PLAN]

    # A script, as users have them, rather than -m.
    (tmp_path / "train.py").write_text("from videopath_hf.cli.main import main; main()")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", str(tmp_path / "train.py")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*launch, "train", str(RECIPES / "stage2_hybrid_sft.yaml"), *words(2)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    run_stage(load_settings(Recipe, RECIPES / "stage2_hybrid_sft.yaml", words(1)))
    logs = []
    for processes in (2, 1):
        load_model(tmp_path / str(processes))
        lines = (tmp_path / str(processes) / "log.jsonl").read_text().splitlines()
        logs.append([json.loads(line) for line in lines])
    assert [line["step"] for line in logs[0]] == [1, 2, 3, 4, 5, 6]
    for two, one in zip(*logs, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
        assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-3)
