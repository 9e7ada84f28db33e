"""Samples whose media turn out to be broken while a stage trains: left out, named, counted, and bounded."""

import json
from collections.abc import Sequence
from pathlib import Path

from videopath_hf.files import append_line, whole_lines
from videopath_hf.progress import note
from videopath_hf.training.samples import DroppedSample, check_dropped


class Quarantine:
    """The list of such samples, in a file that all ranks share and that outlives a kill.

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

    def add(self, samples: Sequence[tuple[str, str]]) -> None:
        """Note samples, each once however often it comes up, by id and reason.

        Raises:
            TooManyRejectsError: they are more than the share that may be left out.
        """
        known = {sample.id for sample in self.samples()}
        for name, reason in samples:
            if name not in known:
                append_line(self.path, json.dumps({"id": name, "reason": reason}))
                note(f"sample {name} is left out: {reason}")
        check_dropped([*self.dropped, *self.samples()], self.total, self.limit)

    def samples(self) -> list[DroppedSample]:
        """All of them, in the order in which they came up."""
        found = [DroppedSample(**json.loads(line)) for line in whole_lines(self.path)]
        return list({sample.id: sample for sample in found}.values())
