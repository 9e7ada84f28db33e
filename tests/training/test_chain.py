"""A chain of stages: each from the last one's model, nothing finished done twice, mistakes found before the first."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from videopath_hf.cli.main import app
from videopath_hf.errors import UserError
from videopath_hf.files import read_json
from videopath_hf.modeling.hashes import model_hash
from videopath_hf.training import chain, stages
from videopath_hf.training.chain import run_chain

TINY = Path(__file__).parents[2] / "recipes" / "tiny"
RECIPES = [TINY / f"{name}.yaml" for name in ("stage0_alignment", "stage1_image_sft", "stage3_video_sft")]


@pytest.fixture
def overrides(tiny: Path, data: Path, tmp_path: Path) -> list[str]:
    places = [f"model={tiny}", f"data.path={data}", f"out={tmp_path / 'out'}"]
    return [*places, "optimisation.max_steps=2", "optimisation.batch_size=2", "frames.num_frames=4"]


def test_each_stage_starts_from_what_the_last_one_left_and_a_finished_one_is_not_done_again(
    overrides: list[str], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = stages._train

    def interrupted(job: Any) -> None:
        if job.recipe.stage == 3:
            raise KeyboardInterrupt
        trained(job)

    monkeypatch.setattr(stages, "_train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_chain(RECIPES, overrides)
    monkeypatch.setattr(stages, "_train", trained)
    result = run_chain(RECIPES, overrides)
    assert [stage.finished_before for stage in result.stages] == [True, True, False]
    assert result.model == tmp_path / "out/stage3_video_sft/merged"
    bases = [tiny, *(stage.model for stage in result.stages)]
    for base, stage, recipe in zip(bases, result.stages, RECIPES, strict=False):
        assert stage.out == tmp_path / "out" / recipe.stem
        assert read_json(stage.out / "run.json")["model_hash"] == model_hash(str(base))
    monkeypatch.setattr(stages, "_train", None)
    words = ["train", "all", *map(str, RECIPES), *overrides]
    again = CliRunner().invoke(app, [*words, "--json"])
    assert json.loads(again.stdout)["model"] == str(result.model)
    assert CliRunner().invoke(app, words).stdout.count("(finished before)") == 3


@pytest.mark.parametrize(
    ("recipes", "extra", "message"),
    [
        ([], [], "no recipe to train: name them in order"),
        ([RECIPES[1], RECIPES[1]], [], r"is of stage 1 and follows .* of stage 1: name one recipe a stage"),
        ([RECIPES[1], RECIPES[0]], [], r"is of stage 0 and follows .* of stage 1: name one recipe a stage"),
        ([RECIPES[0], TINY / "absent.yaml"], [], r"absent\.yaml does not exist"),
        (RECIPES, ["data.split=test", "data.kinds=[clip]", "data.path=absent"], "absent is not a dataset folder"),
    ],
)
def test_a_mistake_in_any_recipe_is_found_before_the_first_stage(
    recipes: list[Path],
    extra: list[str],
    message: str,
    overrides: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chain, "run_stage", None)
    with pytest.raises(UserError, match=message):
        run_chain(recipes, [*overrides, *extra])
    assert not (tmp_path / "out").exists()
