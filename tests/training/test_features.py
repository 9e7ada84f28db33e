"""Vision features computed once: the same losses as from pixels, never for a tower that learns, whole after a kill."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from videopath_hf.data.folder import read_instructions
from videopath_hf.errors import UserError
from videopath_hf.modeling.loading import load_model
from videopath_hf.settings import load_settings
from videopath_hf.training import features
from videopath_hf.training.build import make_collator, make_config
from videopath_hf.training.feature_store import FeatureStore
from videopath_hf.training.features import FeatureCollator, store_features, tower_identity
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.samples import survey_samples
from videopath_hf.training.stages import run_stage

FROZEN = {"projector": True, "vision_tower": False, "language_model": "full"}
ALIGNMENT = {"image_aspect_ratio": "square", "patch_merge_type": "flat"}
Make = Callable[..., Recipe]


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


def stored(recipe: Recipe, folder: Path) -> tuple[Any, FeatureCollator, list[Any]]:
    """The model, the collator that reads features, and the records they were computed for."""
    model, processor = load_model(recipe.places()[0])
    root = recipe.places()[1]
    records = read_instructions(root, recipe.data.kinds, "train")
    config = make_config(recipe, folder / "unused")
    collator = make_collator(processor, recipe, root)
    survey = survey_samples(records, collator, workers=0)
    return model, store_features(model, collator, records, survey, folder, config), records


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"kinds": ["image", "clip"]}, "trainable": FROZEN},
        {
            "data": {"kinds": ["video"]},
            "trainable": {**FROZEN, "language_model": "lora"},
            "frames": {"time_sentence": True},
            "label_mask": "reference",
        },
        {
            "data": {"kinds": ["caption"]},
            "trainable": {**FROZEN, "language_model": "none"},
            "template": "plain",
            "visual": ALIGNMENT,
        },
    ],
    ids=["stills of several tiles and clips", "adapters", "alignment"],
)
def test_losses_from_features_are_those_from_pixels(recipe: Make, tmp_path: Path, change: dict[str, Any]) -> None:
    plan = {"optimisation": {"max_steps": 4, "batch_size": 3}}
    seen = run_stage(recipe(**change, **plan, out=tmp_path / "pixels"))
    kept = run_stage(recipe(**change, **plan, out=tmp_path / "features", cache_features=tmp_path / "store"))
    assert list((tmp_path / "store").glob("features-*.safetensors"))
    assert losses(kept.out) == pytest.approx(losses(seen.out), abs=1e-5, rel=0)
    before, after = load_model(seen.model)[0].state_dict(), load_model(kept.model)[0].state_dict()
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight, atol=1e-4, rtol=1e-4)


def test_the_tower_is_not_run_and_no_medium_decoded_once_all_features_are_there(
    recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = {"data": {"kinds": ["image", "clip"]}, "trainable": FROZEN, "cache_features": tmp_path / "store"}
    run_stage(recipe(**change, out=tmp_path / "first"))
    shards = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()}

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("pixels were wanted")

    monkeypatch.setattr("videopath_hf.training.collator.read_image", never)
    monkeypatch.setattr("videopath_hf.training.collator.read_clip", never)
    monkeypatch.setattr("videopath_hf.modeling.modeling_videopath_llava.VideoPathLlavaModel.tower_features", never)
    again = run_stage(recipe(**change, out=tmp_path / "second", optimisation={"seed": 1}))
    assert again.samples == 18
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()} == shards


def test_a_tower_that_learns_and_kept_features_are_an_error_in_one_sentence(recipe: Make, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="vision_tower"):
        recipe(cache_features=tmp_path)
    path = Path(__file__).parents[2] / "recipes" / "stage1_image_sft.yaml"
    with pytest.raises(UserError, match=r"cache_features.*trainable.vision_tower=false") as caught:
        load_settings(Recipe, path, [f"cache_features={tmp_path}"])
    assert "\n" not in str(caught.value)


def test_features_have_another_key_for_other_weights_frames_pixels_layers_and_media(
    recipe: Make, tmp_path: Path
) -> None:
    chosen = recipe(trainable=FROZEN)
    model, processor = load_model(chosen.places()[0])
    root = chosen.places()[1]
    records = read_instructions(root, ["video", "clip", "image"], "train")
    store = FeatureStore(tmp_path)

    def key(chosen: Recipe, index: int = 0) -> str | None:
        collator = make_collator(processor, chosen, root)
        return FeatureCollator(collator, store, tower_identity(model, torch.float32)).key(records[index])

    first = key(chosen)
    by_clip = {record.media[0].path: key(chosen, index) for index, record in enumerate(records)}
    assert len(set(by_clip.values())) == len(by_clip)
    others = [key(chosen.model_copy(update={"frames": chosen.frames.model_copy(update={"num_frames": 3})}))]
    processor.video_processor.image_mean = [0.4, 0.5, 0.5]
    others.append(key(chosen))
    processor.video_processor.image_mean = [0.5, 0.5, 0.5]
    model.config.vision_feature_layer = -2
    others.append(key(chosen))
    model.config.vision_feature_layer = -1
    assert key(chosen) == first
    next(model.model.vision_tower.parameters()).data[0] += 1e-3
    others.append(key(chosen))
    assert len({first, *others}) == 5


def test_records_of_one_medium_share_its_features(recipe: Make, tmp_path: Path) -> None:
    _, collator, records = stored(recipe(data={"kinds": ["clip", "video"]}, trainable=FROZEN), tmp_path / "store")
    assert len(records) == 12 and len(collator.store) == 6


def test_a_batch_with_a_record_that_has_no_features_is_made_of_pixels_as_a_whole(recipe: Make, tmp_path: Path) -> None:
    chosen = recipe(trainable=FROZEN)
    model, collator, records = stored(chosen, tmp_path / "store")
    unseen = read_instructions(chosen.places()[1], ["video"], "test")
    kept, mixed = collator.collate(records[:2]), collator.collate([records[0], unseen[0]])
    assert kept["pixel_values_videos"].shape[2] == 1
    assert mixed["pixel_values_videos"].shape[2] == 3
    pixels = collator.pixels.collate(records[:2])
    with torch.no_grad():
        for batch in (kept, mixed, pixels):
            batch.pop("sample_ids")
        assert model(**kept).loss.item() == pytest.approx(model(**pixels).loss.item(), abs=1e-5)
        assert torch.isfinite(model(**mixed).loss)


def test_shards_are_small_whatever_the_data_and_read_by_other_processes(
    recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "SHARD_BYTES", 100_000)
    _, collator, records = stored(recipe(data={"kinds": ["image", "clip"]}, trainable=FROZEN), tmp_path / "store")
    shards = sorted((tmp_path / "store").iterdir())
    assert len(shards) > 2 and len(collator.store) == len(records) == 18
    copy = pickle.loads(pickle.dumps(collator))
    for record in records:
        for name, value in collator.encode(record).items():
            assert torch.equal(copy.encode(record)[name], value)


def test_a_clip_that_does_not_decode_is_quarantined_and_named_as_without_features(
    recipe: Make, data: Path, tmp_path: Path
) -> None:
    import shutil

    root = tmp_path / "data"
    shutil.copytree(data, root)
    victim = next(iter(sorted((root / "videos" / "train").glob("*.mp4"))))
    victim.write_bytes(victim.read_bytes()[:-400])  # its header is whole: only decoding finds out
    chosen = recipe(
        data={"path": root, "max_dropped": 0.5},
        trainable=FROZEN,
        cache_features=tmp_path / "store",
        optimisation={"max_steps": 3},
    )
    result = run_stage(chosen)
    assert (result.samples, result.quarantined) == (6, 1)
    assert len(FeatureStore(tmp_path / "store")) == 5
    assert victim.name in (result.out / "run.json").read_text()


def test_a_damaged_shard_is_named(recipe: Make, tmp_path: Path) -> None:
    chosen = recipe(trainable=FROZEN, cache_features=tmp_path / "store")
    run_stage(chosen)
    shard = next((tmp_path / "store").iterdir())
    shard.write_bytes(shard.read_bytes()[:40])
    with pytest.raises(UserError, match=rf"{shard.name} cannot be read.*delete it") as caught:
        run_stage(chosen.model_copy(update={"out": tmp_path / "again"}))
    assert "\n" not in str(caught.value)


KILLED = """
import sys
from pathlib import Path
from videopath_hf.files import read_json
from videopath_hf.training import features
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.samples import survey_samples
from videopath_hf.training.stages import run_stage

features.SHARD_BYTES = 1
run_stage(Recipe.model_validate_json(Path(sys.argv[1]).read_text()))
"""


def test_what_was_computed_before_a_kill_is_not_computed_again(recipe: Make, tmp_path: Path) -> None:
    chosen = recipe(trainable=FROZEN, cache_features=tmp_path / "store")
    (tmp_path / "recipe.json").write_text(chosen.model_dump_json())
    (tmp_path / "run.py").write_text(KILLED)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "recipe.json")],
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
    )
    end = time.monotonic() + 120
    while not list((tmp_path / "store").glob("features-*.safetensors")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "store").glob("features-*")}
    result = run_stage(chosen)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "store").glob("features-*")}
    assert before.items() <= after.items()
    assert len(FeatureStore(tmp_path / "store")) == result.samples == 6
    assert sum(name.startswith("features-") for name in after) <= 6
