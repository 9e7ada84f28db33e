from pathlib import Path

from videopath_hf.data.convert import convert
from videopath_hf.data.formats.registry import format_named
from videopath_hf.data.sources import open_source


def test_a_dataset_folder_converts_to_itself_and_to_llava_and_back(finished_dataset: Path, tmp_path: Path) -> None:
    convert(open_source(finished_dataset), tmp_path / "copy", format_named("videopath"))
    assert (tmp_path / "copy/instructions.jsonl").read_bytes() == (
        finished_dataset / "instructions.jsonl"
    ).read_bytes()
    convert(open_source(finished_dataset), tmp_path / "llava.json", format_named("llava"))
    back = open_source(tmp_path / "llava.json", media=[finished_dataset])
    convert(back, tmp_path / "back", format_named("videopath"))
    assert (tmp_path / "back/instructions.jsonl").read_bytes() == (
        finished_dataset / "instructions.jsonl"
    ).read_bytes()
