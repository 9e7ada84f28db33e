"""A model that two stages have made, as folders that somebody may publish."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.hub import HubServer
from tests.hub.fixture import client_of_a_hub
from tests.instructions.curated_folder import make_curated
from videopath_hf.data.folder import read_instructions
from videopath_hf.data.pipeline import write_instructions
from videopath_hf.evaluation.runner import evaluate_model
from videopath_hf.evaluation.settings import EvaluateSettings
from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.modeling.tiny import build_tiny
from videopath_hf.training.chain import run_chain

RECIPES = Path(__file__).parents[2] / "recipes" / "tiny"
LICENCE = "CC BY-NC 4.0"


class Trained(NamedTuple):
    """Folders: the random model that training started from, the data, both stages, and the results."""

    base: Path
    data: Path
    stage1: Path
    stage3: Path
    scores: Path

    @property
    def merged(self) -> Path:
        return self.stage3 / "merged"

    @property
    def adapter(self) -> Path:
        return self.stage3 / "adapter"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Stages 1 and 3 of two steps each, and an evaluation; the model is one that llava_onevision can express."""
    root = tmp_path_factory.mktemp("trained")
    make_curated(root / "curated")
    write_instructions(root / "curated", root / "data", InstructSettings(split_by="clip"))
    records = root / "data" / "instructions.jsonl"
    records.write_text(records.read_text().replace("unknown: not to be published", LICENCE))
    texts = [record.question + record.answer for record in read_instructions(root / "data", ["video"], "train")]
    build_tiny(texts, root / "tiny", seed=0)
    recipes = [RECIPES / "stage1_image_sft.yaml", RECIPES / "stage3_video_sft.yaml"]
    places = [f"model={root / 'tiny'}", f"data.path={root / 'data'}", f"out={root / 'stages'}"]
    stock = ["visual.image_aspect_ratio=anyres_max_9", "visual.video_newline_position=one_token"]
    run_chain(recipes, [*places, *stock, "optimisation.max_steps=2"])
    merged = root / "stages" / "stage3_video_sft" / "merged"
    evaluate_model(str(merged), root / "data", root / "scores", EvaluateSettings(max_new_tokens=4, blind=True))
    stages = root / "stages"
    return Trained(
        root / "tiny", root / "data", stages / "stage1_image_sft", stages / "stage3_video_sft", root / "scores"
    )


@pytest.fixture
def mine(trained: Trained, tmp_path: Path) -> Trained:
    """The same in a folder of the test's own, which it may change."""
    shutil.copytree(trained.base.parent, tmp_path / "mine")
    moved = [tmp_path / "mine" / path.relative_to(trained.base.parent) for path in trained]
    return Trained(*moved)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with client_of_a_hub(tmp_path, monkeypatch) as server:
        yield server
