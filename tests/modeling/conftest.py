"""A tiny random model and short synthetic clips."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.modeling.reference import write_reference
from videopath_hf.modeling.loading import load_model
from videopath_hf.modeling.tiny import build_tiny
from videopath_hf.video.encode import write_clip

TEXTS = ["Describe the tissue.", "Colonic crypts with goblet cells.\nDiagnosis: normal colon"] * 4


def noise_frames(frames: int, height: int = 60, width: int = 80, seed: int = 0) -> np.ndarray:
    """Frames whose content differs from frame to frame and from seed to seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (frames, 4, 5, 3), dtype=np.uint8)
    return coarse.repeat(height // 4, axis=1).repeat(width // 5, axis=2)


def user(*blocks: Any) -> dict[str, Any]:
    """A user's message: strings become text blocks, paths and arrays of frames videos, everything else images."""
    content = []
    for block in blocks:
        if isinstance(block, str):
            content.append({"type": "text", "text": block})
        elif isinstance(block, Path):
            content.append({"type": "video", "path": str(block)})
        elif isinstance(block, np.ndarray) and block.ndim == 4:
            content.append({"type": "video", "video": block})
        else:
            content.append({"type": "image", "image": block})
    return {"role": "user", "content": content}


def assistant(text: str) -> dict[str, Any]:
    """An assistant's message."""
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def encode(processor: Any, messages: Any, **options: Any) -> Any:
    """Model inputs of one conversation or a batch of them, ready to generate."""
    return processor.apply_chat_template(
        messages,
        tokenize=True,
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True, **options},
    )


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random model."""
    return build_tiny(TEXTS, tmp_path_factory.mktemp("tiny") / "model", seed=0)


@pytest.fixture(scope="session")
def loaded(checkpoint: Path) -> tuple[Any, Any]:
    """The tiny model and its processor."""
    return load_model(checkpoint)


@pytest.fixture(scope="session")
def make_clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes an mp4 of so many synthetic frames."""
    folder = tmp_path_factory.mktemp("clips")

    def make(frames: int, seed: int = 0, fps: float = 10.0) -> Path:
        path = folder / f"{frames}_{seed}_{fps}.mp4"
        if not path.exists():
            write_clip(path, noise_frames(frames, seed=seed), fps)
        return path

    return make


@pytest.fixture
def reference(loaded: tuple[Any, Any], checkpoint: Path, tmp_path: Path) -> Path:
    """The tiny model as the published implementation would have saved it."""
    return write_reference(loaded[0], checkpoint, tmp_path / "reference")
