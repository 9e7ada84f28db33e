import json
import zipfile
from pathlib import Path

import pytest
from datasets import Video

from dataset_scripts.clippath_instruct import ClipPathInstruct
from dataset_scripts.vidrip_instruct import ViDRiPInstruct
from videopath_hf.data.builder import InstructBuilder
from videopath_hf.data.folder import read_instructions
from videopath_hf.errors import UserError


@pytest.mark.parametrize(
    ("builder_class", "kind", "train", "test"), [(ViDRiPInstruct, "video", 12, 2), (ClipPathInstruct, "clip", 15, 2)]
)
def test_a_builder_gives_the_records_of_its_kind(
    finished_dataset: Path, tmp_path: Path, builder_class: type[InstructBuilder], kind: str, train: int, test: int
) -> None:
    builder = builder_class(data_dir=str(finished_dataset), cache_dir=str(tmp_path))
    builder.download_and_prepare()
    splits = builder.as_dataset()
    assert {name: len(split) for name, split in splits.items()} == {"train": train, "test": test}
    rows = builder.as_dataset(split="test").cast_column("video", Video(decode=False))
    records = {record.id: record for record in read_instructions(finished_dataset, [kind], "test")}
    for row in rows:
        record = records.pop(row["id"])
        assert (row["answer"], row["messages"], row["kind"]) == (record.answer, record.messages, kind)
        assert Path(row["video"]["path"]) == (finished_dataset / record.media[0].path).resolve()
    assert not records


def test_a_changed_folder_is_not_served_from_the_old_cache(finished_dataset: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(finished_dataset, tmp_path / "data")
    first = ViDRiPInstruct(data_dir=tmp_path / "data", cache_dir=str(tmp_path / "cache"))
    first.download_and_prepare()
    path = tmp_path / "data" / "instructions.jsonl"
    path.write_text(path.read_text().replace("Melanosis coli", "Pseudomelanosis coli"))
    second = ViDRiPInstruct(data_dir=tmp_path / "data", cache_dir=str(tmp_path / "cache"))
    second.download_and_prepare()
    assert "Pseudomelanosis coli" in second.as_dataset(split="train")["diagnosis"]
    assert "Pseudomelanosis coli" not in first.as_dataset(split="train")["diagnosis"]


@pytest.fixture
def release(finished_dataset: Path, tmp_path: Path) -> Path:
    """What the authors release, in small: records of the training and a zip file with their videos."""
    record = next(iter(read_instructions(finished_dataset, ["video"], "train")))
    turns = [
        {"from": "human", "value": "<image>\nBest?"},
        {"from": "gpt", "value": "Flat.\nDiagnosis: celiac disease"},
    ]
    described = [*turns[:1], {"from": "gpt", "value": "Flat."}]
    entries = [
        {"id": str(number), "video": f"videos/{number}.mp4", "conversations": turns if number < 3 else described}
        for number in range(4)
    ]
    (tmp_path / "train.json").write_text(json.dumps(entries))
    with zipfile.ZipFile(tmp_path / "videos.zip", "w") as archive:
        for number in range(4):
            archive.write(finished_dataset / record.media[0].path, f"Release/videos/{number}.mp4")
        archive.writestr("Release/videos/empty.mp4", b"")
    return tmp_path


def test_a_builder_reads_the_authors_files_with_the_videos_in_their_zip(
    release: Path, finished_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"data_dir": release / "train.json", "media": [release / "videos.zip"]}
    builder = ViDRiPInstruct(**given, cache_dir=str(release / "cache"))
    builder.download_and_prepare()
    assert "1 records of other kinds than video are left out" in capsys.readouterr().err
    rows = builder.as_dataset(split="train").cast_column("video", Video(decode=False))
    assert [(row["id"], row["diagnosis"]) for row in rows] == [(str(number), "celiac disease") for number in range(3)]
    with zipfile.ZipFile(release / "videos.zip") as archive:
        assert rows[2]["video"]["bytes"] == archive.read("Release/videos/2.mp4")
    assert not list(release.glob("cache/**/*.mp4"))
    clips = ClipPathInstruct(**given, cache_dir=str(release / "cache"))
    clips.download_and_prepare()
    assert clips.as_dataset(split="train")["answer"][:] == ["Flat."]


def test_what_a_builder_cannot_read_is_named(release: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs data_dir="):
        ViDRiPInstruct()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"has no instructions\.jsonl"):
        ClipPathInstruct(data_dir=tmp_path / "empty")
    for change, sentence in (
        ({"id": "0"}, "item 2 makes no record: id '0' stands in the file twice"),
        ({"video": "videos/9.mp4"}, r"clip videos/9\.mp4 of record 1 is missing"),
        ({"video": "../secret.mp4"}, "leads out of"),
        ({"video": "videos/empty.mp4"}, r"clip videos/empty\.mp4 of record 1 is empty"),
    ):
        entries = json.loads((release / "train.json").read_text())
        entries[1].update(change)
        (tmp_path / "bad.json").write_text(json.dumps(entries))
        builder = ViDRiPInstruct(
            data_dir=tmp_path / "bad.json", media=[release / "videos.zip"], cache_dir=str(tmp_path / "cache")
        )
        with pytest.raises(UserError, match=sentence):
            builder.download_and_prepare()
