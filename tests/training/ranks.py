"""What each process of the distributed tests runs: `python -m tests.training.ranks MODE=FOLDER ...`.

A FOLDER holds `recipe.json`, `records.jsonl` and `order.json` (batches of record numbers, taken by the ranks in turn);
what came out is written there by the first rank.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from videopath_hf.errors import UserError
from videopath_hf.modeling.loading import load_model
from videopath_hf.records import InstructionRecord
from videopath_hf.training.batches import ModalityBatches
from videopath_hf.training.build import make_collator, make_config, make_trainer
from videopath_hf.training.ranks import is_main
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.samples import Survey
from videopath_hf.training.stages import run_stage


class GivenOrder(ModalityBatches):
    """Batches in a given order, whatever their modalities."""

    def __init__(self, order: list[list[int]], modalities: list[str]) -> None:
        super().__init__(modalities, len(order[0]), seed=0)
        self.order = order

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.order)


def read_folder(folder: Path) -> tuple[Recipe, list[InstructionRecord], list[list[int]]]:
    recipe = Recipe.model_validate_json((folder / "recipe.json").read_text())
    lines = (folder / "records.jsonl").read_text().splitlines()
    order = json.loads((folder / "order.json").read_text())
    return recipe, [InstructionRecord.model_validate_json(line) for line in lines], order


def train(folder: Path) -> None:
    """Through our trainer: replicated weights, gradients averaged over the ranks."""
    recipe, records, order = read_folder(folder)
    assert recipe.model is not None and recipe.data.path is not None and recipe.out is not None
    model, processor = load_model(recipe.model)
    survey = Survey(lengths={record.id: 1 for record in records})
    config, collator = make_config(recipe, recipe.out), make_collator(processor, recipe, recipe.data.path)
    trainer = make_trainer(model, recipe, config, records, survey, collator, recipe.out)
    trainer.batches = GivenOrder(order, trainer.train_dataset["modality"])
    trainer.train()
    if is_main():
        weights = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        save_file(weights, recipe.out / "weights.safetensors")


def shard(folder: Path) -> None:
    """Sharded weights: every layer is gathered by all ranks together, so that one which skips it stops them all."""
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    if not dist.is_initialized():
        dist.init_process_group("gloo")
    recipe, records, order = read_folder(folder)
    assert recipe.model is not None and recipe.data.path is not None and recipe.out is not None
    model, processor = load_model(recipe.model)
    collator = make_collator(processor, recipe, recipe.data.path)
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    parts: list[Any] = [*model.model.vision_tower.encoder.layers, *model.model.language_model.layers]
    for part in [*parts, model.model.multi_modal_projector, model]:
        fully_shard(part, mesh=mesh)
    model.train()
    losses = []
    for step in range(0, len(order), dist.get_world_size()):
        batch = collator.collate([records[number] for number in order[step + dist.get_rank()]])
        batch.pop("sample_ids")
        loss = model(**batch, use_cache=False).loss
        loss.backward()
        losses.append(float(loss.detach()))
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, losses)
    if is_main():
        (recipe.out / "losses.json").write_text(json.dumps(gathered))


def stage(folder: Path) -> None:
    """A whole stage; each rank writes how it ended."""
    ended: dict[str, Any] = {}
    try:
        ended["samples"] = run_stage(read_folder(folder)[0]).samples
    except UserError as error:
        ended.update(kind=type(error).__name__, message=str(error))
    (folder / f"ended-{os.environ['RANK']}.json").write_text(json.dumps(ended))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for task in sys.argv[1:]:
        mode, _, place = task.partition("=")
        {"train": train, "shard": shard, "stage": stage}[mode](Path(place))
    torch.distributed.destroy_process_group()
