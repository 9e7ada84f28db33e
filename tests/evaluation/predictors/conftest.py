from pathlib import Path

import pytest

from tests.evaluation.stock_models import FAMILIES
from videopath_hf.data.folder import read_instructions
from videopath_hf.data.stores import MediaStores
from videopath_hf.evaluation.benchmark import Benchmark
from videopath_hf.evaluation.predicting import asks_of
from videopath_hf.evaluation.predictors.base import Ask


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of tiny models of other families."""
    root = tmp_path_factory.mktemp("stock")
    return {name: make(root / name) for name, make in FAMILIES.items()}


@pytest.fixture(scope="session")
def asks(dataset: Path) -> list[Ask]:
    """Questions of different length about two clips of four frames and one image."""
    records = [*read_instructions(dataset, ["video"], "test"), *read_instructions(dataset, ["image"], "test")[:1]]
    benchmark = Benchmark("data", records, [], MediaStores([dataset]))
    words = {record.id: f"{record.question} {'Be brief. ' * number}".strip() for number, record in enumerate(records)}
    return asks_of(benchmark, words)[0]
