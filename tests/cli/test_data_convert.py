"""`videopath data convert` as a user runs it, from the authors' release to a folder that `datasets` opens."""

import json
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Run
from tests.plain import run_plain
from videopath_hf.data.convert import convert
from videopath_hf.data.folder import read_instructions
from videopath_hf.data.formats.registry import format_named
from videopath_hf.data.sources import open_source
from videopath_hf.video.encode import write_clip


def film(path: Path, seed: int) -> Path:
    """Half a second of noise."""
    rng = np.random.default_rng(seed)
    write_clip(path, [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(4)], fps=8)
    return path


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the authors release, in small: a zip of test videos with their records, and one of training data."""
    root = tmp_path_factory.mktemp("release")
    films = [film(root / f"{number}.mp4", number) for number in range(4)]
    test = [
        {"video_name": "case one", "question": "Best diagnosis?", "answer": "Flat villi.\nDiagnosis: celiac disease"},
        {
            "video_name": "case.2",
            "question": "Best diagnosis?",
            "answer": "Dark.\nDiagnosis: melanosis",
            "question_id": 7,
        },
        {"video_name": "gone", "question": "Best diagnosis?", "answer": "Lost.\nDiagnosis: none"},
    ]
    with zipfile.ZipFile(root / "test.zip", "w") as archive:
        archive.write(films[0], "Test_Videos/case one.mp4")
        archive.write(films[1], "Test_Videos/case.2.MP4")
        archive.writestr("../evil.mp4", b"evil")
        archive.writestr("test.json", json.dumps(test))
    turns = [
        {"from": "human", "value": "<image>\nBest?"},
        {"from": "gpt", "value": "Flat.\nDiagnosis: celiac disease"},
    ]
    train = [{"id": f"t{n}", "video": f"videos/{n}.mp4", "conversations": turns} for n in (2, 3)]
    with zipfile.ZipFile(root / "train.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in (2, 3):
            archive.write(films[number], f"VidDiag/videos/{number}.mp4")
        archive.writestr("VidDiag/train.jsonl", "\n".join(map(json.dumps, train)))
    return root


def test_the_released_test_zip_becomes_a_dataset_folder(release: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    code, text, err = run("data", "convert", release / "test.zip", "--out", out, "--json")
    assert code == 3  # one of three records has no video
    assert "1 of 3 entries make no record" in err
    summary = json.loads(text)
    assert summary["records"] == {"video": {"test": 2}}
    assert summary["rejects"] == {"medium is missing": 1}
    records = read_instructions(out, ["video"], "test")
    endings = ["case one.mp4", "case.2.MP4"]
    assert [record.media[0].path for record in records] == [f"videos/test/{name}" for name in endings]
    assert [record.diagnosis for record in records] == ["celiac disease", "melanosis"]
    assert [record.id for record in records] == ["case one_0", "7"]
    for record, number in zip(records, range(2), strict=True):
        assert (out / record.media[0].path).read_bytes() == (release / f"{number}.mp4").read_bytes()
    (reject,) = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    assert "gone.mp4" in reject["reason"]
    assert not list(tmp_path.rglob("evil*"))
    assert "CC BY-NC-ND 3.0" in (out / "README.md").read_text()


PLAIN_USER = """
import json, sys
from datasets import Video, load_dataset
rows = load_dataset(sys.argv[1], split="train").cast_column("video", Video(decode=False))
print(json.dumps([[row["question"], row["answer"], len(open(row["video"]["path"], "rb").read())] for row in rows]))
"""


def test_the_released_training_zip_opens_with_plain_datasets(release: Path, tmp_path: Path, run: Run) -> None:
    code, _, err = run("data", "convert", release / "train.zip", "--from", "vidrip-train", "--out", tmp_path / "out")
    assert code == 0, err
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    rows = json.loads(run_plain(PLAIN_USER, str(tmp_path / "out"), cwd=tmp_path, environment=environment))
    sizes = [(release / f"{number}.mp4").stat().st_size for number in (2, 3)]
    assert rows == [["Best?", "Flat.\nDiagnosis: celiac disease", size] for size in sizes]


def test_the_whole_release_becomes_one_folder_that_keeps_the_authors_split(
    release: Path, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "mix.yaml").write_text(
        f"datasets: [{{json_path: {release}/train.zip, format: vidrip-train}}, {{json_path: {release}/test.zip}}]\n"
    )
    words = ["--media", release / "train.zip", "--media", release / "test.zip", "--max-rejects", "0.5"]
    code, _, err = run("data", "convert", tmp_path / "mix.yaml", *words, "--out", tmp_path / "out")
    assert code == 0, err
    found = {split: read_instructions(tmp_path / "out", ["video"], split) for split in ("train", "test")}
    assert [record.id for record in found["train"]] == ["train:t2", "train:t3"]
    assert [record.id for record in found["test"]] == ["test:case one_0", "test:7"]
    assert {record.licence for part in found.values() for record in part} == {"CC BY-NC-ND 3.0"}


def test_options_say_what_holds_for_all_records_and_the_seed_which_are_taken(tmp_path: Path, run: Run) -> None:
    source = llava(tmp_path / "data", 20)
    options = ["--split", "test", "--kind", "caption", "--licence", "MIT"]
    assert run("data", "convert", source, "--out", tmp_path / "out", *options)[0] == 0
    records = read_instructions(tmp_path / "out", ["caption"], "test")
    assert len(records) == 20
    assert {record.licence for record in records} == {"MIT"}
    (tmp_path / "data/mix.yaml").write_text("datasets: [{json_path: in.json, sampling_strategy: 'random:5'}]\n")
    taken = []
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        command = ["data", "convert", tmp_path / "data/mix.yaml", "--to", "llava", "--out", tmp_path / f"{name}.json"]
        assert run(*command, "--seed", seed)[0] == 0
        taken.append([entry["id"] for entry in json.loads((tmp_path / f"{name}.json").read_text())])
    assert taken[0] == taken[1] != taken[2]


def llava(root: Path, count: int) -> Path:
    """Records of so many pictures."""
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A."}]
    entries = [{"id": str(n), "image": f"{n}.png", "conversations": turns} for n in range(count)]
    root.mkdir(parents=True, exist_ok=True)
    (root / "in.json").write_text(json.dumps(entries))
    for number in range(count):
        Image.new("RGB", (8, 8), (number % 255, 0, 0)).save(root / f"{number}.png")
    return root / "in.json"


def test_several_media_a_record_and_the_same_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (8, 8), {"a": "red", "b": "blue"}[folder]).save(tmp_path / folder / "x.png")
    turns = [{"from": "human", "value": "<image><image>\nSame?"}, {"from": "gpt", "value": "No."}]
    one = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A."}]
    entries: list[dict[str, Any]] = [
        {"id": "two", "image": ["a/x.png", "b/x.png"], "conversations": turns},
        {"id": "a", "image": "a/x.png", "conversations": one},
        {"id": "b", "image": "b/x.png", "conversations": one},
        {"id": "none", "conversations": [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Yes."}]},
    ]
    (tmp_path / "in.json").write_text(json.dumps(entries))
    out = tmp_path / "out"
    summary = convert(open_source(tmp_path / "in.json"), out, format_named("videopath"))
    assert summary.records == {"image": {"train": 4}}
    records = {record.id: record for record in read_instructions(out, ["image"], "train")}
    first, second = ((out / item.path).read_bytes() for item in records["two"].media)
    assert first != second
    assert [(out / records[name].media[0].path).read_bytes() for name in "ab"] == [first, second]
    import pyarrow.parquet as pq

    assert pq.read_table(out / "images/train/metadata.parquet")["id"].to_pylist() == ["a", "b"]


def test_a_second_run_does_nothing_and_another_source_is_refused(tmp_path: Path, run: Run) -> None:
    source = llava(tmp_path / "data", 3)
    out = tmp_path / "out"
    assert run("data", "convert", source, "--out", out)[0] == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.name != ".lock"}
    code, _, err = run("data", "convert", source, "--out", out)
    assert code == 0
    assert "finished already" in err
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.name != ".lock"}
    assert before == after
    code, _, err = run("data", "convert", llava(tmp_path / "data", 2), "--out", out)
    assert code == 2
    assert "another input or configuration" in err


def entries_of(path: Path) -> Iterator[Path]:
    return (item for item in path.rglob("*.png") if not item.name.startswith("."))


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    count = 1500
    source = llava(tmp_path / "data", count)
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for number in range(count):
            archive.write(tmp_path / "data" / f"{number}.png", f"{number}.png")
        archive.write(source, "in.json")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tests.cli.convert_zip", str(tmp_path / "data.zip"), str(out)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 60
    while sum(1 for _ in entries_of(out)) < 100 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    brought = {path: path.stat().st_mtime_ns for path in entries_of(out)}
    assert 100 <= len(brought) < count
    assert not (out / "instructions.jsonl").exists()
    convert(open_source(tmp_path / "data.zip"), out, format_named("videopath"))
    assert {path: path.stat().st_mtime_ns for path in brought} == brought
    convert(open_source(tmp_path / "data.zip"), tmp_path / "straight", format_named("videopath"))
    for name in ("instructions.jsonl", "images/train/metadata.parquet", "README.md"):
        assert (out / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()
    assert len(list(entries_of(out))) == count


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "x.csv"], "name one with --to"),
        (["--out", "x.csv", "--to", "llava"], "does not end in .json or .jsonl"),
        (["--out", "x.json", "--to", "lava"], "unknown format 'lava'; known: videopath"),
        (["--out", "x", "--to", "llava"], "does not end in .json or .jsonl"),
    ],
)
def test_an_output_that_fits_no_format_is_named(
    tmp_path: Path,
    run: Run,
    words: list[str],
    message: str,
) -> None:
    source = llava(tmp_path / "data", 1)
    code, _, err = run(
        "data",
        "convert",
        source,
        *(word.replace("x", f"{tmp_path}/x") if i == 1 else word for i, word in enumerate(words)),
    )
    assert code == 2
    assert message in err
    assert not list(tmp_path.glob("x*"))


def test_what_can_be_written_is_saved_though_too_much_was_rejected(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "in.jsonl"
    turns = [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Yes."}]
    lines = [json.dumps({"id": str(n), "conversations": turns}) for n in range(8)]
    path.write_text("\n".join([*lines[:4], "{half", *lines[4:], lines[0]]))
    out = tmp_path / "out.json"
    code, _, err = run("data", "convert", path, "--to", "llava", "--out", out)
    assert code == 3
    assert "2 of 10 entries make no record" in err
    assert len(json.loads(out.read_text())) == 8
    rejects = [json.loads(line) for line in (tmp_path / "out.rejects.jsonl").read_text().splitlines()]
    assert [reject["where"] for reject in rejects] == ["line 5", "line 10"]
    assert run("data", "convert", path, "--to", "llava", "--out", out, "--max-rejects", "0.2")[0] == 0
    path.write_text("{half")
    code, _, err = run("data", "convert", path, "--to", "llava", "--from", "llava", "--out", tmp_path / "none.json")
    assert code == 2
    assert "gave no record to write" in err
    assert not (tmp_path / "none.json").exists()


@pytest.mark.parametrize("verb", ["convert", "check"])
def test_every_part_has_help_with_an_example(run: Run, verb: str) -> None:
    code, out, _ = run("data", verb, "--help")
    assert code == 0
    assert f"Example: videopath data {verb}" in out
    from videopath_hf.data.formats.registry import FORMATS

    assert all(name in " ".join(out.split()) for name in FORMATS)
