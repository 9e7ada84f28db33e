"""What a step is made of: time spent waiting for data, tokens that teach and tokens that show, gradients by part."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from videopath_hf.training.collator import IGNORED
from videopath_hf.training.parts import part_of

SPEEDS = ("supervised_tokens_per_second", "visual_tokens_per_second", "data_wait")
GRAD_NORM = "grad_norm/"
"""Before a part's name: the norm of its gradients before clipping."""


class Meter:
    """Counts between two lines of the log.

    Args:
        visual (`Sequence[int]`): ids of the placeholders of images and videos.
    """

    def __init__(self, visual: Sequence[int]) -> None:
        self.visual = tuple(visual)
        self.norms: dict[str, float] = {}
        self._start: float | None = None
        self._reset()

    def _reset(self) -> None:
        self._waited = self._excluded = 0.0
        self._tokens = [0, 0]

    def fetch(self, batches: Sequence[Mapping[str, Any]], started: float) -> None:
        """Note batches that were asked for at `started` (of `time.perf_counter`) and have just come."""
        self._start = started if self._start is None else self._start
        self._waited += time.perf_counter() - started
        for batch in batches:
            shown = torch.isin(batch["input_ids"], torch.tensor(self.visual, device=batch["input_ids"].device))
            self._tokens[0] += int((batch["labels"] != IGNORED).sum())
            self._tokens[1] += int(shown.sum())

    def exclude(self, seconds: float) -> None:
        """Leave out time that was spent on something else than training."""
        self._excluded += seconds

    def take_gradients(self, model: Any) -> None:
        """Note the norm of the gradients of every part, before they are clipped."""
        gradients: dict[str, list[torch.Tensor]] = {}
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                gradients.setdefault(part_of(name), []).append(parameter.grad)
        self.norms = {f"{GRAD_NORM}{part}": _norm(found) for part, found in gradients.items()}

    def take(self, accelerator: Any) -> dict[str, float]:
        """Norms of the step, tokens a second over all processes, share of time without data; then start anew."""
        now = time.perf_counter()
        if self._start is None:
            return dict(self.norms)
        seconds = max(1e-9, now - self._start - self._excluded)
        tokens = torch.tensor(self._tokens, dtype=torch.float32, device=accelerator.device)
        if accelerator.num_processes > 1:
            tokens = accelerator.reduce(tokens, "sum")
        supervised, visual = (round(float(count) / seconds, 2) for count in tokens)
        waited = round(min(1.0, self._waited / seconds), 4)
        self._start = now
        self._reset()
        return {**self.norms, **dict(zip(SPEEDS, (supervised, visual, waited), strict=True))}


def _norm(gradients: list[torch.Tensor]) -> float:
    total = torch.nn.utils.get_total_norm(gradients)
    return float(total.full_tensor() if hasattr(total, "full_tensor") else total)  # sharded: of all ranks


class Metered:
    """Mix-in for a [`~transformers.Trainer`] with a `meter`: what it measures is in every line that has a loss."""

    meter: Meter

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The batches of one optimizer step, with the time they took."""
        started = time.perf_counter()
        found = super().get_batch_samples(*args, **kwargs)  # type: ignore[misc]
        self.meter.fetch(found[0], started)
        return found

    def _clip_grad_norm(self, model: Any) -> Any:
        self.meter.take_gradients(model)
        return super()._clip_grad_norm(model)  # type: ignore[misc]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log with what was measured."""
        if "loss" in logs:
            logs.update(self.meter.take(self.accelerator))  # type: ignore[attr-defined]
        super().log(logs, start_time)  # type: ignore[misc]
