"""The published mixture: all, first:N, end:N, random:N, and N% as ceil(int x length / 100)."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from videopath_hf.data.formats.mixture import parse_strategy
from videopath_hf.data.sources import open_source
from videopath_hf.errors import UserError
from videopath_hf.records import InstructionRecord, RecordReject


def entry(number: int) -> dict[str, Any]:
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": f"A{number}."}]
    return {"id": str(number), "image": f"{number}.jpg", "conversations": turns}


def published(items: list[int], strategy: str) -> list[int]:
    """The rule as the published code has it, for `all`, `first` and `end`."""
    if strategy == "all":
        return items
    how, text = strategy.split(":")
    count = math.ceil(int(text.split("%")[0]) * len(items) / 100) if "%" in text else int(text)
    return items[:count] if how == "first" else items[-count:]


def mixture(tmp_path: Path, *datasets: dict[str, Any]) -> Path:
    (tmp_path / "mix.yaml").write_text(yaml.safe_dump({"datasets": list(datasets)}))
    return tmp_path / "mix.yaml"


def write(tmp_path: Path, name: str, count: int) -> str:
    entries = [entry(number) for number in range(count)]
    lines = "\n".join(json.dumps(item) for item in entries)
    (tmp_path / name).write_text(json.dumps(entries) if name.endswith(".json") else lines)
    return name


def taken(path: Path, seed: int = 0) -> list[str]:
    return [item.id for item in open_source(path, seed=seed).read() if isinstance(item, InstructionRecord)]


@pytest.mark.parametrize("length", [1, 3, 7, 10, 33, 100, 101])
@pytest.mark.parametrize(
    "strategy", ["all", "first:1", "first:5", "first:10%", "end:2", "end:7%", "first:100%", "end:99%"]
)
def test_first_end_and_percentages_are_the_published_ones(tmp_path: Path, length: int, strategy: str) -> None:
    name = write(tmp_path, "a.jsonl", length)
    path = mixture(tmp_path, {"json_path": name, "sampling_strategy": strategy})
    assert taken(path) == [str(number) for number in published(list(range(length)), strategy)]


def test_end_0_takes_nothing_and_more_than_there_is_takes_all(tmp_path: Path) -> None:
    name = write(tmp_path, "a.json", 4)
    parts = [
        ("end:0", 0),
        ("first:0%", 0),
        ("random:0", 0),
        ("first:9", 4),
        ("end:9", 4),
        ("random:9", 4),
        ("random:300%", 4),
    ]
    for strategy, count in parts:
        assert len(taken(mixture(tmp_path, {"json_path": name, "sampling_strategy": strategy}))) == count, strategy


def test_random_is_seeded_exact_in_number_and_fair(tmp_path: Path) -> None:
    name = write(tmp_path, "a.jsonl", 20)
    path = mixture(tmp_path, {"json_path": name, "sampling_strategy": "random:25%"})
    assert taken(path, seed=3) == taken(path, seed=3)
    counts: Counter[str] = Counter()
    for seed in range(300):
        found = taken(path, seed=seed)
        assert len(found) == 5 == len(set(found))
        counts.update(found)
    assert len(counts) == 20
    assert max(counts.values()) < 120  # 75 expected
    assert min(counts.values()) > 40


def test_ids_of_several_files_do_not_collide_and_the_same_file_may_stand_twice(tmp_path: Path) -> None:
    one, two = write(tmp_path, "a.json", 3), write(tmp_path, "b.jsonl", 2)
    path = mixture(
        tmp_path, {"json_path": one, "sampling_strategy": "first:2"}, {"json_path": two}, {"json_path": one}
    )
    assert taken(path) == ["a.1:0", "a.1:1", "b:0", "b:1", "a.2:0", "a.2:1", "a.2:2"]


def test_the_length_counts_rejected_entries_too(tmp_path: Path) -> None:
    entries = [entry(0), {"id": "bad"}, entry(2), entry(3)]
    (tmp_path / "a.json").write_text(json.dumps(entries))
    path = mixture(tmp_path, {"json_path": "a.json", "sampling_strategy": "first:50%"})
    found = list(open_source(path).read())
    assert [item.id for item in found] == ["0", "bad"]
    assert isinstance(found[1], RecordReject)


def test_further_keys_say_what_holds_for_a_file(tmp_path: Path) -> None:
    name = write(tmp_path, "a.json", 1)
    values = {"format": "quilt-llava", "media_root": "quilt/images", "kind": "caption", "split": "test"}
    path = mixture(tmp_path, {"json_path": name, **values})
    (record,) = open_source(path).read()
    assert isinstance(record, InstructionRecord)
    assert (record.kind, record.split) == ("caption", "test")
    assert "Quilt" in record.licence
    assert record.media[0].path == record.messages[0]["content"][0]["path"] == "quilt/images/0.jpg"


@pytest.mark.parametrize(
    "text", ["", "some", "first", "first:", "first:-1", "first:1.5%", "random:ten", "end:5 %", "all:3"]
)
def test_a_strategy_that_is_none_is_named_with_those_accepted(text: str) -> None:
    with pytest.raises(UserError, match="none of all, first:N, end:N and random:N"):
        parse_strategy(text)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ({"json_path": "a.json", "sampling_strategy": "half"}, r"datasets\.0\.sampling_strategy = 'half'"),
        ({"json_path": "a.json", "strategy": "all"}, "did you mean 'sampling_strategy'"),
        ({"json_path": "none.json"}, r"none\.json is not a file|none\.json does not exist"),
        ({"json_path": "a.json", "media_root": "../x"}, r"datasets\.0\.media_root: .*leads out"),
        ({"json_path": "a.json", "kind": "movie"}, r"datasets\.0\.kind"),
    ],
)
def test_a_mixture_that_is_wrong_names_its_key(tmp_path: Path, dataset: dict[str, Any], message: str) -> None:
    write(tmp_path, "a.json", 1)
    with pytest.raises(UserError, match=message):
        taken(mixture(tmp_path, dataset))
    with pytest.raises(UserError, match="datasets"):
        taken(mixture(tmp_path))
