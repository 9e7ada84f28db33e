"""What a recipe stands for in TRL's terms: the collator, the arguments and the trainer."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, ProcessorMixin, TrainerCallback, set_seed

from videopath_hf.errors import UserError
from videopath_hf.records import InstructionRecord
from videopath_hf.training.callbacks import StepBar, StepLog
from videopath_hf.training.collator import VideoPathCollator
from videopath_hf.training.config import VideoPathSFTConfig
from videopath_hf.training.curves import TrainingPage
from videopath_hf.training.evaluating import HeldOut
from videopath_hf.training.parts import prepare_parts
from videopath_hf.training.quarantine import Quarantine
from videopath_hf.training.ranks import is_main, world_size
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.samples import Survey, to_dataset
from videopath_hf.training.trainer import VideoPathSFTTrainer

CHECKPOINTS = "checkpoints"
LOG = "log.jsonl"
_MERGE_SECONDS = 7200
"""How long ranks wait for each other: the first one merges adapters, and checks them, alone."""


def open_start(recipe: Recipe, model: str) -> tuple[Any, Any]:
    """The model that a stage starts from, with its processor; in float32, or quantized where the recipe says so."""
    from videopath_hf.modeling.loading import load_model

    if recipe.lora.base not in ("4bit", "8bit"):
        return load_model(model, dtype="float32")
    if not torch.cuda.is_available():
        raise UserError(f"lora.base = {recipe.lora.base!r} needs a GPU, and torch finds none: set lora.base=bfloat16")
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return load_model(model, dtype="bfloat16", device=device, bits=int(recipe.lora.base[0]))


def make_collator(processor: ProcessorMixin, recipe: Recipe, root: Path) -> VideoPathCollator:
    """The [`VideoPathCollator`] of a recipe."""
    return VideoPathCollator(
        processor,
        root,
        template=recipe.template,
        label_mask=recipe.label_mask,
        several_images=recipe.several_images,
        num_frames=recipe.frames.num_frames,
        strategy=recipe.frames.strategy,
        video_fps=recipe.frames.video_fps,
        time_sentence=recipe.frames.time_sentence,
        max_length=recipe.max_length,
        cache_mb=recipe.data.cache_mb,
    )


def make_trainer(
    model: PreTrainedModel,
    recipe: Recipe,
    config: VideoPathSFTConfig,
    records: Sequence[InstructionRecord],
    survey: Survey,
    collator: VideoPathCollator,
    out: Path,
    resumed_step: int = 0,
    held_out: HeldOut | None = None,
    quarantine: Quarantine | None = None,
) -> VideoPathSFTTrainer:
    """The [`VideoPathSFTTrainer`] of a recipe, on the records that the survey has a length of."""
    set_seed(recipe.optimisation.seed)  # of the adapters' first weights
    model = prepare_parts(model, recipe.trainable, recipe.lora)
    callbacks: list[TrainerCallback] = [held_out] if held_out else []
    if is_main():
        page = TrainingPage(out, recipe.label)
        callbacks += [StepLog(out / LOG, resumed_step), StepBar(recipe.label), page, *_tensorboard(recipe, out)]
    trainer = VideoPathSFTTrainer(
        model=model,
        args=config,
        train_dataset=to_dataset(records, survey, sample_rows(out)),
        data_collator=collator,
        callbacks=callbacks,
        quarantine=quarantine,
    )
    if held_out is not None:
        held_out.trainer = trainer
    return trainer


def _tensorboard(recipe: Recipe, out: Path) -> list[TrainerCallback]:
    """Its events lie in the stage's folder: the trainer's own choice is that of the checkpoints, which is removed."""
    if "tensorboard" not in recipe.report_to:
        return []
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    return [TensorBoardCallback(SummaryWriter(log_dir=str(out / "tensorboard")))]


def sample_rows(out: Path) -> Path:
    """Where this rank's rows lie while the stage in `out` trains on them."""
    return out / f".samples-{os.environ.get('RANK', '0')}.arrow"


def make_config(recipe: Recipe, folder: Path) -> VideoPathSFTConfig:
    """The [`VideoPathSFTConfig`] of a recipe; checkpoints to resume from go to `folder`."""
    plan = recipe.optimisation
    return VideoPathSFTConfig(
        output_dir=str(folder),
        num_train_epochs=plan.epochs,
        max_steps=plan.max_steps or -1,
        learning_rate=plan.learning_rate,
        vision_learning_rate=plan.vision_learning_rate,
        per_device_train_batch_size=plan.batch_size,
        gradient_accumulation_steps=plan.passes(world_size()),
        dataloader_drop_last=plan.drop_last,
        train_sampling_strategy="group_by_length" if plan.group_by_length else "random",
        dataloader_num_workers=plan.workers,
        warmup_steps=plan.warmup_ratio,
        lr_scheduler_type=plan.scheduler,
        weight_decay=plan.weight_decay,
        max_grad_norm=plan.max_grad_norm,
        save_strategy="steps",
        save_steps=plan.save_steps,
        seed=plan.seed,
        bf16=_autocast(recipe),
        gradient_checkpointing=plan.gradient_checkpointing,
        max_length=recipe.max_length,
        ddp_timeout=_MERGE_SECONDS,
        report_to=[tracker for tracker in recipe.report_to if tracker != "tensorboard"] or "none",
        run_name=f"{folder.absolute().parent.name} ({recipe.name})",
        project="videopath_hf",
    )


def _autocast(recipe: Recipe) -> bool | None:
    if recipe.lora.base != "float32":
        return True
    return None if recipe.optimisation.bf16 == "auto" else recipe.optimisation.bf16
