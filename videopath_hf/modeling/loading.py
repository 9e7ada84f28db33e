"""Checkpoints opened with nothing left to chance: a weight that is missing, left over or misshapen is an error."""

import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers.utils import cached_file, extract_commit_hash, logging

from videopath_hf.modeling.checks_videopath_llava import CheckpointError, check_loaded
from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration
from videopath_hf.modeling.placement import choose_device, choose_dtype
from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor
from videopath_hf.modeling.quantization import quantization

if TYPE_CHECKING:
    from videopath_hf.modeling.sources import Source

_OPENING_ERRORS: tuple[type[Exception], ...] = (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError)
_OPENING_ERRORS += (SafetensorError, StrictDataclassError)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def load_model(
    path: str | Path,
    dtype: str = "float32",
    device: str = "cpu",
    *,
    revision: str | None = None,
    bits: int | None = None,
    attn_implementation: str | dict[str, str] | None = None,
    device_map: str | dict[str, Any] | None = None,
) -> tuple[VideoPathLlavaForConditionalGeneration, VideoPathLlavaProcessor]:
    """Open a checkpoint for answering, and make sure that every weight of the model was in it and none is left over.

    Args:
        path (`str` or `Path`): a checkpoint folder, or a model id of the Hub.
        dtype (`str`, defaults to `"float32"`): as of [`choose_dtype`].
        device (`str`, defaults to `"cpu"`): as of [`choose_device`].
        revision (`str`, *optional*): branch, tag or commit of a model of the Hub.
        bits (`int`, *optional*): 4 or 8, to quantize the language model with bitsandbytes.
        attn_implementation (`str` or `dict`, *optional*): transformers' name of an implementation of attention, or
            one for each part: `{"vision_config": "eager", "text_config": "sdpa"}`.
        device_map (`str` or `dict`, *optional*): where each part is put, as `from_pretrained` takes it, instead of
            all on `device`.

    Returns:
        `tuple[VideoPathLlavaForConditionalGeneration, VideoPathLlavaProcessor]`: the model in evaluation mode. Its
        config's `_commit_hash` is the commit of a model of the Hub.

    Raises:
        CheckpointError: no such folder or model, a checkpoint of another kind, or weights that do not fit.
        UserError: for a device, dtype or number of bits that there is not.
    """
    place = choose_device(device)
    options: dict[str, Any] = {"dtype": choose_dtype(dtype, place)}
    if bits is not None:
        compute = torch.bfloat16 if options["dtype"] == torch.float32 else options["dtype"]
        options["quantization_config"] = quantization(bits, compute)
        device_map = device_map or {"": place}
    given = {"revision": revision, "attn_implementation": attn_implementation, "device_map": device_map}
    options.update({name: value for name, value in given.items() if value is not None})
    hub = {} if revision is None else {"revision": revision}
    commit = _check_config(path, revision)
    try:
        with quiet_transformers():
            model, report = VideoPathLlavaForConditionalGeneration.from_pretrained(
                path, output_loading_info=True, ignore_mismatched_sizes=True, **options
            )
            processor = _processor(path, hub)
    except CheckpointError:
        raise
    except _OPENING_ERRORS as error:
        raise CheckpointError(f"checkpoint {path} cannot be opened: {_one_line(error)}") from error
    check_loaded(path, report)
    check_agreement(path, model.config, processor)
    model.config._commit_hash = commit
    return (model if device_map is not None else model.to(place)).eval(), processor


def _processor(path: str | Path, hub: dict[str, str]) -> VideoPathLlavaProcessor:
    if (found := foreign_source(path, **hub)) is not None:
        return found.processor
    return VideoPathLlavaProcessor.from_pretrained(path, **hub)


def foreign_source(path: str | Path, **hub: Any) -> "Source | None":
    """A checkpoint in a layout that is not ours opened for reading; None for one in ours.

    Args:
        path (`str` or `Path`): a checkpoint folder, or a model id of the Hub.
        hub: `revision`, `token` and `cache_dir`, as `from_pretrained` takes them.

    Raises:
        CheckpointError: if its settings have no counterpart here or its weights do not fit them.
    """
    from videopath_hf.modeling.layouts import recognise
    from videopath_hf.modeling.sources import open_source

    folder = Path(path)
    config = folder / "config.json" if folder.is_dir() else Path(cached_file(str(path), "config.json", **hub))
    settings = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    if not settings or recognise(settings, path) == "videopath":
        return None
    return open_source(resolve_checkpoint(path, **hub))


def resolve_checkpoint(path: str | Path, **hub: Any) -> Path:
    """Folder of a checkpoint; one of the Hub is fetched whole.

    Raises:
        CheckpointError: if there is no such folder, and no such model on the Hub or no way to it.
    """
    if Path(path).is_dir():
        return Path(path)
    if not _HUB_ID.fullmatch(str(path)):
        raise CheckpointError(f"checkpoint folder {path} does not exist")
    try:
        return Path(snapshot_download(str(path), ignore_patterns=["*.msgpack", "*.h5", "*.onnx", "*.gguf"], **hub))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a folder, and no model of that id can be fetched from the Hub ({_one_line(error)[:120]}): "
            "check the name and the network, or give a checkpoint folder"
        ) from None


def check_agreement(path: str | Path, config: VideoPathLlavaConfig, processor: VideoPathLlavaProcessor) -> None:
    """Raise `CheckpointError` where the processor would make other tokens than the model of the same folder."""
    for name, model_value, processor_value in zip(
        config.layout._fields, config.layout, processor.layout(), strict=True
    ):
        if model_value != processor_value:
            raise CheckpointError(
                f"checkpoint {path}: {name} is {processor_value!r} in processor_config.json and {model_value!r} in "
                "config.json; they must be the same"
            )
    ids = (config.image_token_id, config.video_token_id)
    if ids != (processor.image_token_id, processor.video_token_id):
        raise CheckpointError(
            f"checkpoint {path}: config.json has {ids} as ids of the image and video placeholders, its tokenizer has "
            f"{(processor.image_token_id, processor.video_token_id)}"
        )


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Without transformers' progress bars and reports: what is wrong is raised, so it need not be printed too."""
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            # Of settings in other people's config.json that no one here can change.
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def find_config(path: str | Path, revision: str | None = None) -> Path:
    """config.json of a checkpoint folder, or of a model of the Hub, which is fetched.

    Raises:
        CheckpointError: there is none, or a folder is given with a revision.
    """
    folder = Path(path)
    if not folder.is_dir():
        return _fetch_config(path, {} if revision is None else {"revision": revision})
    if revision is not None:
        raise CheckpointError(f"{path} is a folder, and only models of the Hub have revisions; leave it out")
    file = folder / "config.json"
    if not file.is_file():
        if (folder / "adapter_config.json").is_file():
            raise CheckpointError(f"{path} is an adapter, not a whole model; merge it first: videopath merge")
        raise CheckpointError(f"{path} holds no config.json, so it is not a checkpoint")
    return file


def _check_config(path: str | Path, revision: str | None) -> str | None:
    """Raise `CheckpointError` unless `path` has a config.json of a model of this family; gives the Hub's commit."""
    from videopath_hf.modeling.layouts import recognise

    file = find_config(path, revision)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CheckpointError(f"{file} is not a configuration in JSON")
    recognise(found, path)
    return extract_commit_hash(file.as_posix(), None)


def _fetch_config(path: str | Path, hub: dict[str, str]) -> Path:
    if not _HUB_ID.fullmatch(str(path)):
        raise CheckpointError(f"checkpoint folder {path} does not exist")
    try:
        return Path(cached_file(str(path), "config.json", **hub))
    except OSError:
        wanted = "of that id" if not hub else f"of that id and revision {hub['revision']!r}"
        raise CheckpointError(
            f"{path} is not a folder, and no model {wanted} can be fetched from the Hub: check the name and the "
            "network, or give a checkpoint folder"
        ) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:400] or type(error).__name__
