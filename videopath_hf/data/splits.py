"""Train and test, parted by source video or by clip: seeded, stratified by diagnosis, and never leaking."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from videopath_hf.errors import UserError
from videopath_hf.records import InstructionRecord, Split


class SplitItem(NamedTuple):
    """What a split needs to know of a clip; `diagnosis` in the form in which it is compared."""

    clip_id: str
    video_id: str
    diagnosis: str | None


def split_clips(
    items: Sequence[SplitItem], by: Literal["video", "clip"], test_fraction: float, seed: int
) -> dict[str, Split]:
    """Assign every clip to train or test; the order of `items` does not matter.

    Args:
        items (`Sequence[SplitItem]`): the clips.
        by (`str`): `"video"` keeps whole videos together. `"clip"` holds out the same number of clips of each
            diagnosis that has at least two, so that guessing the commonest diagnosis does not pay in test; clips
            of one video are then in both parts.
        test_fraction (`float`): share of the clips to hold out; 0 holds out none.
        seed (`int`): seed of the choice among equals.

    Returns:
        `dict[str, str]`: the split of each clip id. Every diagnosis in test is in train too.

    Raises:
        UserError: a test part was asked for and cannot be had.
    """
    if test_fraction == 0:
        return {item.clip_id: "train" for item in items}
    test = _test_videos(items, test_fraction, seed) if by == "video" else _test_clips(items, test_fraction, seed)
    return {item.clip_id: "test" if item.clip_id in test else "train" for item in items}


def check_no_leak(records: Iterable[InstructionRecord], by: Literal["video", "clip"]) -> None:
    """Raise `RuntimeError` if a clip, one of its media or, for `by="video"`, a source video is in train and test."""
    seen: dict[tuple[str, str], Split] = {}
    for record in records:
        keys = [("clip", record.clip_id), *(("medium", media.path) for media in record.media)]
        if by == "video":
            keys.append(("video", record.video_id))
        for key in keys:
            if seen.setdefault(key, record.split) != record.split:
                raise RuntimeError(f"{key[0]} {key[1]} is in both train and test")


def _test_clips(items: Sequence[SplitItem], fraction: float, seed: int) -> set[str]:
    groups: dict[str | None, list[str]] = {}
    for item in items:
        groups.setdefault(item.diagnosis, []).append(item.clip_id)
    unknown = groups.pop(None, [])
    divisible = {name: ids for name, ids in groups.items() if len(ids) > 1}
    if not divisible and len(unknown) < 2:
        raise UserError(
            "no diagnosis has two clips, so none can be in both train and test; give more clips or set test_fraction=0"
        )
    test: set[str] = set()
    if divisible:
        wanted = max(1, _round(fraction * sum(map(len, groups.values())) / len(divisible)))
        equal = min(wanted, min(len(ids) for ids in divisible.values()) - 1)
        for ids in divisible.values():
            test.update(_shuffled(ids, seed)[:equal])
    test.update(_shuffled(unknown, seed)[: min(_round(fraction * len(unknown)), max(0, len(unknown) - 1))])
    return test


def _test_videos(items: Sequence[SplitItem], fraction: float, seed: int) -> set[str]:
    videos: dict[str, set[str]] = {}
    for item in items:
        videos.setdefault(item.video_id, set()).update([item.diagnosis] if item.diagnosis else [])
    if len(videos) < 2:
        raise UserError(
            "all clips are of one source video, which cannot be in both train and test: "
            "set split_by=clip to part its clips, or test_fraction=0 for no test part"
        )
    total = Counter(name for names in videos.values() for name in names)
    taken: Counter[str] = Counter()
    test: set[str] = set()

    def gain(video: str) -> float:
        """How much nearer to its share of every diagnosis the test part comes."""
        wanted = {name: fraction * total[name] - taken[name] for name in videos[video]}
        return sum(abs(missing) - abs(missing - 1) for missing in wanted.values())

    for _ in range(max(1, min(_round(fraction * len(videos)), len(videos) - 1))):
        free = [video for video in videos if video not in test]
        free = [video for video in free if all(total[name] - taken[name] > 1 for name in videos[video])]
        if free:
            best = max(_shuffled(free, seed), key=gain)
            taken.update(videos[best])
            test.add(best)
    if not test:
        raise UserError(
            "every source video holds a diagnosis that no other one has, so none can be held out: "
            "set split_by=clip to part the clips instead, or test_fraction=0 for no test part"
        )
    return {item.clip_id for item in items if item.video_id in test}


def _shuffled(names: Iterable[str], seed: int) -> list[str]:
    # By hash, not by a generator: a clip that is added later moves no other one.
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())


def _round(value: float) -> int:
    return math.floor(value + 0.5)
