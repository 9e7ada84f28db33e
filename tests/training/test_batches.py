"""The order of training."""

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
