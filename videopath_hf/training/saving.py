"""Writing what was trained so that it loads again, and so that others may read it."""

from pathlib import Path
from typing import Any

_READABLE = 0o644


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
