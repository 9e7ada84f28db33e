"""Arguments of [`VideoPathSFTTrainer`]: TRL's, with defaults that neither cut visual tokens nor assume a GPU."""

from dataclasses import dataclass, field

import torch
from trl import SFTConfig


@dataclass
class VideoPathSFTConfig(SFTConfig):
    r"""
    Configuration of [`VideoPathSFTTrainer`]. Only what differs from [`~trl.SFTConfig`] is described.

    Args:
        vision_learning_rate (`float`, *optional*):
            Learning rate of the vision tower; `learning_rate` where it is not given (2e-6 beside 1e-5 in the
            published stages 1 to 3).
        max_length (`int`, *optional*, defaults to 32768):
            Longest sample in tokens. Nothing is ever cut: the collator raises on a longer sample.
        bf16 (`bool`, *optional*):
            bfloat16 autocast; where it is not given, on exactly where a GPU can do it.
        logging_steps (`int`, defaults to 1): every step is a line of the log.
        train_sampling_strategy (`str`, defaults to `"group_by_length"`):
            Batches of like length, see [`~videopath_hf.training.batches.ModalityBatches`]; with `"random"` only the
            modality of a batch is one.
        gradient_checkpointing (`bool`, defaults to `False`)
        report_to (`str`, defaults to `"none"`)
    """

    vision_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of the vision tower; `learning_rate` if not given."}
    )
    max_length: int | None = field(
        default=32768, metadata={"help": "Longest sample in tokens; a longer one is an error, nothing is cut."}
    )
    logging_steps: float = field(default=1, metadata={"help": "Steps between two lines of the log."})
    train_sampling_strategy: str = field(
        default="group_by_length",
        metadata={"help": "`group_by_length` or `random`; batches have one modality anyway."},
    )
    gradient_checkpointing: bool = field(
        default=False, metadata={"help": "Recompute activations in the backward pass: less memory, more time."}
    )
    bf16: bool | None = field(default=None, metadata={"help": "bfloat16 autocast; by default where a GPU can do it."})
    use_cpu: bool = field(default=False, metadata={"help": "Train on the CPU; always so where there is no GPU."})
    dataloader_pin_memory: bool = field(default=True, metadata={"help": "Pin batches in memory, if there is a GPU."})
    report_to: str | list[str] | None = field(default="none", metadata={"help": "Where else to report the log."})

    def __post_init__(self) -> None:
        # Without this, processes of a launcher on a machine without GPUs would each train a model of their own.
        self.use_cpu = self.use_cpu or not torch.accelerator.is_available()
        if self.bf16 is None:
            self.bf16 = not self.use_cpu and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        # A NaN loss has to stop the run; by default it is replaced by the mean of the losses before it.
        self.logging_nan_inf_filter = False
        # The collator needs the record's own columns, which are no arguments of the model.
        self.remove_unused_columns = False
        self.disable_tqdm = True
        # TRL turns the cache off for its own forward passes; False here would go into the saved configuration.
        self.use_cache = True
        self.dataloader_pin_memory = self.dataloader_pin_memory and torch.cuda.is_available()
        super().__post_init__()
