"""One tiny model and one small dataset for all tests of training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training.synthetic import short_recipe, texts, write_dataset
from videopath_hf.training.recipe import Recipe


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instruction folder of six training clips and two test clips."""
    return write_dataset(tmp_path_factory.mktemp("data"), clips=6, held_out=2)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random tiny checkpoint."""
    from videopath_hf.modeling.tiny import build_tiny

    return build_tiny(texts(), tmp_path_factory.mktemp("models") / "tiny", seed=0)


@pytest.fixture(scope="session")
def processor(tiny: Path) -> Any:
    """The tiny checkpoint's processor."""
    from videopath_hf.modeling.loading import load_model

    return load_model(tiny)[1]


@pytest.fixture
def recipe(tiny: Path, data: Path, tmp_path: Path) -> Callable[..., Recipe]:
    """Makes a short recipe; sections given as keywords are merged into it."""

    return lambda **changes: short_recipe(tiny, data, tmp_path / "out", **changes)
