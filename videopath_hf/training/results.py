"""What a stage leaves behind: a checkpoint, or an adapter and its merged model; of the last step or the best round."""

import os
import shutil
from pathlib import Path
from typing import Any

from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from videopath_hf.files import atomic_dir
from videopath_hf.training.merge import merge_adapter, save_adapter
from videopath_hf.training.ranks import is_main
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.saving import save_processor, save_weights
from videopath_hf.training.stages import ADAPTER, MERGED

_BEST = ".best"
_LAST = ".model"


def keep_best(trainer: Any, recipe: Recipe, base: str, out: Path) -> None:
    """Set the model aside as it is now, in place of an earlier one: it is what the stage will leave behind."""
    _write(trainer, recipe, base, out / _BEST)


def save_result(trainer: Any, recipe: Recipe, base: str, out: Path) -> None:
    """Write what the stage is for into `out`; all ranks together."""
    if not (out / _BEST).is_dir():
        _write(trainer, recipe, base, out / _LAST)
    # While transformers knows of a trainer's ZeRO-3 it loads every model in parts, by all ranks together: the first
    # rank, which merges alone, and the next stage want whole ones.
    unset_hf_deepspeed_config()
    if not is_main():
        return
    written = out / _BEST if (out / _BEST).is_dir() else out / _LAST
    if recipe.trainable.language_model == "lora":
        for folder in (ADAPTER, MERGED):
            shutil.rmtree(out / folder, ignore_errors=True)  # a kill may have come right after the merge
        shutil.copytree(written, out / ADAPTER)
        merge_adapter(out / ADAPTER, out / MERGED)
        return
    # The configuration comes last: without it, no half-written folder passes for a checkpoint.
    for path in sorted(written.iterdir(), key=lambda path: path.name == "config.json"):
        aside = out / f".{path.name}"
        aside.unlink(missing_ok=True)
        try:
            os.link(path, aside)
        except OSError:  # a file system without links
            shutil.copy2(path, aside)
        aside.replace(out / path.name)


def clear_result(out: Path) -> None:
    """Remove what a finished stage needs no more."""
    for folder in (_BEST, _LAST):
        shutil.rmtree(out / folder, ignore_errors=True)


def _write(trainer: Any, recipe: Recipe, base: str, folder: Path) -> None:
    trainer.accelerator.wait_for_everyone()
    state = _gathered(trainer)
    if is_main():
        with atomic_dir(folder) as written:
            if recipe.trainable.language_model == "lora":
                save_adapter(trainer.model, written, base, state)
            else:
                save_weights(trainer.model, written, state)
                save_processor(trainer.processing_class, written)
    trainer.accelerator.wait_for_everyone()


def _gathered(trainer: Any) -> dict[str, Any] | None:
    """All weights, where ranks hold parts of them; every rank has to ask."""
    if trainer.is_deepspeed_enabled:
        return trainer.accelerator.get_state_dict(trainer.deepspeed)
    return trainer.accelerator.get_state_dict(trainer.model) if trainer.is_fsdp_enabled else None
