"""Rows for training, from a folder or from the Hub, and what `datasets` and Croissant read of the published card."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

import videopath_hf
from tests.hub import HubServer, serve_hub
from videopath_hf.data.card import Published, render_card
from videopath_hf.data.census import Census
from videopath_hf.data.croissant import croissant
from videopath_hf.data.folder import read_instructions
from videopath_hf.errors import UserError

PUSH = "from videopath_hf.cli.main import main; main()"
LOAD = """
import json, sys
import videopath_hf
from videopath_hf.modeling.loading import load_model
model, processor = load_model(sys.argv[1])
for source in sys.argv[2:]:
    found = {}
    for split in ("train", "test"):
        for row in videopath_hf.load_instruct(source, split=split):
            found.setdefault(f"{row['kind']} {split}", []).append([row["id"], row["grounding"]])
            if split == "test" and row["kind"] in ("video", "image"):
                inputs = processor.apply_chat_template(
                    row["messages"], tokenize=True, return_dict=True, return_tensors="pt"
                )
                pixels = inputs.get("pixel_values_videos", inputs.get("pixel_values"))
                found.setdefault("pixels", []).append(round(float(pixels.sum()), 3))
    print(json.dumps(found, sort_keys=True))
try:
    next(videopath_hf.load_instruct("walker/nothing"))
except videopath_hf.errors.UserError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> HubServer:
    with serve_hub(tmp_path_factory.mktemp("stand_in")) as server:
        yield server


def run(hub: HubServer, folder: Path, code: str, *arguments: str) -> str:
    environment = {**os.environ, **hub.environment(folder / "home")}
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_folder_and_both_layouts_on_the_hub_give_the_same_rows_to_train_on(
    hub: HubServer, finished_dataset: Path, tmp_path: Path
) -> None:
    from videopath_hf.modeling.tiny import build_tiny

    build_tiny(["The villi are short. Diagnosis: Celiac disease"], tmp_path / "model", seed=0)
    for layout in ("parquet", "folder"):
        options = ["--layout", layout, "--licence", "CC BY 4.0"]
        run(hub, tmp_path, PUSH, "push", "dataset", str(finished_dataset), layout, *options)
    sources = [str(finished_dataset), "walker/parquet", "walker/folder"]
    *found, absent = run(hub, tmp_path, LOAD, str(tmp_path / "model"), *sources).splitlines()
    rows = [json.loads(line) for line in found]
    assert Counter({key: len(ids) for key, ids in rows[0].items()})["clip train"] == 15
    for other in rows[1:]:
        assert {key: sorted(values) for key, values in other.items()} == {
            key: sorted(values) for key, values in rows[0].items()
        }
    assert "'walker/nothing' cannot be opened" in absent


def test_a_folder_gives_rows_with_paths_on_this_machine(finished_dataset: Path) -> None:
    rows = list(videopath_hf.load_instruct(finished_dataset, split="test", kinds=["video"]))
    records = read_instructions(finished_dataset, ["video"], "test")
    assert [row["id"] for row in rows] == [record.id for record in records]
    block = rows[0]["messages"][0]["content"][0]
    assert block == {"type": "video", "path": str(finished_dataset / records[0].media[0].path)}


def test_wrong_kinds_splits_and_empty_choices_are_named(finished_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown kind 'movie'"):
        videopath_hf.load_instruct(finished_dataset, kinds=["movie"])
    with pytest.raises(UserError, match="unknown split 'dev'"):
        videopath_hf.load_instruct(finished_dataset, split="dev")
    (tmp_path / "instructions.jsonl").write_text("")
    with pytest.raises(UserError, match="holds no record of kind clip in split train"):
        next(videopath_hf.load_instruct(tmp_path, kinds=["clip"]))
    with pytest.raises(AttributeError, match="no attribute 'load_nothing'"):
        videopath_hf.load_nothing  # noqa: B018


@pytest.fixture
def census(finished_dataset: Path) -> Census:
    census = Census()
    for split in ("train", "test"):
        for record in read_instructions(finished_dataset, ["video"], split):
            census.add(record.model_copy(update={"licence": "CC BY-NC 4.0", "source": "a|b<script>.mp4"}))
    return census


def test_the_card_escapes_what_it_quotes_and_carries_licence_limits_and_citation(census: Census) -> None:
    splits = {"video": {"train", "test"}, "image": set()}
    info = [{"config_name": "default", "features": []}]
    card = render_card(census, splits, ["a note"], Published("me/d", "parquet", info, 2_000_000, 3))
    header = yaml.safe_load(card.split("---\n")[1])
    assert (header["license"], header["size_categories"]) == ("cc-by-nc-4.0", ["n<1K"])
    assert header["configs"] == [
        {
            "config_name": "default",
            "data_files": [
                {"split": "train", "path": "data/train-*.parquet"},
                {"split": "test", "path": "data/test-*.parquet"},
            ],
        }
    ]
    assert "<script>" not in card
    assert "| a\\|b&lt;script>.mp4 | 14 | CC BY-NC 4.0 |" in card
    assert "| answer | The villi are short and blunted, and the crypts are crowded. " in card
    assert "<br>Diagnosis: Celiac disease |" in card
    assert "| grounding | 4.0 to 6.0 s, said: The villi are short" in card
    assert "ViDRiP-Instruct" in card.split("## What")[0]
    for words in ("3 data files, 2.0 MB", "- A note", "Never advice for care", "2505.04192"):
        assert words in card
    assert 'load_dataset("me/d", "images"' not in card


def test_the_croissant_file_is_valid(census: Census) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed (extra `dev`)")
    described = croissant(
        "me/d",
        "https://huggingface.co/datasets/me/d",
        "Words.",
        ["CC BY 4.0"],
        {"default": "data/*.parquet"},
        ["id"],
        {},
    )
    dataset = mlcroissant.Dataset(jsonld=described)
    assert not dataset.metadata.ctx.issues.errors
    assert [records.id for records in dataset.metadata.record_sets] == ["default"]
    assert described["license"] == ["https://creativecommons.org/licenses/by/4.0/"]
    del described["distribution"]
    with pytest.raises(mlcroissant.ValidationError):
        mlcroissant.Dataset(jsonld=described)
