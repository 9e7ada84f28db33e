"""The order of training: seeded, one modality and like lengths a batch, the same on every rank and after a resume."""

import random
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler

_STEPS_SORTED = 50


class ModalityBatches(Sampler[list[int]]):
    """Batches of sample positions in which every sample has the same modality.

    Clips and images differ in shape and cost by orders of magnitude, so they never share a batch; the batches of all
    modalities come in one shuffled order. The order depends on `seed` and epoch only.

    With `lengths`, the shuffled samples of a modality are sorted by length within stretches of up to 50 steps, and the
    batches of all stretches shuffled again: batches hold samples of like length, which saves padding and lets ranks
    finish together, and an epoch still goes through them in random order.

    Args:
        modalities (`Sequence[str]`): modality of each sample.
        batch_size (`int`): samples a batch.
        lengths (`Sequence[int]`, *optional*): tokens of each sample, to group by; samples are not grouped without.
        seed (`int`): of the order.
        drop_last (`bool`, defaults to `False`): leave out the short last batch of each modality.
        world_size (`int`, defaults to 1): ranks; each gets one of `world_size` consecutive batches of one modality.
            Above 1 a short last batch is filled up from the modality's first samples, so that no rank waits.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        batch_size: int,
        seed: int,
        drop_last: bool = False,
        world_size: int = 1,
        lengths: Sequence[int] | None = None,
    ) -> None:
        self.positions: dict[str, list[int]] = {}
        for position, modality in enumerate(modalities):
            self.positions.setdefault(modality, []).append(position)
        self.batch_size = batch_size
        self.seed = seed
        self.drop_last = drop_last
        self.world_size = world_size
        self.lengths = lengths
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of `epoch`, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        step = self.batch_size * self.world_size
        rounded = [
            len(found) // step if self.drop_last else -(-len(found) // step) for found in self.positions.values()
        ]
        return sum(rounded) * self.world_size

    def __iter__(self) -> Iterator[list[int]]:
        # A string seed is hashed by `random` itself: the same numbers on every platform and Python.
        order = random.Random(f"{self.seed}:{self.epoch}")
        groups: list[list[list[int]]] = []
        for modality in sorted(self.positions):
            shuffled = order.sample(self.positions[modality], len(self.positions[modality]))
            groups.extend(self._groups(self._by_length(shuffled)))
        order.shuffle(groups)
        for group in groups:
            yield from group

    def _by_length(self, shuffled: list[int]) -> list[int]:
        if self.lengths is None:
            return shuffled
        step = self.batch_size * self.world_size
        # At least four stretches, or a small set would come in the same batches in every epoch.
        stretch = step * max(1, min(_STEPS_SORTED, len(shuffled) // (4 * step)))
        sorted_in_part: list[int] = []
        for start in range(0, len(shuffled), stretch):
            sorted_in_part += sorted(shuffled[start : start + stretch], key=self.lengths.__getitem__, reverse=True)
        return sorted_in_part

    def _groups(self, shuffled: list[int]) -> Iterator[list[list[int]]]:
        step = self.batch_size * self.world_size
        for start in range(0, len(shuffled), step):
            chunk = shuffled[start : start + step]
            if len(chunk) < step:
                if self.drop_last:
                    return
                if self.world_size > 1:
                    chunk = [(chunk + shuffled)[index % (len(chunk) + len(shuffled))] for index in range(step)]
            yield [chunk[index : index + self.batch_size] for index in range(0, len(chunk), self.batch_size)]
