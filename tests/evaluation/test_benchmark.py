"""Records to be evaluated out of every place they may come from."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.hub import serve_hub
from videopath_hf.data.folder import read_instructions
from videopath_hf.errors import UserError
from videopath_hf.evaluation.benchmark import Benchmark, find_data
from videopath_hf.evaluation.settings import ScoreSettings


def opened(data: Path | str, tmp_path: Path, *media: Path, **values: object) -> Benchmark:
    return find_data(data, ScoreSettings(**values), media).open(tmp_path / "media")


@pytest.fixture
def released(dataset: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The test records as the authors release theirs: a JSON list, and a zip with the videos."""
    entries = []
    archive = tmp_path / "Test_Videos.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        for number, record in enumerate(read_instructions(dataset, ["video"], "test")):
            name = f"case {number}"
            entries.append({"video_name": name, "question": record.question, "answer": record.answer})
            stream.write(dataset / record.media[0].path, f"Test_Videos/{name}{'.MP4' if number else '.mp4'}")
    path = tmp_path / "ViDRiP_test.json"
    path.write_text(json.dumps(entries))
    return path, archive


def test_the_authors_released_file_and_zip_are_read_without_unpacking(
    released: tuple[Path, Path], dataset: Path, tmp_path: Path
) -> None:
    path, archive = released
    benchmark = opened(path, tmp_path, archive)
    assert [(record.id, record.kind, record.split) for record in benchmark.records] == [
        ("case 0_0", "video", "test"),
        ("case 1_1", "video", "test"),
    ]
    assert [record.diagnosis for record in benchmark.records] == [
        record.diagnosis for record in read_instructions(dataset, ["video"], "test")
    ]
    (found,) = benchmark.media(benchmark.records[1])
    assert found.place == f"{archive}:Test_Videos/case 1.MP4"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Test_Videos.zip", "ViDRiP_test.json"]


def test_what_is_asked_has_the_same_hash_wherever_it_lies_and_another_one_once_it_is_changed(
    dataset: Path, tmp_path: Path
) -> None:
    folder = opened(dataset, tmp_path)
    copy = tmp_path / "records.jsonl"
    copy.write_text("".join(reversed((dataset / "instructions.jsonl").read_text().splitlines(keepends=True))))
    assert opened(copy, tmp_path, dataset).hash == folder.hash
    copy.write_text(copy.read_text().replace("Celiac disease", "Coeliac disease"))
    assert opened(copy, tmp_path, dataset).hash != folder.hash


def test_entries_that_make_no_record_are_counted_and_media_that_are_missing_are_named(
    released: tuple[Path, Path], tmp_path: Path
) -> None:
    path, archive = released
    entries = json.loads(path.read_text())
    path.write_text(
        json.dumps([*entries, {"video_name": "gone", "question": "What?", "answer": "x"}, {"video_name": "y"}])
    )
    benchmark = opened(path, tmp_path, archive)
    assert len(benchmark.records) == 3
    assert [(reject.where, reject.reason) for reject in benchmark.rejects] == [
        ("item 4", "field 'question' is missing")
    ]
    with pytest.raises(UserError, match=r"medium is missing: Test_Videos/gone\.mp4"):
        benchmark.media(benchmark.records[2])


def test_split_kinds_and_limit_choose_and_what_is_there_instead_is_told(dataset: Path, tmp_path: Path) -> None:
    images = opened(dataset, tmp_path, kinds=("image", "video"), split="train")
    assert {(record.kind, record.split) for record in images.records} == {("image", "train"), ("video", "train")}
    assert len(opened(dataset, tmp_path, limit=1).records) == 1
    copy = tmp_path / "train.jsonl"
    copy.write_text("".join(line for line in (dataset / "instructions.jsonl").open() if '"kind":"clip"' in line))
    with pytest.raises(
        UserError, match=r"no test records of kind video, but \d test of kind clip, .*set split and kinds"
    ):
        opened(copy, tmp_path, dataset)
    with pytest.raises(ValueError, match="ask no question"):
        ScoreSettings(kinds=("caption",))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "nothing does not exist; data are a dataset folder, .* or OWNER/NAME"),
        ("nothing.json", "nothing.json does not exist"),
        ("some/records.json", "records.json does not exist"),
        ("nobody/nothing", "no dataset of that id can be fetched from the Hub"),
        (".", "is not a dataset folder: it has no instructions.jsonl"),
    ],
)
def test_data_that_are_not_there_are_named(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        opened(name, tmp_path)


FROM_HUB = """
import json, sys
from pathlib import Path
from videopath_hf.evaluation.benchmark import find_data
from videopath_hf.evaluation.settings import ScoreSettings

source = find_data(sys.argv[1], ScoreSettings(kinds=("video", "image")))
benchmark = source.open(Path(sys.argv[2]))
sizes = [found.size for record in benchmark.records for found in benchmark.media(record)]
fields = [[record.id, record.question, record.video_id, record.media[0].type] for record in benchmark.records]
print(json.dumps([source.commit, benchmark.hash, sizes, fields]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["parquet", "folder"])
def test_what_was_published_is_evaluated_from_the_hub_pinned_to_its_commit(
    dataset: Path, tmp_path: Path, layout: str
) -> None:
    shutil.copytree(dataset, tmp_path / "data")
    local = opened(dataset, tmp_path, kinds=("video", "image"))
    push = "from videopath_hf.cli.main import main; main()"
    words = ["push", "dataset", tmp_path / "data", "walker/gi", "--licence", "CC BY 4.0", "--layout", layout]
    with serve_hub(tmp_path / "stand_in") as hub:
        environment = {**os.environ, **hub.environment(tmp_path / "home")}
        for code, arguments in ((push, words), (FROM_HUB, ["walker/gi", tmp_path / "brought"])):
            done = subprocess.run(
                [sys.executable, "-c", code, *map(str, arguments)], env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
    commit, found_hash, sizes, fields = json.loads(done.stdout.splitlines()[-1])
    assert len(commit) == 40
    assert found_hash == local.hash
    own = {record.id: record for record in local.records}
    assert sorted(name for name, *_ in fields) == sorted(own)
    for (name, question, video, kind), size in zip(fields, sizes, strict=True):
        record = own[name]
        assert (question, video, kind) == (record.question, record.video_id, record.media[0].type)
        assert size == (dataset / record.media[0].path).stat().st_size
