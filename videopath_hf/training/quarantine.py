"""Samples whose media turn out to be broken while a stage trains: left out, named, counted, and bounded."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object

from videopath_hf.files import append_line, whole_lines
from videopath_hf.progress import note
from videopath_hf.training.ranks import is_main
from videopath_hf.training.samples import DroppedSample, check_dropped


class Quarantine:
    """The list of such samples, in a file that outlives a kill; the same in all ranks, of which the first one writes.

    Args:
        path (`Path`): JSONL file of `{"id", "reason"}`.
        dropped (`Sequence[DroppedSample]`): samples that were left out before the first step; they count too.
        total (`int`): all samples.
        limit (`float`): share of them that may be left out.
    """

    def __init__(self, path: Path, dropped: Sequence[DroppedSample], total: int, limit: float) -> None:
        self.path = path
        self.dropped = list(dropped)
        self.total = total
        self.limit = limit
        self._reasons: dict[str, str] = {}
        for line in whole_lines(path):
            found = DroppedSample(**json.loads(line))
            self._reasons.setdefault(found.id, found.reason)

    def add(self, samples: Sequence[tuple[str, str]]) -> None:
        """Note samples, each once however often it comes up, by id and reason.

        Raises:
            TooManyRejectsError: they are more than the share that may be left out.
        """
        for name, reason in samples:
            if name in self._reasons:
                continue
            self._reasons[name] = reason
            if is_main():
                append_line(self.path, json.dumps({"id": name, "reason": reason}))
                note(f"sample {name} is left out: {reason}")
        check_dropped([*self.dropped, *self.samples()], self.total, self.limit)

    def share(self, broken: Sequence[tuple[str, str]], accelerator: Any) -> None:
        """`add` what any rank has found; every rank has to call this at the same moment, and ends as the others do."""
        count = torch.tensor([len(broken)], device=accelerator.device)
        if int(accelerator.reduce(count, "sum")) == 0:
            return
        # With what each knew: a rank whose disk is another's may have missed what an earlier run found.
        found: list[tuple[str, str]] = gather_object([*self._reasons.items(), *broken])
        self.add(found)

    def samples(self) -> list[DroppedSample]:
        """All of them, in the order in which they came up."""
        return [DroppedSample(id=name, reason=reason) for name, reason in self._reasons.items()]
