from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.curation.conftest import Picture, stained
from videopath_hf.curation.duplicates import Duplicate, find_duplicates, frame_hash, write_duplicates
from videopath_hf.curation.settings import QualitySettings
from videopath_hf.errors import UserError
from videopath_hf.files import read_records
from videopath_hf.records import ClipRecord


def clip(video: str, number: int, hashes: list[str]) -> ClipRecord:
    clip_id = f"{video}_c{number:05d}"
    return ClipRecord(
        clip_id=clip_id, video_id=video, source=f"{video}.mp4", start=0, end=4, fps=2, frames=8, width=640, height=360,
        clip=f"clips/{clip_id}.mp4", sha256="0", transcript=[], text="", hashes=hashes,
    )  # fmt: skip


def hashes(*images: Picture) -> list[str]:
    return [value for value in map(frame_hash, images) if value is not None]


def recoded(image: Picture) -> Picture:
    """The picture as another lecture shows it: smaller, brighter, compressed."""
    small = cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    small = np.clip(small.astype(np.int16) + 9, 0, 255).astype(np.uint8)
    return cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)


def test_the_same_view_in_another_video_is_named_as_leakage_and_other_slides_are_not() -> None:
    views = [stained(360, 640, seed) for seed in range(12)]
    clips = [
        clip("a", 0, hashes(*views[:4])),
        clip("a", 1, hashes(*views[4:8])),
        clip("b", 0, hashes(*map(recoded, views[:4]))),
        clip("b", 1, hashes(*views[8:])),
    ]
    (found,) = find_duplicates(clips, max_distance=8, min_share=0.5)
    assert (found.clip_id, found.other, found.across, found.share) == ("a_c00000", "b_c00000", True, 1.0)
    assert found.distance <= 8


def test_a_view_that_is_shown_again_in_its_own_video_is_no_leakage() -> None:
    views = [stained(360, 640, seed) for seed in range(2)]
    (found,) = find_duplicates([clip("a", 0, hashes(*views)), clip("a", 1, hashes(*views))], 8, 0.5)
    assert not found.across


def test_duplicates_are_written_and_leakage_noted_and_an_old_file_goes(tmp_path: Path) -> None:
    views = hashes(*[stained(360, 640, seed) for seed in range(4)])
    note = write_duplicates(tmp_path, [clip("a", 0, views), clip("b", 0, views)], QualitySettings())
    assert note is not None and "a_c00000 and b_c00000" in note
    (found,) = read_records(tmp_path / "duplicates.jsonl", Duplicate)
    assert found.across
    assert write_duplicates(tmp_path, [clip("a", 0, views)], QualitySettings()) is None
    assert not (tmp_path / "duplicates.jsonl").exists()


def test_one_view_in_common_makes_no_duplicate_of_long_clips() -> None:
    views = [stained(360, 640, seed) for seed in range(9)]
    clips = [clip("a", 0, hashes(*views[:5])), clip("b", 0, hashes(views[0], *views[5:]))]
    assert find_duplicates(clips, 8, 0.5) == []
    assert [pair.share for pair in find_duplicates(clips, 8, 0.2)] == [0.2]


@pytest.mark.parametrize("bits", [0, 5, 8])
def test_every_pair_that_is_near_enough_is_found_and_no_other(bits: int) -> None:
    value = 0x0123456789ABCDEF
    for changed in (0, 5, 8, 9):
        other = value
        for number in range(changed):
            other ^= 1 << (number * 7)
        found = find_duplicates([clip("a", 0, [f"{value:016x}"]), clip("b", 0, [f"{other:016x}"])], bits, 0.5)
        assert bool(found) == (changed <= bits)


def test_an_empty_picture_is_no_ones_duplicate() -> None:
    assert frame_hash(np.full((90, 160, 3), 243, np.uint8)) is None
    assert find_duplicates([clip("a", 0, []), clip("b", 0, [])], 8, 0.5) == []


def test_a_hash_that_is_none_is_an_error_that_names_its_clip() -> None:
    with pytest.raises(UserError, match="a_c00000"):
        find_duplicates([clip("a", 0, ["zz"])], 8, 0.5)
