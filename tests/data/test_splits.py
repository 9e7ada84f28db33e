import json
from collections import Counter
from pathlib import Path

import pytest

from videopath_hf.data.splits import SplitItem, read_split_list, split_by_lists, split_clips
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


def test_organs_are_in_test_in_their_proportions() -> None:
    organs = ["colon"] * 30 + ["skin"] * 10
    clips = [SplitItem(f"c{index}", f"v{index}", "adenoma", organ) for index, organ in enumerate(organs)]
    for by in ("clip", "video"):
        for seed in range(3):
            splits = split_clips(clips, by, 0.2, seed)  # type: ignore[arg-type]
            assert Counter(clip.organ for clip in clips if splits[clip.clip_id] == "test") == {"colon": 6, "skin": 2}


def test_as_many_videos_as_the_authors_have_are_parted_exactly() -> None:
    clips = [SplitItem(f"c{i}", f"v{i}", f"d{i % 90}", f"o{i % 17}") for i in range(20_000)]
    splits = split_clips(clips, "video", 0.06, 0)
    assert Counter(splits.values()) == {"train": 18_800, "test": 1200}


def listed(path: Path, entries: object) -> Path:
    path.write_text(entries if isinstance(entries, str) else json.dumps(entries), encoding="utf-8")
    return path


def test_the_authors_lists_are_kept_with_their_4036_and_242_videos(tmp_path: Path) -> None:
    names = [f"video_{number:04d}" for number in range(4278)]
    clips = [SplitItem(name, f"lecture{index % 300}", None) for index, name in enumerate(names)]
    train = [{"id": str(n), "video": f"videos/{name}.mp4", "conversations": []} for n, name in enumerate(names[:4036])]
    test = [{"video_name": name, "question": "?", "answer": "!"} for name in names[4036:]]
    lists = [read_split_list(listed(tmp_path / f"{n}.json", data)) for n, data in enumerate((train, test))]
    splits = split_by_lists(clips, *lists)
    assert Counter(splits.values()) == {"train": 4036, "test": 242}
    assert splits == split_by_lists(clips, None, lists[1]) == split_by_lists(clips, lists[0], None)


def test_a_list_is_names_a_line_or_json_or_jsonl_and_may_name_whole_videos(tmp_path: Path) -> None:
    assert read_split_list(listed(tmp_path / "a.txt", "a.MP4\n\nclips/b.v2\r\na.mp4\n")) == ["a", "b.v2"]
    lines = listed(tmp_path / "a.jsonl", '{"video_name": "a"}\n{"id": "b"}\n')
    assert read_split_list(lines) == ["a", "b"]
    clips = [SplitItem("x_1", "x", None), SplitItem("x_2", "x", None), SplitItem("y_1", "y", None)]
    assert split_by_lists(clips, None, ["x"]) == {"x_1": "test", "x_2": "test", "y_1": "train"}


@pytest.mark.parametrize(
    ("train", "test", "sentence"),
    [
        (["a", "b"], ["b"], "1 names stand in both the train list and the test list: b"),
        (["a"], ["b", "c", "d"], "2 of 3 names of the test list are no clip and no video of the dataset: c, d"),
        (["a"], [], "1 clips are in neither list: b"),
        (["v"], ["a"], "1 clips are in one list and their videos in the other: a"),
    ],
)
def test_lists_that_do_not_fit_are_counted_and_named(train: list[str], test: list[str], sentence: str) -> None:
    clips = [SplitItem("a", "v", None), SplitItem("b", "v", None)]
    with pytest.raises(UserError, match=sentence):
        split_by_lists(clips, train, test)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.json", "{", "not valid JSON"),
        ("a.json", '{"video": "x"}', "names nothing"),
        ("a.txt", "\n", "names nothing"),
        ("a.json", '[{"video_name": "x"}, {"question": "?"}]', "entry 2 has no video_name, video or id"),
    ],
)
def test_a_list_that_cannot_be_read_is_named(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_split_list(listed(tmp_path / name, text))
    with pytest.raises(UserError, match=r"missing\.txt does not exist"):
        read_split_list(tmp_path / "missing.txt")
