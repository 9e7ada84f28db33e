"""Writing what was trained so that it loads again, and so that others may read it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from videopath_hf.errors import DISK_TROUBLES, UserError

_READABLE = 0o644


_DISK_MESSAGES = tuple(os.strerror(number) for number in sorted(DISK_TROUBLES))


@contextmanager
def explain_disk(what: str, folder: Path) -> Iterator[None]:
    """Turn a disk that takes no more into one sentence, from whichever library it comes.

    Raises:
        UserError: `what` could not be written below `folder`.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        # safetensors and torch say so in words alone.
        words = next((words for words in _DISK_MESSAGES if words in str(error)), None)
        if words is None and getattr(error, "errno", None) not in DISK_TROUBLES:
            raise
        raise UserError(
            f"{what} cannot be written to {folder}: {words or error}; mend that and run the same command again, which "
            "goes on from the last checkpoint"
        ) from error


def save_weights(model: Any, folder: Path, state_dict: dict[str, Any] | None = None) -> None:
    """Save a model, or the adapter of a [`~peft.PeftModel`], as safetensors with its configuration."""
    if hasattr(model, "peft_config"):
        model.save_pretrained(folder, state_dict=state_dict)
        (folder / "README.md").unlink()  # an empty form
    else:
        # The default writes the names of the layout a model was once converted from: nothing would load again.
        model.save_pretrained(folder, state_dict=state_dict, save_original_format=False)
    for weights in folder.glob("*.safetensors"):
        weights.chmod(_READABLE)  # safetensors leaves files to their owner alone


def save_processor(processor: Any, folder: Path) -> None:
    """Save a processor without the padding that the last batch left in its tokenizer."""
    processor.tokenizer.backend_tokenizer.no_padding()
    processor.save_pretrained(folder)
