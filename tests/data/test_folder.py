import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.plain import run_plain
from videopath_hf.data.folder import read_instructions
from videopath_hf.data.splits import check_no_leak
from videopath_hf.errors import UserError

PLAIN_USER = """
import json, sys
from datasets import Video, load_dataset
root = sys.argv[1]
videos = load_dataset(root)
rows = videos["train"].cast_column("video", Video(decode=False))
images = load_dataset(root, data_dir="images", split="test")
streamed = load_dataset(root, "default", split="test", streaming=True).cast_column("video", Video(decode=False))
print(json.dumps({
    "splits": {name: len(split) for name, split in videos.items()},
    "first": rows[0], "clip_bytes": len(open(rows[0]["video"]["path"], "rb").read()),
    "image": [images[0]["image"].size, images[0]["image"].mode, images[0]["question"], images[0]["diagnosis"]],
    "streamed": sum(1 for _ in streamed), "columns": videos["train"].column_names,
    "diagnoses": sorted({str(row["diagnosis"]) for row in rows}),
}))
"""


@pytest.fixture
def dataset(finished_dataset: Path, tmp_path: Path) -> Path:
    """A dataset folder the test may break."""
    shutil.copytree(finished_dataset, tmp_path / "data")
    return tmp_path / "data"


def rewrite(dataset: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change the records of a dataset folder in place."""
    path = dataset / "instructions.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    change(records)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_plain_datasets_opens_the_folder_without_this_package(dataset: Path, tmp_path: Path) -> None:
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    seen = json.loads(run_plain(PLAIN_USER, str(dataset), cwd=tmp_path, environment=environment))
    assert seen["splits"] == {"train": 27, "test": 4}
    assert seen["streamed"] == 4
    assert seen["clip_bytes"] > 500
    assert seen["image"][:2] == [[64, 48], "RGB"]
    assert seen["diagnoses"] == ["Celiac disease", "Melanosis coli", "None"]
    record = next(
        record for record in read_instructions(dataset, ["clip"], "train") if record.id == seen["first"]["id"]
    )
    # Exactly as written: no None-filled keys in the content blocks.
    assert seen["first"]["messages"] == record.messages
    assert seen["first"]["answer"] == record.answer
    assert Path(seen["first"]["video"]["path"]).name == f"{record.clip_id}.mp4"
    assert {
        "video",
        "question",
        "answer",
        "description",
        "diagnosis",
        "organ",
        "clip_id",
        "video_id",
        "source",
    } <= set(seen["columns"])


def test_records_are_chosen_by_kind_and_split(dataset: Path) -> None:
    records = read_instructions(dataset, ["video", "image"], "test")
    assert {record.kind for record in records} == {"video", "image"}
    assert {record.split for record in records} == {"test"}
    assert len(records) == 6


def test_nothing_of_a_test_clip_is_in_train(dataset: Path) -> None:
    kinds = ["caption", "image", "clip", "video"]
    train, test = (read_instructions(dataset, kinds, split) for split in ("train", "test"))
    assert not {record.clip_id for record in train} & {record.clip_id for record in test}
    check_no_leak([*train, *test], "clip")
    with pytest.raises(RuntimeError, match="video lecture is in both"):
        check_no_leak([*train, *test], "video")


def test_missing_and_empty_media_are_counted_and_named(dataset: Path) -> None:
    first, second = (record.media[0].path for record in read_instructions(dataset, ["video"], "test"))
    (dataset / first).unlink()
    (dataset / second).write_bytes(b"")
    with pytest.raises(UserError, match="2 of 2 media files are missing or empty") as caught:
        read_instructions(dataset, ["video"], "test")
    assert first in str(caught.value)
    assert second in str(caught.value)


def test_a_path_out_of_the_folder_is_refused(dataset: Path) -> None:
    def escape(records: list[dict[str, Any]]) -> None:
        for record in records:
            record["media"][0]["path"] = record["messages"][0]["content"][0]["path"] = "../../etc/hostname"

    rewrite(dataset, escape)
    with pytest.raises(UserError, match="leads out of"):
        read_instructions(dataset, ["video"], "test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda records: records.append(records[0]), "stands there twice"),
        (lambda records: records[0].update(colour="red"), "instructions.jsonl:1.*colour"),
        (lambda records: records[0].pop("answer"), "instructions.jsonl:1.*answer"),
        (lambda records: [r["messages"][0].update(role="doctor") for r in records], "role 'doctor'"),
        (lambda records: [r["messages"][0]["content"].pop(0) for r in records], "messages show 0 media"),
        (lambda records: [r.update(answer=" ") for r in records], "`answer` is empty"),
    ],
)
def test_records_that_do_not_hold_together_are_refused(
    dataset: Path, change: Callable[[list[dict[str, Any]]], object], message: str
) -> None:
    rewrite(dataset, change)
    with pytest.raises(UserError, match=message):
        read_instructions(dataset, ["video", "clip", "image", "caption"], "train")


def test_a_line_that_is_not_json_is_named(dataset: Path) -> None:
    path = dataset / "instructions.jsonl"
    path.write_text(path.read_text() + "{half\n")
    with pytest.raises(UserError, match=r"instructions\.jsonl:58: not a InstructionRecord"):
        read_instructions(dataset, ["video"], "train")


def test_unknown_kinds_splits_and_folders_are_named(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown kind 'movie'.*caption, image, clip, video"):
        read_instructions(dataset, ["movie"], "train")
    with pytest.raises(UserError, match="unknown split 'dev'"):
        read_instructions(dataset, ["video"], "dev")
    with pytest.raises(UserError, match="not a dataset folder"):
        read_instructions(tmp_path / "nothing", ["video"], "train")


def test_the_card_states_counts_licence_and_how_it_was_parted(dataset: Path) -> None:
    card = (dataset / "README.md").read_text()
    assert "| records: `video` | 12 | 2 |" in card
    assert "| Celiac disease | 2 | 1 |" in card
    assert "| lecture.mp4 | 57 | unknown: not to be published |" in card
    assert "Parted by clip" in card


def test_what_data_say_is_no_markup_of_the_card(dataset: Path) -> None:
    from videopath_hf.data.card import write_card
    from videopath_hf.records import InstructionRecord

    (record,) = read_instructions(dataset, ["video"], "test")[:1]
    nasty = "![x](http://evil) <img src=x> `a` | b"
    values = {
        "answer": nasty,
        "question": nasty,
        "source": nasty,
        "organ": nasty,
        "diagnosis": nasty,
        "licence": nasty,
    }
    write_card(
        dataset, [InstructionRecord.model_validate({**record.model_dump(), **values, "writer": nasty})], [nasty]
    )
    body = (dataset / "README.md").read_text().split("---\n", 2)[2]
    assert "evil" in body
    assert "](http://evil" not in body.replace("\\](", "")
    assert "<img" not in body
    rows = [line for line in body.splitlines() if "evil" in line and line.startswith("|")]
    assert rows
    assert all(line.replace("\\|", "").count("|") in (3, 4, 5) for line in rows)
