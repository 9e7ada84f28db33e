from pathlib import Path

import pytest

from tests.instructions.curated_folder import make_curated
from videopath_hf.data.pipeline import write_instructions
from videopath_hf.instructions.settings import InstructSettings


@pytest.fixture(scope="session")
def finished_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset folder; not to be changed."""
    root = tmp_path_factory.mktemp("dataset")
    make_curated(root / "curated")
    settings = InstructSettings(split_by="clip", test_fraction=0.3, questions_per_clip=3)
    write_instructions(root / "curated", root / "data", settings)
    return root / "data"
