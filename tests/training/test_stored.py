"""Records stay on disk while they are trained on: memory does not grow with them, and every process reads its own."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from videopath_hf.data.folder import read_instructions
from videopath_hf.errors import UserError
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.samples import Survey, choose_records, to_dataset
from videopath_hf.training.stored import StoredRecords, spool, stored_records


def test_records_on_disk_are_those_that_are_read_into_memory(data: Path) -> None:
    for kinds in (["video"], ["caption", "image"], ["clip"]):
        stored = stored_records(data, kinds, "train")
        assert list(stored) == read_instructions(data, kinds, "train")
        assert [stored[index] for index in range(len(stored))] == list(stored)
        assert list(stored[2:4]) == list(stored)[2:4]
        assert stored[-1] == list(stored)[-1]
        assert list(pickle.loads(pickle.dumps(stored))) == list(stored)


def test_processes_that_decode_ahead_do_not_disturb_each_other(data: Path) -> None:
    from torch.utils.data import DataLoader

    stored = stored_records(data, ["caption", "image"], "train")
    expected = [record.id for record in stored]
    loader = DataLoader(stored, batch_size=None, num_workers=2, collate_fn=lambda record: record.id)
    for _ in range(3):
        assert list(loader) == expected
        assert stored[3].id == expected[3]


def test_spooled_records_are_whole_and_their_file_goes_with_them(data: Path) -> None:
    records = read_instructions(data, ["video"], "train")
    stored = spool(iter(records))
    path = stored.path
    share = stored.choose([3, 1])
    del stored
    assert [record.id for record in share] == [records[3].id, records[1].id]
    assert path.is_file()
    del share
    assert not path.exists()


def test_an_id_that_stands_twice_is_an_error_however_far_apart(data: Path, tmp_path: Path) -> None:
    lines = (data / "instructions.jsonl").read_text().splitlines()
    (tmp_path / "instructions.jsonl").write_text("\n".join([*lines, lines[0]]) + "\n")
    name = json.loads(lines[0])["id"]
    with pytest.raises(UserError, match=f"'{name}' stands there twice"):
        stored_records(tmp_path, ["video"], "train")


def test_rows_on_disk_are_those_in_memory(data: Path, recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    records = choose_records(recipe(data={"kinds": ["image", "clip"]}), data)
    assert isinstance(records, StoredRecords)
    survey = Survey(lengths={record.id: number + 5 for number, record in enumerate(records) if number != 2})
    held, mapped = to_dataset(records, survey), to_dataset(records, survey, tmp_path / "rows.arrow")
    assert len(held) == len(records) - 1
    assert list(held) == list(mapped)
    assert mapped.column_names == held.column_names
    assert mapped.cache_files and not held.cache_files


@pytest.mark.slow
def test_ten_times_the_records_take_little_more_memory() -> None:
    import subprocess
    import sys

    script = Path(__file__).parents[2] / "benchmarks" / "training_records.py"
    peaks = []
    for count in (3_000, 30_000):
        done = subprocess.run([sys.executable, str(script), str(count)], capture_output=True, text=True, check=True)
        peaks.append(json.loads(done.stdout)["peak"])
    assert peaks[1] < peaks[0] + 30, peaks
