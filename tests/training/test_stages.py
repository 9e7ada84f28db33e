"""Stages: trained, logged, finished once, refused when something else, nothing silent."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.files import read_json
from videopath_hf.modeling.loading import load_model
from videopath_hf.training import checkpoints
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.stages import run_stage

FULL = {"projector": True, "vision_tower": True, "language_model": "full"}
PROJECTOR = {"projector": True, "vision_tower": False, "language_model": "none"}
ALIGNMENT = {"image_aspect_ratio": "square", "patch_merge_type": "flat"}


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def changed_parts(before: Path, after: Path) -> set[str]:
    old, new = load_file(before / "model.safetensors"), load_file(after / "model.safetensors")
    names = [name for name in old if not torch.equal(old[name], new[name])]
    return {part for part in ("vision_tower", "multi_modal_projector", "language_model") for n in names if part in n}


def files_below(folder: Path) -> dict[Path, tuple[int, int]]:
    # Some versions of filelock change the lock file's time when they take it.
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_alignment_changes_the_projector_and_leaves_a_checkpoint_that_loads(
    recipe: Callable[..., Recipe], tiny: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    chosen = recipe(
        stage=0, name="alignment", data={"kinds": ["caption"]}, trainable=PROJECTOR, template="plain", visual=ALIGNMENT
    )
    result = run_stage(chosen)
    model, processor = load_model(result.model)
    assert changed_parts(tiny, result.model) == {"multi_modal_projector"}
    assert model.config.image_aspect_ratio == processor.layout().aspect_ratio == "square"
    assert capfd.readouterr().out == ""
    log = log_of(result.out)
    assert [line["step"] for line in log] == [1, 2]
    assert {"step", "epoch", "loss", "grad_norm", "learning_rate"} <= set(log[0])
    assert (result.first_loss, result.last_loss) == (log[0]["loss"], log[1]["loss"])


def test_a_run_writes_nowhere_but_into_its_folder_and_keeps_no_checkpoint_to_resume_from(
    recipe: Callable[..., Recipe], data: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    before = files_below(data) | files_below(tiny)
    result = run_stage(recipe(data={"kinds": ["image"]}, trainable=FULL))
    assert files_below(data) | files_below(tiny) == before
    assert {path.name for path in tmp_path.iterdir()} == {"elsewhere", "out"}
    assert not any((tmp_path / "elsewhere").iterdir())
    names = {path.name for path in result.out.iterdir()}
    assert {"model.safetensors", "config.json", "log.jsonl", "run.json"} < names
    assert not {"checkpoints", "training_args.bin", ".model"} & names


def test_images_and_clips_are_trained_on_together(recipe: Callable[..., Recipe], tiny: Path) -> None:
    result = run_stage(recipe(data={"kinds": ["image", "clip"]}, trainable=FULL))
    run = read_json(result.out / "run.json")
    assert set(run["pixel_change"]) == {"image", "video"}
    assert result.samples == run["records"] == 18
    assert changed_parts(tiny, result.model) == {"vision_tower", "multi_modal_projector", "language_model"}


def test_adapters_leave_the_base_as_it_was_and_the_merged_model_loads(
    recipe: Callable[..., Recipe], tiny: Path
) -> None:
    before = files_below(tiny)
    result = run_stage(recipe())
    assert files_below(tiny) == before
    assert result.model == result.out / "merged" and result.adapter == result.out / "adapter"
    saved = load_file(result.adapter / "adapter_model.safetensors")
    assert any("lora_A" in name for name in saved) and any("vision_tower" in name for name in saved)
    load_model(result.model)
    assert changed_parts(tiny, result.model) == {"vision_tower", "multi_modal_projector", "language_model"}
    run = read_json(result.out / "run.json")
    assert run["parameters"]["language_model"]["trainable"] == 0 < run["parameters"]["lora"]["trainable"]


def test_a_finished_stage_is_not_done_again(recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = recipe(data={"kinds": ["image"]}, trainable=FULL)
    first = run_stage(chosen)
    before = files_below(first.out)
    monkeypatch.setattr("videopath_hf.training.stages._train", None)
    again = run_stage(chosen)
    assert again == first.model_copy(update={"finished_before": True})
    assert files_below(first.out) == before


def test_a_folder_of_another_recipe_is_refused_with_every_key_that_is_another(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    from tests.training.synthetic import write_dataset

    base: dict[str, Any] = {"data": {"kinds": ["image"]}, "trainable": FULL}
    result = run_stage(recipe(**base))
    before = files_below(result.out)
    changed = {**base, "optimisation": {"learning_rate": 2e-3}, "frames": {"num_frames": 3}}
    both = r"frames\.num_frames was 4 and is 3; optimisation\.learning_rate was 0\.001 and is 0\.002"
    with pytest.raises(UserError, match=rf"out was begun with other settings: {both}; put them back"):
        run_stage(recipe(**changed))
    other = write_dataset(tmp_path / "other", clips=2, held_out=0, seed=5)
    with pytest.raises(UserError, match="begun with other settings: its data have changed"):
        run_stage(recipe(**{**base, "data": {"kinds": ["image"], "path": other}}))
    with pytest.raises(UserError, match="the content of the model it starts from has changed"):
        run_stage(recipe(**base, model=str(result.out)))
    assert files_below(result.out) == before


def test_the_same_seed_gives_the_same_weights_and_another_seed_another_order(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    def losses(name: str, seed: int) -> list[float]:
        out = tmp_path / name
        plan = {"seed": seed, "max_steps": 3}
        run_stage(recipe(data={"kinds": ["image"]}, trainable=FULL, out=out, optimisation=plan))
        return [line["loss"] for line in log_of(out)]

    assert losses("a", 1) == losses("b", 1) != losses("c", 2)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("a", "b"))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("parts", [PROJECTOR, FULL, {**FULL, "language_model": "lora"}], ids=["0", "1", "3"])
def test_recomputed_activations_give_the_same_losses_and_gradients(
    parts: dict[str, Any], recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    logs = []
    for recompute in (False, True):
        out = tmp_path / str(recompute)
        plan = {"gradient_checkpointing": recompute, "warmup_ratio": 0.0}
        run_stage(recipe(trainable=parts, lora={"dropout": 0.0}, out=out, optimisation=plan))
        logs.append(log_of(out))
    for kept, recomputed in zip(*logs, strict=True):
        for key in ("loss", "grad_norm"):
            assert recomputed[key] == pytest.approx(kept[key], rel=1e-5)


def test_samples_over_the_length_are_left_out_whole_and_named(recipe: Callable[..., Recipe]) -> None:
    chosen = {"kinds": ["clip", "image"], "max_dropped": 0.7}
    result = run_stage(recipe(data=chosen, trainable=FULL, max_length=220))
    run = read_json(result.out / "run.json")
    assert {sample["id"].split("-")[1] for sample in run["dropped"]} == {"image"}
    assert all("are more than max_length = 220" in sample["reason"] for sample in run["dropped"])
    assert (result.samples, result.dropped) == (6, 12)
    assert run["tokens"]["longest"] <= 220


def test_too_many_samples_left_out_stop_the_run_before_its_first_step(recipe: Callable[..., Recipe]) -> None:
    chosen = recipe(data={"kinds": ["clip", "image"]}, trainable=FULL, max_length=220)
    with pytest.raises(TooManyRejectsError, match=r"12 of 18 samples .* allows 0\.05 .*-image-0: \d+ tokens are more"):
        run_stage(chosen)
    assert not (chosen.out / "run.json").exists()


def test_a_broken_clip_is_named_and_left_out_up_to_the_threshold(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    from tests.training.synthetic import write_dataset

    root = write_dataset(tmp_path / "broken", clips=6, held_out=0)
    clip = root / "videos/train/lecture_c00002.mp4"
    clip.write_bytes(clip.read_bytes()[:400])
    with pytest.raises(TooManyRejectsError, match=r"1 of 6 samples .*lecture_c00002-video-0: .*lecture_c00002\.mp4"):
        run_stage(recipe(data={"path": root}))
    result = run_stage(recipe(data={"path": root, "max_dropped": 0.2}, trainable=FULL, out=tmp_path / "kept"))
    (dropped,) = read_json(result.out / "run.json")["dropped"]
    assert dropped["id"] == "lecture_c00002-video-0" and "lecture_c00002.mp4 cannot be read" in dropped["reason"]


def test_a_share_of_the_data_is_part_of_every_larger_share(recipe: Callable[..., Recipe], data: Path) -> None:
    from videopath_hf.training.samples import choose_records

    def chosen(fraction: float) -> list[str]:
        found = choose_records(recipe(data={"kinds": ["image"], "fraction": fraction}), data)
        return [record.id for record in found]

    assert len(chosen(0.25)) == 3 and len(chosen(0.5)) == 6 and len(chosen(1)) == 12
    assert set(chosen(0.25)) < set(chosen(0.5)) < set(chosen(1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "absent"}, "absent"),
        ({"data": {"path": "absent"}}, "absent is not a dataset folder"),
        ({"data": {"kinds": ["image"], "split": "test", "fraction": 1e-9}, "max_length": 8}, "8"),
        ({"visual": {"image_grid_pinpoints": "(100, 3)"}}, "image_grid_pinpoints"),
    ],
)
def test_a_mistake_ends_in_one_sentence(change: dict[str, Any], message: str, recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(UserError, match=message) as caught:
        run_stage(recipe(**change))
    assert "\n" not in str(caught.value)


def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for step in (2, 4):
        folder = checkpoints.partial_folder(tmp_path) / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(bytes(step))
        checkpoints.seal(tmp_path, step)
    newest = checkpoints.last_good(tmp_path)
    assert newest is not None and checkpoints.step_of(newest) == 4
    assert checkpoints.last_good(tmp_path, below=4) == newest.with_name("checkpoint-2")
    assert checkpoints.last_good(tmp_path, below=2) is None
    (newest / "model.safetensors").write_bytes(b"torn")
    older = checkpoints.last_good(tmp_path)
    assert older is not None and checkpoints.step_of(older) == 2
    assert "model.safetensors has changed" in " ".join(capsys.readouterr().err.split())
    (older / "model.safetensors").unlink()
    assert checkpoints.last_good(tmp_path) is None


def test_the_newest_two_checkpoints_are_kept(tmp_path: Path) -> None:
    for step in (9, 10, 11):
        (checkpoints.partial_folder(tmp_path) / f"checkpoint-{step}").mkdir(parents=True)
        checkpoints.seal(tmp_path, step)
    assert {path.name for path in tmp_path.glob("checkpoint-*")} == {"checkpoint-10", "checkpoint-11"}
