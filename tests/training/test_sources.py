"""A recipe's data may be a file of records or a mixture of files, not only a dataset folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from videopath_hf.data.convert import convert
from videopath_hf.data.formats.registry import format_named
from videopath_hf.data.sources import open_source
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.samples import choose_records, media_root
from videopath_hf.training.stages import run_stage


@pytest.fixture
def mixture(data: Path, tmp_path: Path) -> Path:
    """The clips of the data as LLaVA JSON, and half of its captions, in one mixture beside them."""
    convert(open_source(data), tmp_path / "all.json", format_named("llava"))
    entries = json.loads((tmp_path / "all.json").read_text())
    for kind in ("video", "caption"):
        chosen = [entry for entry in entries if entry["videopath"]["kind"] == kind]
        (tmp_path / f"{kind}.json").write_text(json.dumps(chosen))
    lines = ["{json_path: video.json}", "{json_path: caption.json, sampling_strategy: 'first:50%'}"]
    (tmp_path / "mix.yaml").write_text("datasets:\n" + "".join(f"  - {line}\n" for line in lines))
    return tmp_path / "mix.yaml"


def test_a_stage_trains_on_a_mixture(recipe: Callable[..., Recipe], mixture: Path, data: Path) -> None:
    chosen = recipe(data={"path": mixture, "media": data, "kinds": ["video", "caption"]})
    result = run_stage(chosen)
    assert (result.samples, result.dropped) == (6 + 8, 0)
    assert result.last_loss > 0


def test_records_are_chosen_by_kind_and_split_from_a_file_too(
    recipe: Callable[..., Recipe], mixture: Path, data: Path
) -> None:
    chosen = recipe(data={"path": mixture, "media": data, "kinds": ["video"], "split": "test"})
    records = choose_records(chosen, mixture)
    assert [(record.kind, record.split) for record in records] == [("video", "test")] * 2
    assert media_root(chosen, mixture) == data


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"media": None}, UserError, "media files are missing or empty"),
        ({"kinds": ["image"]}, UserError, "holds no record of kind image"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_before_training(
    change: dict[str, Any],
    error: type[Exception],
    message: str,
    recipe: Callable[..., Recipe],
    mixture: Path,
    data: Path,
) -> None:
    chosen = recipe(data={"path": mixture, "media": data, **change})
    with pytest.raises(error, match=message):
        choose_records(chosen, mixture)


def test_entries_that_make_no_record_are_bounded_and_counted(
    recipe: Callable[..., Recipe], mixture: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = mixture.with_name("video.json")
    entries = json.loads(path.read_text())
    path.write_text(json.dumps([*entries, {"id": "bad"}]))
    with pytest.raises(TooManyRejectsError, match="1 of 9 entries make no record"):
        choose_records(recipe(data={"path": path, "media": data}), path)
    assert len(choose_records(recipe(data={"path": path, "media": data, "max_dropped": 0.2}), path)) == 6
    assert "1 entries of" in capsys.readouterr().err


def test_a_zip_is_not_trained_on(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"x")
    with pytest.raises(UserError, match="videopath data convert"):
        choose_records(recipe(data={"path": tmp_path / "x.zip"}), tmp_path / "x.zip")
