"""Recipes: what they say, what they refuse, and the ones that ship."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from videopath_hf.errors import UserError
from videopath_hf.settings import load_settings
from videopath_hf.training.recipe import LANGUAGE_MODEL_LINEARS, Recipe

RECIPES = Path(__file__).parents[2] / "recipes"
STAGES = ("stage0_alignment", "stage1_image_sft", "stage2_hybrid_sft", "stage3_video_sft")
PAPER = {
    # trainable parts, learning rate, its vision tower's, longest sample, samples a step on the authors' GPUs
    "stage0_alignment": ((True, False, "none"), 1e-3, None, 8192, 32),
    "stage1_image_sft": ((True, True, "full"), 1e-5, 2e-6, 32768, 8),
    "stage2_hybrid_sft": ((True, True, "full"), 1e-5, 2e-6, 32768, 32),
    "stage3_video_sft": ((True, True, "lora"), 1e-5, 2e-6, 32768, 32),
}
GPUS = 8


@pytest.mark.parametrize("name", STAGES)
def test_the_paper_recipes_hold_the_published_hyper_parameters(name: str) -> None:
    recipe = load_settings(Recipe, RECIPES / f"{name}.yaml")
    parts, rate, vision_rate, max_length, samples = PAPER[name]
    plan = recipe.optimisation
    assert (recipe.trainable.projector, recipe.trainable.vision_tower, recipe.trainable.language_model) == parts
    assert (plan.learning_rate, plan.vision_learning_rate) == (rate, vision_rate)
    assert recipe.max_length == max_length
    assert plan.batch_size * plan.passes(GPUS) * GPUS == plan.global_batch == samples
    assert (plan.epochs, plan.max_steps, plan.warmup_ratio, plan.scheduler) == (1, None, 0.03, "cosine")
    assert (plan.weight_decay, plan.max_grad_norm) == (0, 1)
    assert plan.drop_last == (recipe.stage != 0)
    assert (recipe.lora.r, recipe.lora.alpha, recipe.lora.dropout) == (128, 256, 0.05)
    assert (recipe.frames.num_frames, recipe.frames.strategy, recipe.frames.video_fps) == (32, "fps", 1)
    assert recipe.visual.video_newline_position == "grid"
    assert recipe.template == ("plain" if recipe.stage == 0 else "chat")


def test_the_tiny_recipes_put_one_newline_token_into_videos() -> None:
    for name in STAGES[1:]:
        recipe = load_settings(Recipe, RECIPES / "tiny" / f"{name}.yaml")
        assert recipe.visual.video_newline_position == "one_token"


def test_a_recipe_without_its_places_says_in_one_sentence_what_to_add() -> None:
    recipe = load_settings(Recipe, RECIPES / "stage1_image_sft.yaml", ["data.path=data"])
    with pytest.raises(UserError, match=r"stage 1 \(image_sft\) does not say model, out: add model=... out=... to"):
        recipe.places()


def test_an_unknown_key_is_named_with_the_nearest_one_that_exists() -> None:
    with pytest.raises(UserError, match=r"unknown key 'optimisation\.learning_rat'; did you mean 'learning_rate'\?"):
        load_settings(Recipe, RECIPES / "stage1_image_sft.yaml", ["optimisation.learning_rat=1"])


def test_a_value_out_of_range_is_named_with_what_was_given() -> None:
    with pytest.raises(UserError, match=r"data\.fraction = 2: .* less than or equal to 1"):
        load_settings(Recipe, RECIPES / "stage1_image_sft.yaml", ["data.fraction=2"])


def test_the_hash_of_a_recipe_is_of_its_settings_and_not_of_its_places() -> None:
    path = RECIPES / "stage3_video_sft.yaml"
    one = load_settings(Recipe, path, ["model=a", "data.path=b", "out=c"])
    assert one.settings_hash() == load_settings(Recipe, path, ["model=x", "out=z"]).settings_hash()
    assert one.settings_hash() == load_settings(Recipe, path, ["optimisation.workers=0"]).settings_hash()
    assert one.settings_hash() != load_settings(Recipe, path, ["lora.r=8"]).settings_hash()


@pytest.mark.parametrize(
    ("name", "hit"),
    [
        ("model.language_model.layers.27.self_attn.q_proj", True),
        ("model.language_model.layers.0.mlp.down_proj", True),
        ("model.vision_tower.encoder.layers.0.self_attn.q_proj", False),
        ("model.multi_modal_projector.linear_1", False),
        ("lm_head", False),
    ],
)
def test_adapters_go_into_the_decoder_only(name: str, hit: bool) -> None:
    assert bool(re.fullmatch(LANGUAGE_MODEL_LINEARS, name)) is hit


def test_reading_a_recipe_loads_no_heavy_library() -> None:
    code = (
        "import sys, videopath_hf.training.recipe; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
