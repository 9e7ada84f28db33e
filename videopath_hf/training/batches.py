"""The order of training: seeded, one modality a batch, the same on every rank and after a resume."""

import random
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler


class ModalityBatches(Sampler[list[int]]):
    """Batches of sample positions in which every sample has the same modality.

    Clips and images differ in shape and cost by orders of magnitude, so they never share a batch; the batches of all
    modalities come in one shuffled order. The order depends on `seed` and epoch only.

    Args:
        modalities (`Sequence[str]`): modality of each sample.
        batch_size (`int`): samples a batch.
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
    ) -> None:
        self.positions: dict[str, list[int]] = {}
        for position, modality in enumerate(modalities):
            self.positions.setdefault(modality, []).append(position)
        self.batch_size = batch_size
        self.seed = seed
        self.drop_last = drop_last
        self.world_size = world_size
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
            groups.extend(self._groups(order.sample(self.positions[modality], len(self.positions[modality]))))
        order.shuffle(groups)
        for group in groups:
            yield from group

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
