"""Checkpoints of other families, opened by transformers: the open baselines of the paper among them."""

from typing import Any

from videopath_hf.evaluation.settings import EvaluateSettings
from videopath_hf.modeling.checks_videopath_llava import CheckpointError
from videopath_hf.modeling.loading import quiet_transformers
from videopath_hf.modeling.placement import choose_device, choose_dtype

_OPENING_ERRORS = (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError, AttributeError)


def load_stock(model: str, settings: EvaluateSettings) -> tuple[Any, Any]:
    """Open an image-text-to-text model and its processor, and make sure that none of its weights is made up.

    Args:
        model (`str`): checkpoint folder or Hub id.
        settings (`EvaluateSettings`): revision, precision, device, whether its own code may run, options of its
            processor.

    Raises:
        CheckpointError: it is of no kind that answers questions about images, lacks weights or a chat template, or
            wants to run code of its own and may not.
    """
    from transformers import AutoModelForImageTextToText, AutoProcessor

    place = choose_device(settings.device)
    trust: dict[str, Any] = {"trust_remote_code": settings.trust_remote_code}
    if settings.revision:
        trust["revision"] = settings.revision
    try:
        with quiet_transformers():
            loaded, report = AutoModelForImageTextToText.from_pretrained(
                model, dtype=choose_dtype(settings.dtype, place), output_loading_info=True, **trust
            )
            processor = AutoProcessor.from_pretrained(model, **trust, **settings.processor)
    except _OPENING_ERRORS as error:
        raise CheckpointError(_explain(model, error)) from None
    for key, verb in (("missing_keys", "lacks"), ("mismatched_keys", "holds in another shape")):
        if names := sorted(name if isinstance(name, str) else name[0] for name in report[key]):
            raise CheckpointError(f"checkpoint {model} {verb} {len(names)} weights, e.g. {names[0]}")
    if getattr(processor, "tokenizer", None) is None or getattr(processor, "image_processor", None) is None:
        raise CheckpointError(f"checkpoint {model} has no processor of images and text, so it cannot be asked")
    if not processor.chat_template:
        raise CheckpointError(f"checkpoint {model} has no chat template, so nobody knows how it is to be asked")
    if processor.tokenizer.pad_token_id is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    _forget_sampling(loaded.generation_config)
    return loaded.to(place).eval(), processor


def _forget_sampling(settings: Any) -> None:
    """Answers are greedy: what a checkpoint says about sampling would only be warned about."""
    settings.do_sample = False
    for name in ("temperature", "top_p", "top_k", "min_p", "typical_p"):
        setattr(settings, name, None)


def _explain(model: str, error: Exception) -> str:
    if "trust_remote_code" in str(error):
        return f"checkpoint {model} runs code of its own, which is off: read it, then --set trust_remote_code=true"
    shown = " ".join(str(error).split())[:300] or type(error).__name__
    return f"checkpoint {model} cannot be opened as an image-text-to-text model: {shown}"
