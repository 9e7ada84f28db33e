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


def test_a_builder_without_a_dataset_folder_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs data_dir="):
        ViDRiPInstruct()
    with pytest.raises(UserError, match=r"has no instructions\.jsonl"):
        ClipPathInstruct(data_dir=tmp_path)
