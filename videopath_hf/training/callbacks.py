"""What a run says while it trains: one line of `log.jsonl` a step, and a bar in a terminal."""

import json
import sys
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from videopath_hf.files import append_line, whole_lines, write_text
from videopath_hf.progress import console
from videopath_hf.training.metering import GRAD_NORM, SPEEDS

LOGGED = ("loss", "grad_norm", "learning_rate", "vision_learning_rate", "mean_token_accuracy", *SPEEDS)


class StepLog(TrainerCallback):
    """Appends `{"step", "epoch", "loss", "grad_norm", "learning_rate", ...}` to a JSONL file after every step.

    Lines of steps after the one a run resumes from are taken out first: the file reads as if nothing had happened.

    Args:
        path (`Path`): the file.
        resumed_step (`int`): steps that the checkpoint stands for; 0 for a fresh start.
    """

    def __init__(self, path: Path, resumed_step: int) -> None:
        self.path = path
        kept = [line for line in whole_lines(path) if json.loads(line)["step"] <= resumed_step]
        write_text(path, "".join(f"{line}\n" for line in kept))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Write one line; the summary that the trainer logs at the end is no step and is left out."""
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        kept = {key: value for key, value in logs.items() if key in LOGGED or key.startswith(GRAD_NORM)}
        line = {"step": state.global_step, "epoch": state.epoch, **kept}
        append_line(self.path, json.dumps(line))


class StepBar(TrainerCallback):
    """A progress bar with the loss, on stderr and in a terminal only.

    Args:
        description (`str`): what is being trained.
    """

    def __init__(self, description: str) -> None:
        self.description = description
        self.bar: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Show the bar."""
        if not state.is_world_process_zero or not sys.stderr.isatty():
            return
        from rich.progress import Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            *Progress.get_default_columns()[:-1],
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
            console=console(),
            transient=True,
        )
        self.task = self.bar.add_task(self.description, total=state.max_steps, completed=state.global_step, loss="")
        self.bar.start()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Move the bar."""
        if self.bar is not None and logs and "loss" in logs:
            self.bar.update(self.task, completed=state.global_step, loss=f"loss {logs['loss']:.3f}")

    def close(self) -> None:
        """Take the bar away, also after an error."""
        if self.bar is not None:
            self.bar.stop()
