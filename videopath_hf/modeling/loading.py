"""Checkpoints opened with nothing left to chance: a weight that is missing, left over or misshapen is an error."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers.utils import cached_file, logging

from videopath_hf.errors import UserError
from videopath_hf.modeling.checks_videopath_llava import CheckpointError, check_loaded
from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration
from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor

_DTYPES = ("float32", "bfloat16", "float16")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def load_model(
    path: str | Path, dtype: str = "float32", device: str = "cpu"
) -> tuple[VideoPathLlavaForConditionalGeneration, VideoPathLlavaProcessor]:
    """Open a checkpoint for answering, and make sure that every weight of the model was in it and none is left over.

    Args:
        path (`str` or `Path`): a checkpoint folder, or a model id of the Hub.
        dtype (`str`, defaults to `"float32"`): `"float32"`, `"bfloat16"` or `"float16"`.
        device (`str`, defaults to `"cpu"`): where the model is put, e.g. `"cuda:0"`.

    Returns:
        `tuple[VideoPathLlavaForConditionalGeneration, VideoPathLlavaProcessor]`: the model in evaluation mode.

    Raises:
        CheckpointError: no such folder or model, a checkpoint of another kind, or weights that do not fit.
    """
    if dtype not in _DTYPES:
        raise UserError(f"dtype is {dtype!r}; accepted are {', '.join(_DTYPES)}")
    _check_config(path)
    try:
        with quiet_transformers():
            model, report = VideoPathLlavaForConditionalGeneration.from_pretrained(
                path, dtype=getattr(torch, dtype), output_loading_info=True, ignore_mismatched_sizes=True
            )
            processor = VideoPathLlavaProcessor.from_pretrained(path)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError, StrictDataclassError) as error:
        raise CheckpointError(f"checkpoint {path} cannot be opened: {_one_line(error)}") from error
    check_loaded(path, report)
    check_agreement(path, model.config, processor)
    return model.to(device).eval(), processor


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
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _check_config(path: str | Path) -> None:
    """Raise `CheckpointError` unless `path` has a config.json of our model type."""
    folder = Path(path)
    if folder.is_dir():
        file = folder / "config.json"
        if not file.is_file():
            if (folder / "adapter_config.json").is_file():
                raise CheckpointError(f"{path} is an adapter, not a whole model; merge it first: videopath merge")
            raise CheckpointError(f"{path} holds no config.json, so it is not a checkpoint")
    else:
        file = _fetch_config(path)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        model_type = found.get("model_type")
    except (ValueError, AttributeError):
        raise CheckpointError(f"{file} is not a configuration in JSON") from None
    if model_type == VideoPathLlavaConfig.model_type:
        return
    if any(key.startswith("mm_") for key in found):
        raise CheckpointError(
            f"{path} is a checkpoint of the published implementation; convert it first, with "
            "videopath_hf.modeling.conversion.convert_reference"
        )
    raise CheckpointError(
        f"{path} is a checkpoint of type {model_type!r}; only {VideoPathLlavaConfig.model_type!r} can be opened"
    )


def _fetch_config(path: str | Path) -> Path:
    if not _HUB_ID.fullmatch(str(path)):
        raise CheckpointError(f"checkpoint folder {path} does not exist")
    try:
        return Path(cached_file(str(path), "config.json"))
    except OSError:
        raise CheckpointError(
            f"{path} is not a folder, and no model of that id can be fetched from the Hub: check the name and the "
            "network, or give a checkpoint folder"
        ) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:400] or type(error).__name__
