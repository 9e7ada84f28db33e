"""The trainer: pixels arrive, rates are per part, a loss that is not finite stops the run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from videopath_hf.data.folder import read_instructions
from videopath_hf.errors import UserError
from videopath_hf.modeling.loading import load_model
from videopath_hf.training.build import make_collator, make_config, make_trainer
from videopath_hf.training.collator import SAMPLE_IDS
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.samples import Survey
from videopath_hf.training.trainer import VideoPathSFTTrainer

FULL = {"projector": True, "vision_tower": True, "language_model": "full"}


@pytest.fixture
def make(tiny: Path, data: Path, tmp_path: Path, recipe: Callable[..., Recipe]) -> Callable[..., VideoPathSFTTrainer]:
    def build(kinds: tuple[str, ...] = ("video",), change: Callable[[Any], None] | None = None, **changes: Any) -> Any:
        chosen = recipe(data={"kinds": kinds}, **changes)
        model, processor = load_model(tiny)
        if change is not None:
            change(model)
        records = read_instructions(data, kinds, "train")
        survey = Survey(lengths={record.id: 0 for record in records})
        config, collator = make_config(chosen, tmp_path / "out"), make_collator(processor, chosen, data)
        return make_trainer(model, chosen, config, records, survey, collator, tmp_path / "out")

    return build


def loss_of(trainer: VideoPathSFTTrainer, row: dict[str, Any]) -> float:
    batch = trainer._prepare_inputs(trainer.data_collator([row]))
    trainer.model.eval()
    with torch.no_grad():
        return float(trainer.compute_loss(trainer.model, batch))


@pytest.mark.parametrize("language_model", ["full", "lora"])
def test_the_same_text_about_two_videos_has_two_losses(
    language_model: str, make: Callable[..., VideoPathSFTTrainer]
) -> None:
    trainer = make(trainable={**FULL, "language_model": language_model})
    one, other = trainer.train_dataset[0], trainer.train_dataset[1]
    path, other_path = (f'"path":"videos/train/lecture_c{index:05d}.mp4"' for index in (0, 1))
    assert path in one["record"] and other_path in other["record"]
    swapped = {**one, "record": one["record"].replace(path, other_path)}
    assert loss_of(trainer, one) == loss_of(trainer, one) != loss_of(trainer, swapped)


def test_before_training_the_pixels_of_every_modality_are_shown_to_matter(
    make: Callable[..., VideoPathSFTTrainer],
) -> None:
    changes = make(("image", "clip")).check_pixels()
    assert set(changes) == {"image", "video"}
    assert all(change > 1e-5 for change in changes.values())


def test_a_model_that_does_not_see_its_pixels_is_not_trained(make: Callable[..., VideoPathSFTTrainer]) -> None:
    def blind(model: Any) -> None:
        torch.nn.init.zeros_(model.model.multi_modal_projector.linear_2.weight)

    trainer = make(change=blind)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    with pytest.raises(UserError, match="pixels do not reach the model: the loss of samples lecture_c00000-video-0"):
        trainer.train()
    assert all(torch.equal(before[name], value) for name, value in trainer.model.state_dict().items())


def test_the_vision_tower_has_a_learning_rate_of_its_own(make: Callable[..., VideoPathSFTTrainer]) -> None:
    plan = {"learning_rate": 1e-3, "vision_learning_rate": 1e-4, "weight_decay": 0.1}
    trainer = make(trainable=FULL, optimisation=plan)
    trainer.create_optimizer()
    names = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
    seen = []
    for group in trainer.optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            seen.append(name)
            assert group["lr"] == (1e-4 if ".vision_tower." in name else 1e-3), name
            kept = name.endswith("bias") or (".vision_tower." in name and "norm" in name)
            assert group["weight_decay"] == (0 if kept else 0.1), name
    assert sorted(seen) == sorted(names.values())


def test_a_loss_that_is_not_finite_stops_the_run_and_names_its_samples(
    make: Callable[..., VideoPathSFTTrainer],
) -> None:
    trainer = make(trainable=FULL)
    batch = trainer.data_collator([trainer.train_dataset[0]])
    with torch.no_grad():
        trainer.model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="the loss of step 1 is nan on samples lecture_c00000-video-0"):
        trainer.compute_loss(trainer.model, batch)
    assert batch[SAMPLE_IDS] == ["lecture_c00000-video-0"]


def test_training_is_in_float32_and_reports_to_nobody_on_a_cpu(make: Callable[..., VideoPathSFTTrainer]) -> None:
    trainer = make()
    assert trainer.args.bf16 is torch.cuda.is_available()
    assert trainer.args.report_to == []
    assert {parameter.dtype for parameter in trainer.model.parameters()} == {torch.float32}
