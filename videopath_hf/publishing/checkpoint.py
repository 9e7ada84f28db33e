"""What a folder is that somebody wants to publish: a checkpoint or an adapter, and which of its files go out."""

import json
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from videopath_hf.errors import UserError
from videopath_hf.files import read_json
from videopath_hf.modeling.layouts import recognise
from videopath_hf.modeling.remote_code_videopath_llava import code_files

if TYPE_CHECKING:
    from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
    from videopath_hf.modeling.shards import Spec

Kind = Literal["model", "adapter"]

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
_MODEL_FILES = (
    *("config.json", "generation_config.json", "model.safetensors", "model-*-of-*.safetensors"),
    *("model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json"),
    *("merges.txt", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "chat_template.json"),
    *("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json"),
)
_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "config.json", "base.json")
_OWN_PLACES = ("_name_or_path",)  # of config.json: where a model was on somebody's disk


class Checkpoint(NamedTuple):
    """A folder that can be published.

    Args:
        folder (`Path`): where it is.
        kind (`str`): `"model"` or `"adapter"`.
        layout (`str`): `"videopath"` or `"llava_onevision"`; of an adapter, its base's is `"videopath"`.
        config ([`VideoPathLlavaConfig`], *optional*): in our terms; None for an adapter without config.json.
        adapter (`dict`): adapter_config.json, empty for a model.
        parameters (`int`): how many weights.
        dtype (`str`): their types.
        files (`list[Path]`): the files that go out.
        left (`list[str]`): names of those that stay.
    """

    folder: Path
    kind: Kind
    layout: str
    config: "VideoPathLlavaConfig | None"
    adapter: dict[str, Any]
    parameters: int
    dtype: str
    files: list[Path]
    left: list[str]

    @property
    def bytes(self) -> int:
        """Size of the files that go out."""
        return sum(path.stat().st_size for path in self.files)


def open_checkpoint(folder: str | Path) -> Checkpoint:
    """Look at a folder, and make sure that its weights are whole, are safetensors, and fit its configuration.

    Raises:
        UserError: it is no checkpoint or adapter, holds pickles, or its weights do not fit.
    """
    folder = Path(folder)
    kind = _kind(folder)
    _refuse_pickles(folder)
    found = _open_adapter(folder) if kind == "adapter" else _open_model(folder)
    patterns = _ADAPTER_FILES if kind == "adapter" else _MODEL_FILES
    files = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    ours = (*(path.name for path in files), *code_files())
    left = sorted(path.name for path in folder.iterdir() if path.name not in ours and not path.name.startswith("."))
    return found._replace(files=files, left=left)


def _open_model(folder: Path) -> Checkpoint:
    from videopath_hf.modeling.sources import open_source

    layout = recognise(read_json(folder / "config.json"), folder)
    if layout == "llava_next":
        raise UserError(
            f"{folder} is in the published code's layout, which opens nowhere else; convert it first: "
            f"videopath convert {folder} converted"
        )
    source = open_source(folder)
    return Checkpoint(folder, "model", layout, source.config, {}, *_weights(source.specs.values()), [], [])


def _weights(specs: Iterable["Spec"]) -> tuple[int, str]:
    specs = list(specs)
    kinds = sorted({str(spec.dtype).removeprefix("torch.") for spec in specs})
    return sum(prod(spec.shape) for spec in specs), " and ".join(kinds)


def _open_adapter(folder: Path) -> Checkpoint:
    from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
    from videopath_hf.modeling.shards import Shard

    settings = read_json(folder / "adapter_config.json")
    weights = folder / "adapter_model.safetensors"
    if not isinstance(settings, dict) or settings.get("peft_type") != "LORA":
        raise UserError(f"{folder / 'adapter_config.json'} is not of a LoRA adapter of PEFT")
    if not weights.is_file():
        raise UserError(f"{folder} lacks {weights.name}")
    specs = Shard.of(weights).specs
    if not any(".lora_A." in name for name in specs):
        raise UserError(f"{weights} holds no LoRA weights")
    config = VideoPathLlavaConfig.from_pretrained(folder) if (folder / "config.json").is_file() else None
    return Checkpoint(folder, "adapter", "videopath", config, settings, *_weights(specs.values()), [], [])


def published_text(path: Path) -> bytes | None:
    """The bytes a settings file is published with, where they are not its own: without places on somebody's disk."""
    if path.name != "config.json":
        return None
    settings = json.loads(path.read_text(encoding="utf-8"))
    if not any(key in settings for key in _OWN_PLACES):
        return None
    kept = {key: value for key, value in settings.items() if key not in _OWN_PLACES}
    return (json.dumps(kept, indent=2, ensure_ascii=False) + "\n").encode()


def _kind(folder: Path) -> Kind:
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist or is not a folder; give a checkpoint or an adapter")
    if (folder / "adapter_config.json").is_file():
        return "adapter"
    if (folder / "config.json").is_file():
        return "model"
    parts = [name for name in ("merged", "adapter") if (folder / name).is_dir()]
    if parts:
        raise UserError(f"{folder} is a stage's folder; publish {' or '.join(str(folder / name) for name in parts)}")
    raise UserError(f"{folder} holds neither config.json nor adapter_config.json, so there is no model in it")


def _refuse_pickles(folder: Path) -> None:
    found = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in _PICKLES)
    if found:
        raise UserError(
            f"{folder} holds {', '.join(found[:5])}: such files can run code when they are opened, and only "
            f"safetensors are published; take them out, or convert weights with `videopath convert {folder} converted`"
        )
