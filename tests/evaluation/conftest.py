from pathlib import Path

import pytest

from tests.instructions.curated_folder import make_curated
from videopath_hf.data.folder import read_instructions
from videopath_hf.data.pipeline import write_instructions
from videopath_hf.instructions.settings import InstructSettings


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset folder with two test questions of kind video; not to be changed."""
    root = tmp_path_factory.mktemp("dataset")
    make_curated(root / "curated")
    write_instructions(root / "curated", root / "data", InstructSettings(split_by="clip", test_fraction=0.3))
    return root / "data"


@pytest.fixture(scope="session")
def tiny(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint with random weights."""
    from videopath_hf.modeling.tiny import build_tiny

    records = read_instructions(dataset, ["video"], "train")
    texts = [text for record in records for text in (record.question, record.answer)]
    return build_tiny(texts, tmp_path_factory.mktemp("tiny"), seed=0)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoff in milliseconds instead of seconds."""
    monkeypatch.setattr("videopath_hf.llm.retries.FIRST_WAIT", 0.01)
