"""TRL's SFT trainer for clips: pixels proven to arrive, batches of one modality, a rate of its own for the tower."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import PrinterCallback, TrainerCallback
from transformers.trainer_pt_utils import get_parameter_names
from trl import SFTTrainer

from videopath_hf.errors import UserError
from videopath_hf.training import checkpoints
from videopath_hf.training.batches import ModalityBatches
from videopath_hf.training.collator import QUARANTINED, SAMPLE_IDS, VideoPathCollator
from videopath_hf.training.config import VideoPathSFTConfig
from videopath_hf.training.metering import Meter, Metered
from videopath_hf.training.parts import vision_tower_parameters
from videopath_hf.training.quarantine import Quarantine
from videopath_hf.training.reading import SampleError
from videopath_hf.training.saving import explain_disk, save_processor, save_weights
from videopath_hf.training.workers import worker_options

VISION_GROUP = "vision_tower"


class VideoPathSFTTrainer(Metered, SFTTrainer):
    """Supervised fine-tuning on records of images and clips.

    Before the first step it checks that pixels reach the model, since TRL trains on text alone, silently, when
    videos come in a form it does not know. A loss that is not finite stops the run and names its samples.

    Args:
        model ([`VideoPathLlavaForConditionalGeneration`] or [`~peft.PeftModel`]): with `requires_grad` set as wanted,
            see [`~videopath_hf.training.parts.prepare_parts`].
        args ([`VideoPathSFTConfig`]): where `output_dir` is the folder of checkpoints to resume from.
        train_dataset ([`~datasets.Dataset`]): made by [`~videopath_hf.training.samples.to_dataset`].
        data_collator ([`VideoPathCollator`]): makes the batches.
        callbacks (`list[TrainerCallback]`, *optional*): in addition to the trainer's own.
        quarantine ([`~videopath_hf.training.quarantine.Quarantine`], *optional*): where samples go whose media turn
            out to be broken; without one, the first such sample stops the run.
    """

    optimizer: Any

    def __init__(
        self,
        model: Any,
        args: VideoPathSFTConfig,
        train_dataset: Dataset,
        data_collator: VideoPathCollator,
        callbacks: list[TrainerCallback] | None = None,
        quarantine: Quarantine | None = None,
    ) -> None:
        self.quarantine = quarantine
        self.pixel_change: dict[str, float] = {}
        self._vision_rate: float | None = None
        self.meter = Meter([data_collator.processor.image_token_id, data_collator.processor.video_token_id])
        self.batches = ModalityBatches(
            train_dataset["modality"],
            args.per_device_train_batch_size,
            args.seed,
            args.dataloader_drop_last,
            args.world_size,
            train_dataset["length"] if args.train_sampling_strategy == "group_by_length" else None,
        )
        super().__init__(
            model=model,
            args=args,
            train_dataset=train_dataset,
            data_collator=data_collator,
            processing_class=data_collator.processor,
            callbacks=[_Hooks(self), *(callbacks or [])],
        )
        self.remove_callback(PrinterCallback)  # prints dicts on stdout, which carries data only

    def _send_telemetry(self) -> None:
        """Training on pathology data tells nobody."""

    def get_train_dataloader(self) -> DataLoader:
        """Batches of one modality and like lengths in the seeded order of [`ModalityBatches`]."""
        workers = self.args.dataloader_num_workers
        loader = DataLoader(
            self.train_dataset,
            batch_sampler=self.batches,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
            persistent_workers=workers > 0,
            **worker_options(workers),
        )
        return self.accelerator.prepare(loader)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with a parameter group of its own, and its own learning rate, for the vision tower."""
        if self.optimizer is None:
            model = self.model if model is None else model
            kind, arguments = self.get_optimizer_cls_and_kwargs(self.args, model)
            self.optimizer = kind(self.parameter_groups(model), **arguments)
        return self.optimizer

    def get_decay_parameter_names(self, model: Any) -> list[str]:
        """All but biases and `LayerNorm`s, as in the published training: the decoder's `RMSNorm`s decay."""
        names: list[str] = get_parameter_names(model, [torch.nn.LayerNorm], [r"bias$"])
        return names

    def parameter_groups(self, model: Any) -> list[dict[str, Any]]:
        """Trainable parameters by (vision tower or not) and (weight decay or not); empty groups left out."""
        decayed = set(self.get_decay_parameter_names(model))
        tower = {id(parameter) for parameter in vision_tower_parameters(model)}
        groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                groups.setdefault((id(parameter) in tower, name in decayed), []).append(parameter)
        rate = self.args.learning_rate
        vision_rate = rate if self.args.vision_learning_rate is None else self.args.vision_learning_rate
        return [
            {
                "params": parameters,
                "lr": vision_rate if of_tower else rate,
                "weight_decay": self.args.weight_decay if decays else 0.0,
                "name": VISION_GROUP if of_tower else "rest",
            }
            for (of_tower, decays), parameters in sorted(groups.items(), key=lambda item: item[0])
        ]

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The batches of one optimizer step; broken samples of any rank are set aside by all ranks together."""
        found = super().get_batch_samples(*args, **kwargs)
        self._set_aside(found[0])
        return found

    def _set_aside(self, batches: Sequence[dict[str, Any]]) -> None:
        broken = [sample for batch in batches for sample in batch.pop(QUARANTINED, [])]
        if self.quarantine is not None:
            self.quarantine.share(broken, self.accelerator)
        elif broken:
            raise SampleError(*broken[0])

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's loss; raises `UserError` naming the samples where it is not finite."""
        inputs = dict(inputs)
        samples = inputs.pop(SAMPLE_IDS, [])
        result = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        loss = result[0] if return_outputs else result
        if not torch.isfinite(loss):
            raise UserError(
                f"the loss of step {self.state.global_step + 1} is {loss.item()} on samples {', '.join(samples)}: "
                "lower optimisation.learning_rate or leave these samples out"
            )
        return result

    def check_pixels(self) -> dict[str, float]:
        """Make sure that the loss of each modality's first batch changes with its pixels.

        Returns:
            `dict[str, float]`: by how much it changed, by modality.

        Raises:
            UserError: it did not: training would go on as text only.
        """
        changes = {}
        for modality, positions in self.batches.positions.items():
            if modality == "text":
                continue
            batch = self._prepare_inputs(self._first_batch(positions))
            loss, again = self._probe_loss(batch), self._probe_loss(batch)
            changes[modality] = abs(self._probe_loss(with_noise(batch)) - loss)
            # Kernels of some GPUs do not repeat exactly: the change has to stand out from that.
            if not changes[modality] > 2 * abs(again - loss):
                raise UserError(
                    f"pixels do not reach the model: the loss of samples {', '.join(batch[SAMPLE_IDS])} stays "
                    f"{loss:g} when their {modality} pixels change; check the processor and its chat template"
                )
        self._metrics["eval"].clear()
        return changes

    def _first_batch(self, positions: list[int]) -> dict[str, Any]:
        """The first batch of which every rank can decode a sample."""
        size = self.batches.batch_size
        for start in range(0, len(positions), size):
            rows = [self.train_dataset[position] for position in positions[start : start + size]]
            batch: dict[str, Any] = self.data_collator(rows)
            reasons = [reason for _, reason in batch.get(QUARANTINED, [])]
            self._set_aside([batch])
            held = torch.tensor([len(batch[SAMPLE_IDS])], device=self.accelerator.device)
            if int(self.accelerator.gather(held).min()):  # what one rank can read, another may not
                return batch
        raise UserError(f"none of {len(positions)} samples can be read, e.g. {reasons[0]}")

    def _probe_loss(self, batch: Mapping[str, Any]) -> float:
        training = self.model.training
        self.model.eval()
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = float(self.compute_loss(self.model_wrapped, dict(batch)))
        self.model.train(training)
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the vision tower's learning rate of the step to what is logged."""
        if "learning_rate" in logs and self._vision_rate is not None:
            logs["vision_learning_rate"] = self._vision_rate
        super().log(logs, start_time)

    def _get_learning_rate(self) -> float:
        # Called between the optimiser's step and the schedule's: only here the rates are those of the step.
        groups = zip(self.optimizer.param_groups, self.lr_scheduler.get_last_lr(), strict=True)
        self._vision_rate = next((float(rate) for group, rate in groups if group["name"] == VISION_GROUP), None)
        return super()._get_learning_rate()

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write the checkpoint aside and rename it when it is whole."""
        folder = Path(self.args.output_dir)
        self.args.output_dir = str(checkpoints.partial_folder(folder))
        step = self.state.global_step
        try:
            with explain_disk(f"the checkpoint of step {step}", folder):
                # Past TRL's own method, which would write a model card at every checkpoint.
                super(SFTTrainer, self)._save_checkpoint(model, trial)
                self.accelerator.wait_for_everyone()
                if self.args.should_save:
                    checkpoints.seal(folder, step)
        except UserError:
            shutil.rmtree(self.args.output_dir, ignore_errors=True)
            raise
        finally:
            self.args.output_dir = str(folder)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Weights as safetensors under the names they are loaded by, and the processor; no pickled arguments."""
        if self.args.should_save:
            folder = Path(output_dir or self.args.output_dir)
            save_weights(self.model, folder, state_dict)
            save_processor(self.processing_class, folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        try:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        except RuntimeError as error:  # torch's list of tensors of another shape
            first = next((line.strip() for line in str(error).splitlines() if "size mismatch" in line), None)
            if first is None:
                raise
            raise UserError(f"the checkpoint {resume_from_checkpoint} is not of this model: {first}") from None

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """A checkpoint that does not fit the model stops the run instead of leaving weights as they were."""
        missing = set(load_result.missing_keys) - set(self.model._tied_weights_keys or ())
        if missing or load_result.unexpected_keys:
            names = ", ".join(sorted(missing | set(load_result.unexpected_keys))[:3])
            raise UserError(f"the checkpoint in {self.args.output_dir} is not of this model: {names} do not match")


def with_noise(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The batch with seeded noise added to all its pixels."""
    generator = torch.Generator().manual_seed(0)

    def noisy(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value + torch.randn(value.shape, generator=generator).to(value)
        return [noisy(part) for part in value]

    return {key: noisy(value) if key.startswith("pixel_values") else value for key, value in batch.items()}


class _Hooks(TrainerCallback):
    """What the trainer does at moments of the loop that it cannot override."""

    def __init__(self, trainer: VideoPathSFTTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.trainer.pixel_change = self.trainer.check_pixels()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # accelerate does not hand the epoch on to a batch sampler that it wraps for ranks or for skipping.
        self.trainer.batches.set_epoch(int(state.epoch or 0))
