"""Near-duplicate clips: found by perceptual hashes of their frames, within a lecture and across lectures.

A slide that is taught in two lectures puts the same cells into training and test where the split goes by video: clips
that are alike in different videos are named as possible leakage.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from videopath_hf.curation.settings import QualitySettings
from videopath_hf.curation.tissue import Picture
from videopath_hf.errors import UserError
from videopath_hf.files import write_records
from videopath_hf.records import ClipRecord, Record
from videopath_hf.video.glance import shrink

_BITS = 64
_SIDE = 32  # pixels to which a frame is scaled before its cosine transform
_FLAT = 4.0  # standard deviation, in grey levels, below which a frame is too empty to be recognised by


class Duplicate(Record):
    """Two clips that show the same; `other` comes later.

    `share` of the frames of the one with fewer have a match in the other, at a median of `distance` bits of 64.
    `across` says that they are from different videos.
    """

    clip_id: str
    other: str
    across: bool
    share: float
    distance: float


def frame_hash(image: Picture) -> str | None:
    """Perceptual hash of an RGB picture, uint8 [H, W, 3]: the signs of its lowest frequencies, as 16 hex digits.

    Scaling, compression and a change of brightness move few bits; None for a picture that is nearly empty.
    """
    small = cv2.cvtColor(shrink(image, _SIDE, _SIDE), cv2.COLOR_RGB2GRAY).astype(np.float32)
    if small.std() < _FLAT:
        return None
    low = cv2.dct(small)[:8, :8].ravel()
    bits = low > np.median(low[1:])
    return f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"


def find_duplicates(clips: Sequence[ClipRecord], max_distance: int, min_share: float) -> list[Duplicate]:
    """Pairs of clips that show the same, in the order of the clips.

    Args:
        clips (`Sequence[ClipRecord]`): of any number of videos; clips without `hashes` have no duplicates.
        max_distance (`int`): bits of 64 in which matching frames may differ.
        min_share (`float`): share of the frames, of the clip with fewer, that need a match.

    Raises:
        UserError: a hash that is not 16 hex digits.
    """
    hashes = {number: sorted(_numbers(clip)) for number, clip in enumerate(clips)}
    distances: dict[tuple[int, int], dict[tuple[int, int], int]] = defaultdict(dict)
    for a, b in _candidates(hashes, max_distance):
        (first, here), (second, there) = sorted((a, b))
        bits = (here ^ there).bit_count()
        if bits <= max_distance:
            distances[first, second][here, there] = bits
    found = []
    for (first, second), pairs in sorted(distances.items()):
        share, distance = _alike(pairs, len(hashes[first]), len(hashes[second]))
        if share >= min_share:
            found.append(
                Duplicate(
                    clip_id=clips[first].clip_id,
                    other=clips[second].clip_id,
                    across=clips[first].video_id != clips[second].video_id,
                    share=share,
                    distance=distance,
                )
            )
    return found


def find_across(
    train: Mapping[str, Sequence[str]], test: Mapping[str, Sequence[str]], max_distance: int, min_share: float
) -> list[tuple[str, str, float, float]]:
    """Pairs of a training and a test medium that show the same; media of one part are not compared.

    Args:
        train (`Mapping[str, Sequence[str]]`), test (`Mapping[str, Sequence[str]]`): hashes by `frame_hash` of each
            medium's frames.
        max_distance (`int`), min_share (`float`): as for `find_duplicates`.

    Returns:
        `list[tuple[str, str, float, float]]`: training medium, test medium, share of frames, median distance in bits.
    """
    held = {name: {int(value, 16) for value in hashes} for name, hashes in test.items()}
    buckets: dict[tuple[int, int], list[tuple[str, int]]] = defaultdict(list)
    bands = _bands(max_distance)
    for name, values in held.items():
        for value in values:
            for low, mask in bands:
                buckets[low, value >> low & mask].append((name, value))
    found = []
    for name, hashes in sorted(train.items()):
        values = {int(value, 16) for value in hashes}
        near: dict[str, dict[tuple[int, int], int]] = defaultdict(dict)
        for value in values:
            for other, theirs in {item for low, mask in bands for item in buckets.get((low, value >> low & mask), ())}:
                if (bits := (value ^ theirs).bit_count()) <= max_distance:
                    near[other][value, theirs] = bits
        for other, pairs in sorted(near.items()):
            share, distance = _alike(pairs, len(values), len(held[other]))
            if share >= min_share:
                found.append((name, other, share, distance))
    return found


def _alike(pairs: Mapping[tuple[int, int], int], first: int, second: int) -> tuple[float, float]:
    """Of matching hashes of two clips with so many frames: the share that match, and at what median distance."""
    side = 0 if first <= second else 1
    best: dict[int, int] = {}
    for pair, bits in pairs.items():
        best[pair[side]] = min(bits, best.get(pair[side], _BITS))
    return round(len(best) / min(first, second), 4), float(np.median(list(best.values())))


def write_duplicates(out: Path, clips: Sequence[ClipRecord], settings: QualitySettings) -> str | None:
    """Write `duplicates.jsonl` where clips are alike; returns a note if some are from different videos."""
    found = find_duplicates(clips, settings.duplicate_bits, settings.duplicate_share)
    path = out / "duplicates.jsonl"
    if not found:
        path.unlink(missing_ok=True)
        return None
    write_records(path, found)
    across = [pair for pair in found if pair.across]
    if not across:
        return None
    named = ", ".join(f"{pair.clip_id} and {pair.other}" for pair in across[:3])
    return (
        f"possible test leakage: {len(across)} pairs of clips of different videos show the same ({named}"
        f"{', ...' if len(across) > 3 else ''}; all in duplicates.jsonl); keep each pair in one split"
    )


def _numbers(clip: ClipRecord) -> set[int]:
    try:
        return {int(value, 16) for value in clip.hashes}
    except ValueError as error:
        raise UserError(f"clip {clip.clip_id}: hashes must be hex numbers: {error}") from None


def _candidates(hashes: dict[int, list[int]], max_distance: int) -> Iterable[tuple[Any, Any]]:
    """Pairs of (clip, hash) that agree in one of `max_distance + 1` bands of bits, as all near enough ones must."""
    seen: set[tuple[Any, Any]] = set()
    for low, mask in _bands(max_distance):
        buckets: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for number, values in hashes.items():
            for value in values:
                buckets[(value >> low) & mask].append((number, value))
        for members in buckets.values():
            for a, b in combinations(members, 2):
                if a[0] != b[0] and (a, b) not in seen:
                    seen.add((a, b))
                    yield a, b


def _bands(max_distance: int) -> list[tuple[int, int]]:
    """Shift and mask of each of `max_distance + 1` bands of bits."""
    bounds = np.linspace(0, _BITS, max_distance + 2, dtype=int).tolist()
    return [(low, (1 << (high - low)) - 1) for low, high in pairwise(bounds)]
