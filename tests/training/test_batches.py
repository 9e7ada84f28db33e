"""The order of training."""

import random
from itertools import pairwise

from videopath_hf.training.batches import ModalityBatches

MODALITIES = ["image"] * 7 + ["video"] * 5


def test_a_batch_holds_one_modality_and_an_epoch_every_sample_once() -> None:
    batches = ModalityBatches(MODALITIES, batch_size=2, seed=3)
    order = list(batches)
    assert all(len({MODALITIES[position] for position in batch}) == 1 for batch in order)
    assert sorted(position for batch in order for position in batch) == list(range(12))
    assert len(order) == len(batches) == 7


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        batches = ModalityBatches(MODALITIES, batch_size=2, seed=seed)
        batches.set_epoch(epoch)
        return list(batches)

    assert order(1, 4) == order(1, 4)
    assert len({str(order(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4


def test_modalities_alternate_instead_of_following_one_another() -> None:
    order = list(ModalityBatches(["image"] * 40 + ["video"] * 40, batch_size=2, seed=0))
    shown = ["video" if batch[0] >= 40 else "image" for batch in order]
    assert sum(one != next_one for one, next_one in pairwise(shown)) > 8


def test_the_short_last_batch_of_each_modality_can_be_left_out() -> None:
    batches = ModalityBatches(MODALITIES, batch_size=2, seed=0, drop_last=True)
    order = list(batches)
    assert [len(batch) for batch in order] == [2] * 5
    assert len(batches) == 5


def test_ranks_get_batches_of_one_modality_at_a_time_and_equally_many_full_ones() -> None:
    batches = ModalityBatches(MODALITIES, batch_size=2, seed=0, world_size=2)
    order = list(batches)
    assert len(order) == len(batches) == 8
    assert all(len(batch) == 2 for batch in order)
    for first, second in zip(order[::2], order[1::2], strict=True):
        assert len({MODALITIES[position] for position in first + second}) == 1
    assert {position for batch in order for position in batch} == set(range(12))


def test_a_modality_with_fewer_samples_than_ranks_still_fills_every_rank() -> None:
    order = list(ModalityBatches(["video"], batch_size=2, seed=0, world_size=3))
    assert order == [[0, 0]] * 3


def padding(batches: list[list[int]], lengths: list[int]) -> int:
    return sum(max(lengths[p] for p in batch) * len(batch) - sum(lengths[p] for p in batch) for batch in batches)


def test_samples_of_like_length_share_a_batch_and_every_sample_still_comes_once() -> None:
    draw = random.Random(0)
    lengths = [draw.randrange(50, 5000) for _ in range(1000)]
    modalities = ["image"] * 600 + ["video"] * 400
    plain = list(ModalityBatches(modalities, 4, seed=0))
    grouped = list(ModalityBatches(modalities, 4, seed=0, lengths=lengths))
    assert sorted(position for batch in grouped for position in batch) == list(range(1000))
    assert padding(grouped, lengths) < padding(plain, lengths) / 10
    assert all(len({modalities[position] for position in batch}) == 1 for batch in grouped)


def test_grouped_batches_come_in_no_order_of_length_and_differ_from_epoch_to_epoch() -> None:
    lengths = list(range(400))
    batches = ModalityBatches(["video"] * 400, 4, seed=0, lengths=lengths)
    first = list(batches)
    batches.set_epoch(1)
    assert {tuple(batch) for batch in first} != {tuple(batch) for batch in batches}
    longest = [max(batch) for batch in first]
    falls = sum(one > other for one, other in pairwise(longest))
    assert 0.3 < falls / len(longest) < 0.7


def test_ranks_get_samples_of_like_length_at_the_same_time() -> None:
    lengths = list(range(400))
    order = list(ModalityBatches(["video"] * 400, 2, seed=0, world_size=4, lengths=lengths))
    groups = [[position for batch in order[start : start + 4] for position in batch] for start in range(0, 200, 4)]
    assert sum(max(group) - min(group) for group in groups) / len(groups) < 60
