"""What a checkpoint folder is known by: the hash of its content, not its path."""

from pathlib import Path

from videopath_hf.files import content_hash, file_sha256

_FILES = (".safetensors", ".json", ".jinja", ".txt")
_NOT_THE_MODEL = ("run.json", "preflight.json", "merge.json")


def model_hash(model: str) -> str:
    """Hash of a checkpoint folder's weights, configuration and tokenizer; of the name where it is a Hub id."""
    folder = Path(model)
    if not folder.is_dir():
        return content_hash(model)
    files = sorted(path for path in folder.iterdir() if path.suffix in _FILES and not path.name.startswith("."))
    return content_hash([(path.name, file_sha256(path)) for path in files if path.name not in _NOT_THE_MODEL])
