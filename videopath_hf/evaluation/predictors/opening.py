"""From what a user names as the model to something that can be asked."""

import json
from pathlib import Path
from typing import Any

from videopath_hf.errors import UserError
from videopath_hf.evaluation.identity import Hashes, ModelIdentity, checkpoint_key
from videopath_hf.evaluation.predictors.base import Predictor
from videopath_hf.evaluation.settings import EvaluateSettings, PredictorServer

_ADDRESS = ("http://", "https://")


def is_address(model: str) -> bool:
    """Whether a model is behind an address."""
    return model.startswith(_ADDRESS)


def server_of(model: str, settings: EvaluateSettings) -> PredictorServer:
    """How an address is asked: the settings given for it, or those of the environment.

    Raises:
        UserError: no name of a model is given for it.
    """
    from videopath_hf.settings import load_settings

    if settings.server is not None:
        server = settings.server.model_copy(update={"base_url": model})
    else:
        server = load_settings(PredictorServer, base_url=model)
    return server.model_copy(update={"max_tokens": settings.max_new_tokens})


def identify(model: str, settings: EvaluateSettings, hashes: Hashes) -> ModelIdentity:
    """Which model it is, without opening it.

    Raises:
        UserError: there is no such model.
    """
    if is_address(model):
        server = server_of(model, settings)
        details = {"address": server.base_url, "longest_side": server.longest_side}
        return ModelIdentity(name=server.model, kind="server", key=server.model, details=details)
    if settings.server is not None:
        raise UserError(
            f"server settings are given and the model {model} is not an address; give --model http://HOST/v1, or "
            "leave them out"
        )
    from videopath_hf.modeling.placement import choose_device, choose_dtype

    key, commit = checkpoint_key(model, settings.revision, hashes)
    device = choose_device(settings.device)
    details = {"commit": commit, "device": str(device), "dtype": str(choose_dtype(settings.dtype, device))}
    return ModelIdentity(name=model, kind=_kind(model, settings), key=key, details=details)


def open_predictor(model: str, settings: EvaluateSettings, identity: ModelIdentity, replies: Path) -> Predictor:
    """Load a checkpoint, or make ready to ask an address.

    Args:
        model (`str`): checkpoint folder, Hub id or address.
        settings (`EvaluateSettings`): how it is asked.
        identity (`ModelIdentity`): what `identify` gave.
        replies (`Path`): file that keeps an address's replies.

    Raises:
        UserError: it cannot be opened.
    """
    if identity.kind == "server":
        from videopath_hf.evaluation.predictors.server import ServerPredictor

        return ServerPredictor(server_of(model, settings), identity, replies, settings.num_frames, settings.sampling)
    if identity.kind == "videopath":
        return _own(model, settings, identity)
    from videopath_hf.evaluation.predictors.stock import load_stock

    loaded, processor = load_stock(model, settings)
    return _batched(loaded, processor, settings, identity)


def _own(model: str, settings: EvaluateSettings, identity: ModelIdentity) -> Predictor:
    from videopath_hf.evaluation.answering import Answerer
    from videopath_hf.evaluation.predictors.own import OwnPredictor
    from videopath_hf.modeling.loading import load_model

    if settings.processor:
        raise UserError(f"processor = {settings.processor}: these options are for models of other families")
    loaded, processor = load_model(model, settings.dtype, settings.device, revision=settings.revision)
    if settings.batch_size > 1:
        return _batched(loaded, processor, settings, identity)
    processor.video_processor.num_frames = settings.num_frames
    processor.video_processor.sampling = settings.sampling
    return OwnPredictor(Answerer(loaded, processor, model), identity, settings.max_new_tokens)


def _batched(model: Any, processor: Any, settings: EvaluateSettings, identity: ModelIdentity) -> Predictor:
    from videopath_hf.evaluation.predictors.batched import BatchedPredictor

    return BatchedPredictor(
        model,
        processor,
        identity,
        batch_size=settings.batch_size,
        num_frames=settings.num_frames,
        sampling=settings.sampling,
        max_new_tokens=settings.max_new_tokens,
    )


def _kind(model: str, settings: EvaluateSettings) -> str:
    """Who opens a checkpoint: by its config.json, unless the settings say."""
    if settings.predictor != "auto":
        return settings.predictor
    from videopath_hf.modeling.checks_videopath_llava import CheckpointError
    from videopath_hf.modeling.layouts import recognise

    found = _config(model, settings.revision)
    try:
        recognise(found, model)
    except CheckpointError:
        return "transformers" if found.get("model_type") else "videopath"
    return "videopath"


def _config(model: str, revision: str | None) -> dict[str, Any]:
    """A checkpoint's config.json; empty where there is none that can be read, as `load_model` then says."""
    from transformers.utils import cached_file

    folder = Path(model)
    try:
        config = folder / "config.json" if folder.is_dir() else cached_file(model, "config.json", revision=revision)
        found = json.loads(Path(config).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
