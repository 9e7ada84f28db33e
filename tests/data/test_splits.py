from collections import Counter

import pytest

from videopath_hf.data.splits import SplitItem, split_clips
from videopath_hf.errors import UserError


def items_of(**clips: list[tuple[str, int]]) -> list[SplitItem]:
    """`video=[(diagnosis, number of clips), ...]`; the diagnosis "-" stands for none."""
    return [
        SplitItem(f"{video}_{name}_{number}", video, None if name == "-" else name)
        for video, cases in clips.items()
        for name, count in cases
        for number in range(count)
    ]


def held_out(items: list[SplitItem], splits: dict[str, str]) -> Counter[str | None]:
    return Counter(item.diagnosis for item in items if splits[item.clip_id] == "test")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("first", "second", "fraction"), [(3, 3, 0.2), (2, 9, 0.3), (10, 20, 0.2), (5, 4, 0.9)])
def test_by_clip_test_holds_as_many_of_each_diagnosis_and_train_keeps_all(
    first: int, second: int, fraction: float, seed: int
) -> None:
    items = items_of(v=[("a", first), ("b", second)])
    counts = held_out(items, dict(split_clips(items, "clip", fraction, seed)))
    assert counts["a"] == counts["b"] >= 1
    assert counts["a"] < first
    assert counts["b"] < second


def test_by_clip_the_fraction_is_kept_where_diagnoses_allow() -> None:
    items = items_of(v=[("a", 50), ("b", 50), ("-", 20)])
    assert held_out(items, dict(split_clips(items, "clip", 0.2, 0))) == {"a": 10, "b": 10, None: 4}


def test_by_clip_a_diagnosis_with_one_clip_trains() -> None:
    items = items_of(v=[("a", 4), ("b", 1)])
    assert held_out(items, dict(split_clips(items, "clip", 0.5, 0)))["b"] == 0


@pytest.mark.parametrize("seed", range(10))
def test_by_video_no_video_is_in_both_and_every_test_diagnosis_is_in_train(seed: int) -> None:
    videos = {f"v{index}": [("abc"[index % 3], 3), ("abcd"[index % 4], 2)] for index in range(12)}
    items = items_of(**videos)
    splits = split_clips(items, "video", 0.25, seed)
    in_test = {item.video_id for item in items if splits[item.clip_id] == "test"}
    in_train = {item.video_id for item in items if splits[item.clip_id] == "train"}
    assert not in_test & in_train
    assert len(in_test) == 3
    train_diagnoses = {item.diagnosis for item in items if splits[item.clip_id] == "train"}
    assert {item.diagnosis for item in items} == train_diagnoses


def test_by_video_small_sets_still_hold_one_video_out() -> None:
    items = items_of(one=[("a", 2)], two=[("a", 2)], three=[("b", 2)])
    splits = split_clips(items, "video", 0.1, 0)
    assert held_out(items, dict(splits)) == {"a": 2}


def test_by_video_each_diagnosis_gives_its_share() -> None:
    items = items_of(**{f"v{index:02d}": [("a" if index < 16 else "b", 1)] for index in range(24)})
    assert held_out(items, dict(split_clips(items, "video", 0.25, 0))) == {"a": 4, "b": 2}


def test_a_split_depends_on_seed_and_ids_only() -> None:
    items = items_of(v=[("a", 9), ("b", 9)])
    splits = split_clips(items, "clip", 0.3, 0)
    assert splits == split_clips(items[::-1], "clip", 0.3, 0)
    assert any(splits != split_clips(items, "clip", 0.3, seed) for seed in range(1, 5))


def test_what_cannot_be_parted_is_said_with_the_way_out() -> None:
    with pytest.raises(UserError, match="set split_by=clip"):
        split_clips(items_of(one=[("a", 4)]), "video", 0.2, 0)
    with pytest.raises(UserError, match="a diagnosis that no other one has"):
        split_clips(items_of(one=[("a", 4)], two=[("b", 4)]), "video", 0.2, 0)
    with pytest.raises(UserError, match="no diagnosis has two clips"):
        split_clips(items_of(one=[("a", 1), ("b", 1)]), "clip", 0.2, 0)
    assert set(split_clips(items_of(one=[("a", 4)]), "video", 0, 0).values()) == {"train"}
