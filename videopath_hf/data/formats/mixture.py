"""The published training's mixture: a YAML list of data files, each with how much of it is taken.

    datasets:
      - json_path: quilt_llava.json       # relative to this file
        sampling_strategy: first:60%      # all (default), first:N, end:N, random:N; N% is ceil(int x length / 100)
        format: quilt-llava               # from here on ours: recognised, or as the records say, where left out
        media_root: quilt/images          # below the root of the mixture's media
        kind: image
        split: train
        licence: CC BY-NC-ND 3.0

The length counts all entries, those that are rejected too. `random` keeps the order of the file. `end:0` takes
nothing, where the published code takes all.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from videopath_hf.errors import UserError
from videopath_hf.records import InstructionKind, Split
from videopath_hf.settings import Settings, read_yaml, validate_settings

_STRATEGY = re.compile(r"all|(?P<how>first|end|random):(?P<count>\d{1,18})(?P<percent>%?)")


class Strategy(NamedTuple):
    """How much of a file is taken: `number` entries, or percent of its length, from one end or at random."""

    how: Literal["all", "first", "end", "random"] = "all"
    number: int = 0
    percent: bool = False

    def __str__(self) -> str:
        return self.how if self.how == "all" else f"{self.how}:{self.number}{'%' if self.percent else ''}"

    def size(self, length: int) -> int:
        """How many of `length` entries are taken."""
        if self.how == "all":
            return length
        return min(length, -(-self.number * length // 100) if self.percent else self.number)

    def needs_length(self) -> bool:
        """Whether the choice depends on how long the file is."""
        return self.how != "all" and (self.percent or self.how != "first")

    def choose(self, length: int, seed: str) -> Iterator[int]:
        """Numbers of the entries taken, ascending; equally likely of any with `random`, in constant memory."""
        taken = self.size(length)
        if self.how != "random":
            start = length - taken if self.how == "end" else 0
            yield from range(start, start + taken)
            return
        generator = Random(seed)
        for number in range(length):
            if generator.random() * (length - number) < taken:
                taken -= 1
                yield number


def parse_strategy(text: str, place: str = "sampling_strategy") -> Strategy:
    """Read `all`, `first:N`, `end:N` or `random:N`, each N a number or a percentage.

    Raises:
        UserError: anything else; `place` is named.
    """
    match = _STRATEGY.fullmatch(text.strip())
    if match is None:
        raise UserError(
            f"{place} = {text!r} is none of all, first:N, end:N and random:N, where N is a whole number or percentage "
            "such as 10%"
        )
    if match["how"] is None:
        return Strategy()
    return Strategy(match["how"], int(match["count"]), bool(match["percent"]))  # type: ignore[arg-type]


class MixtureEntry(Settings):
    """One file of a mixture; see this module."""

    json_path: str
    sampling_strategy: str = "all"
    format: str | None = None
    media_root: str = ""
    kind: InstructionKind | None = None
    split: Split | None = None
    licence: str | None = None


class Mixture(Settings):
    """A mixture's files."""

    datasets: Annotated[tuple[MixtureEntry, ...], Field(min_length=1)]


def read_mixture(path: Path) -> Mixture:
    """Read a mixture; raises `UserError` naming the key that is wrong."""
    mixture = validate_settings(Mixture, read_yaml(path), str(path))
    for number, entry in enumerate(mixture.datasets):
        parse_strategy(entry.sampling_strategy, f"{path}: datasets.{number}.sampling_strategy")
    return mixture
