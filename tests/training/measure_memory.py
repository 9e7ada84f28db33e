"""`python -m tests.training.measure_memory full|adapters FOLDER`: peak memory of two steps, and its estimate."""

import json
import re
import resource
import sys
from pathlib import Path

import psutil
import torch

from tests.training.synthetic import texts, write_dataset
from videopath_hf.data.folder import read_instructions
from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor
from videopath_hf.modeling.templates import CHATML_TEMPLATE
from videopath_hf.modeling.tiny import random_model, tiny_config, train_tokenizer
from videopath_hf.training.build import make_collator, make_config, make_trainer
from videopath_hf.training.memory import Batch, training_memory
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.samples import Survey
from videopath_hf.training.shapes import build_on_meta, count_parts

SAMPLES, FRAMES = 4, 8


def main(case: str, out: Path) -> None:
    torch.set_num_threads(1)
    write_dataset(out / "data", clips=SAMPLES, held_out=0)
    parts = {"projector": True, "vision_tower": True, "language_model": "full" if case == "full" else "lora"}
    recompute = {"gradient_checkpointing": case == "adapters"}
    recipe = Recipe.model_validate(
        {
            "stage": 3,
            "name": "measured",
            "data": {"path": out / "data", "kinds": ["video"]},
            "trainable": parts,
            "lora": {"r": 64, "alpha": 64},
            "frames": {"num_frames": FRAMES},
            "optimisation": {"learning_rate": 1e-4, "batch_size": SAMPLES, "max_steps": 2, **recompute},
        }
    )
    tokenizer = train_tokenizer(texts())
    text = tiny_config(tokenizer).text_config.to_dict()
    wide = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 4, "num_attention_heads": 8}
    config = tiny_config(tokenizer, text_config={**text, **wide, "layer_types": None})
    processor = VideoPathLlavaProcessor.from_config(config, tokenizer, CHATML_TEMPLATE)
    on_meta = build_on_meta(recipe, config)
    records = read_instructions(out / "data", ["video"], "train")
    collator = make_collator(processor, recipe, out / "data")
    batch = Batch(SAMPLES, collator.collate(records)["input_ids"].shape[1], FRAMES)
    estimated = training_memory(recipe, on_meta.config, count_parts(on_meta), batch, bf16=False, on_gpu=False)
    before = psutil.Process().memory_info().rss
    model = random_model(config, tokenizer, 0)
    arguments = make_config(recipe, out / "checkpoints")
    arguments.save_strategy = "no"
    survey = Survey(lengths={record.id: 0 for record in records})
    make_trainer(model, recipe, arguments, records, survey, collator, out).train()
    print(json.dumps({"measured": _peak() - before, "estimated": estimated.total}))


def _peak() -> int:
    """Bytes: the most this process held; the figure of `getrusage` would be its parent's where that held more."""
    status = Path("/proc/self/status")
    if status.is_file():
        return 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
