"""Fixtures shared by all tests. No test looks for the Hub: publishing tests point at their own stand-in."""

import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Tiny models are slower on several threads than on one, above all on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The team's folder of real lectures and golden tensors; the test is skipped where it is absent."""
    root = Path(os.environ.get("VIDEOPATH_SHARED", Path(__file__).parents[2] / "shared"))
    if not root.is_dir():
        pytest.skip(f"shared folder {root} is absent (set VIDEOPATH_SHARED)")
    return root
