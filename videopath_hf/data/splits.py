"""Train and test, parted by source video or by clip: seeded, stratified by diagnosis and organ, and never leaking; or
as given lists say."""

import hashlib
import heapq
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

from videopath_hf.errors import UserError
from videopath_hf.records import InstructionRecord, Split

_VIDEO_ENDINGS = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".mpeg")


class SplitItem(NamedTuple):
    """What a split needs to know of a clip; `diagnosis` and `organ` in the form in which they are compared."""

    clip_id: str
    video_id: str
    diagnosis: str | None
    organ: str | None = None


def split_clips(
    items: Sequence[SplitItem], by: Literal["video", "clip"], test_fraction: float, seed: int
) -> dict[str, Split]:
    """Assign every clip to train or test; the order of `items` does not matter.

    Args:
        items (`Sequence[SplitItem]`): the clips.
        by (`str`): `"video"` keeps whole videos together and brings every diagnosis and every organ near its share.
            `"clip"` holds out the same number of clips of each diagnosis that has at least two, of its organs in
            turn, so that guessing the commonest diagnosis does not pay in test; clips of one video are then in both
            parts.
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


def read_split_list(path: str | Path) -> list[str]:
    """Names of videos or clips from a list: one a line, or the authors' released JSON or JSONL.

    A JSON entry is named by its `video_name`, `video` or `id`, the first of them that it has. Names are compared
    without folder and ending.

    Raises:
        UserError: no such file, nothing in it, an entry without a name, or a name that stands there for two files.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"split list {path} does not exist") from None
    except UnicodeDecodeError:
        raise UserError(f"split list {path} is not UTF-8 text") from None
    if path.suffix.lower() not in (".json", ".jsonl"):
        entries: list[Any] = [line.strip() for line in text.splitlines() if line.strip()]
    else:
        try:
            whole = path.suffix.lower() == ".json"
            entries = json.loads(text) if whole else [json.loads(line) for line in text.splitlines() if line.strip()]
        except json.JSONDecodeError as error:
            raise UserError(f"split list {path} is not valid JSON: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise UserError(f"split list {path} names nothing; give one name a line, or a JSON list of records")
    return list(dict.fromkeys(_listed_name(path, number, entry) for number, entry in enumerate(entries, start=1)))


def _listed_name(path: Path, number: int, entry: Any) -> str:
    if isinstance(entry, dict):
        entry = next((entry[key] for key in ("video_name", "video", "id") if entry.get(key)), None)
    if not isinstance(entry, str):
        raise UserError(f"split list {path}: entry {number} has no video_name, video or id")
    return _stem(entry)


def _stem(name: str) -> str:
    last = PurePosixPath(name).name
    return PurePosixPath(last).stem if PurePosixPath(last).suffix.lower() in _VIDEO_ENDINGS else last


def split_by_lists(
    items: Sequence[SplitItem], train: Sequence[str] | None, test: Sequence[str] | None
) -> dict[str, Split]:
    """Assign every clip as lists of names say; with one list, what it does not name is in the other part.

    Args:
        items (`Sequence[SplitItem]`): the clips.
        train (`Sequence[str]`, *optional*): names of clips or of whole videos, as `read_split_list` gives them.
        test (`Sequence[str]`, *optional*): the same for test.

    Raises:
        UserError: names that stand in both lists, that no clip and no video has, or clips that neither list names;
            they are counted and the first are named.
    """
    lists: dict[Split, set[str]] = {"train": set(train or ()), "test": set(test or ())}
    _complain(lists["train"] & lists["test"], "names stand in both the train list and the test list")
    known = {name for item in items for name in (item.clip_id, item.video_id)}
    for split, names in lists.items():
        _complain(names - known, f"of {len(names)} names of the {split} list are no clip and no video of the dataset")
    found: dict[str, Split] = {}
    unlisted: Split | None = "test" if test is None else "train" if train is None else None
    both, neither = set(), set()
    for item in items:
        splits = {split for split, names in lists.items() if {item.clip_id, item.video_id} & names}
        if len(splits) == 2:
            both.add(item.clip_id)
        elif splits or unlisted:
            found[item.clip_id] = splits.pop() if splits else unlisted  # type: ignore[assignment]
        else:
            neither.add(item.clip_id)
    _complain(both, "clips are in one list and their videos in the other")
    _complain(neither, "clips are in neither list")
    return found


def _complain(names: set[str], what: str) -> None:
    if names:
        shown = ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        raise UserError(f"{len(names)} {what}: {shown}; mend the lists")


def _test_clips(items: Sequence[SplitItem], fraction: float, seed: int) -> set[str]:
    groups: dict[str | None, list[SplitItem]] = {}
    for item in items:
        groups.setdefault(item.diagnosis, []).append(item)
    unknown = groups.pop(None, [])
    divisible = {name: of_name for name, of_name in groups.items() if len(of_name) > 1}
    if not divisible and len(unknown) < 2:
        raise UserError(
            "no diagnosis has two clips, so none can be in both train and test; give more clips or set test_fraction=0"
        )
    test: set[str] = set()
    if divisible:
        wanted = max(1, _round(fraction * sum(map(len, groups.values())) / len(divisible)))
        equal = min(wanted, min(map(len, divisible.values())) - 1)
        for of_name in divisible.values():
            test.update(_in_turn(of_name, seed)[:equal])
    test.update(_in_turn(unknown, seed)[: min(_round(fraction * len(unknown)), max(0, len(unknown) - 1))])
    return test


def _in_turn(items: Sequence[SplitItem], seed: int) -> list[str]:
    """Clip ids, shuffled, such that any first few of them show the organs in their proportions."""
    organs: dict[str, list[str]] = {}
    for item in items:
        organs.setdefault(item.organ or "", []).append(item.clip_id)
    places = [
        ((place + 0.5) / len(ids), name) for ids in organs.values() for place, name in enumerate(_shuffled(ids, seed))
    ]
    order = {name: rank for rank, name in enumerate(_shuffled([item.clip_id for item in items], seed))}
    return [name for _, name in sorted(places, key=lambda pair: (pair[0], order[pair[1]]))]


def _test_videos(items: Sequence[SplitItem], fraction: float, seed: int) -> set[str]:
    traits: dict[str, set[tuple[str, str]]] = {}
    for item in items:
        named = (("diagnosis", item.diagnosis), ("organ", item.organ))
        traits.setdefault(item.video_id, set()).update((what, name) for what, name in named if name)
    if len(traits) < 2:
        raise UserError(
            "all clips are of one source video, which cannot be in both train and test: "
            "set split_by=clip to part its clips, or test_fraction=0 for no test part"
        )
    count = max(1, min(_round(fraction * len(traits)), len(traits) - 1))
    test = _choose_videos(traits, count, fraction, seed)
    if not test:
        raise UserError(
            "every source video holds a diagnosis that no other one has, so none can be held out: "
            "set split_by=clip to part the clips instead, or test_fraction=0 for no test part"
        )
    return {item.clip_id for item in items if item.video_id in test}


def _choose_videos(traits: dict[str, set[tuple[str, str]]], count: int, fraction: float, seed: int) -> set[str]:
    total = Counter(trait for named in traits.values() for trait in named)
    taken: Counter[tuple[str, str]] = Counter()

    def gain(video: str) -> float:
        """How much nearer to its share of every diagnosis and organ the test part comes."""
        wanted = [fraction * total[trait] - taken[trait] for trait in sorted(traits[video])]
        return sum(abs(missing) - abs(missing - 1) for missing in wanted)

    # What a video gains only falls as others are taken, so only the best of before need be looked at again.
    queue = [(-gain(video), rank, video) for rank, video in enumerate(_shuffled(traits, seed))]
    heapq.heapify(queue)
    test: set[str] = set()
    while queue and len(test) < count:
        known, rank, video = heapq.heappop(queue)
        if any(what == "diagnosis" and total[what, name] - taken[what, name] < 2 for what, name in traits[video]):
            continue  # train keeps every diagnosis
        if (now := -gain(video)) > known:
            heapq.heappush(queue, (now, rank, video))
            continue
        taken.update(traits[video])
        test.add(video)
    return test


def _shuffled(names: Iterable[str], seed: int) -> list[str]:
    # By hash, not by a generator: a clip that is added later moves no other one.
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())


def _round(value: float) -> int:
    return math.floor(value + 0.5)
