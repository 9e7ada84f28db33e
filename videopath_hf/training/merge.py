"""From an adapter to a checkpoint of its own: merged, compared with the adapter's answers, saved whole."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from videopath_hf.errors import UserError
from videopath_hf.files import atomic_dir, content_hash, read_json, write_json
from videopath_hf.modeling.hashes import model_hash
from videopath_hf.training.quiet import quiet_libraries
from videopath_hf.training.saving import save_processor, save_weights

BASE = "base.json"
"""Beside the adapter: the hash of the checkpoint it was trained on."""

MERGE = "merge.json"
OURS = "videopath"
TOLERANCE = 1e-4
"""Largest difference of logits between adapter and merged model, relative to the largest logit (float32)."""


class MergeResult(BaseModel):
    """A merged checkpoint, and how far its logits on a test clip are from the adapter's and from the base's.

    Both differences are the largest over all tokens, relative to the largest logit.
    """

    adapter: Path
    base: str
    model: Path
    layout: str = OURS
    difference_to_adapter: float
    difference_to_base: float


def save_adapter(model: Any, folder: Path, base: str, state_dict: dict[str, Any] | None = None) -> None:
    """Save a [`~peft.PeftModel`]'s adapter with the configuration it was trained with and what its base is.

    Args:
        state_dict (`dict[str, torch.Tensor]`, *optional*): the whole model's weights, where they were sharded.
    """
    for config in model.peft_config.values():
        config.base_model_name_or_path = str(Path(base).resolve()) if Path(base).is_dir() else base
    save_weights(model, folder, state_dict)
    model.get_base_model().config.save_pretrained(folder)
    write_json(folder / BASE, {"model_hash": model_hash(base)})


def merge_adapter(adapter: Path, out: Path, *, layout: str = "videopath", base: str | None = None) -> MergeResult:
    """Merge an adapter into its base, compare on a test clip, and save model and processor to `out`.

    Weights are merged in float32, also where the adapter was trained on a base of fewer bits. Does nothing where `out`
    already holds this adapter, merged, in this layout.

    Args:
        layout (`str`, defaults to `"videopath"`): of the checkpoint, as [`~videopath_hf.modeling.conversion.convert`]
            takes it.
        base (`str`, *optional*): the base's new place, where it has moved.

    Raises:
        UserError: no adapter there; its base is gone, has changed or is another model; `out` holds something else; the
            layout cannot express the model; the merged model does not answer as base and adapter together do, or
            answers just as the base alone.
    """
    adapter, out = Path(adapter), Path(out)
    found = _base_of(adapter, base)
    _check_layout(adapter, layout)
    key = content_hash(model_hash(str(adapter)), layout)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        return _merged_before(out, key)
    with quiet_libraries():
        return _merge_into(out, adapter, found, key, layout)


def _merge_into(out: Path, adapter: Path, base: str, key: str, layout: str) -> MergeResult:
    merged = _merge(adapter, base)
    result = MergeResult(
        adapter=adapter,
        base=base,
        model=out,
        layout=layout,
        difference_to_adapter=_difference(merged.logits, merged.adapter_logits),
        difference_to_base=_difference(merged.logits, merged.base_logits),
    )
    _check(result)
    with atomic_dir(out) as folder:
        target = folder if layout == OURS else folder / ".ours"
        save_weights(merged.model, target)
        save_processor(merged.processor, target)
        if target != folder:
            _convert(target, folder, layout)
        _check_reload(folder, merged)
        write_json(folder / MERGE, {"key": key, "result": result.model_dump(mode="json")})
    return result


def _check_layout(adapter: Path, layout: str) -> None:
    """Raise `UserError` for a layout that cannot express what was trained, before hours of merging."""
    from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
    from videopath_hf.modeling.layouts import LAYOUTS
    from videopath_hf.modeling.stock_settings import stock_config

    if layout not in LAYOUTS:
        raise UserError(f"layout is {layout!r}; accepted are {', '.join(LAYOUTS)}")
    if layout == "llava_onevision" and (adapter / "config.json").is_file():
        stock_config(adapter, VideoPathLlavaConfig.from_pretrained(adapter))


def _convert(source: Path, folder: Path, layout: str) -> None:
    from videopath_hf.modeling.conversion import convert

    convert(source, source.parent / ".theirs", layout)  # type: ignore[arg-type]
    shutil.rmtree(source)
    for path in (folder / ".theirs").iterdir():
        path.replace(folder / path.name)
    (folder / ".theirs").rmdir()


class _Merged(NamedTuple):
    model: Any
    processor: Any
    inputs: Any
    base_logits: Any
    adapter_logits: Any
    logits: Any


def _base_of(adapter: Path, given: str | None) -> str:
    if not (adapter / "adapter_config.json").is_file():
        raise UserError(f"{adapter} is not an adapter: it has no adapter_config.json")
    named = given or read_json(adapter / "adapter_config.json").get("base_model_name_or_path")
    if not named:
        raise UserError(f"{adapter} does not name its base: give it with --base")
    base = str(named)
    if Path(base).is_absolute() and not Path(base).is_dir():
        raise UserError(f"the base of {adapter}, {base}, is gone: put it back or give its new place with --base")
    if (adapter / BASE).is_file() and read_json(adapter / BASE)["model_hash"] != model_hash(base):
        why = "its content has changed" if given is None else "it is another"
        raise UserError(f"{base} is not the checkpoint that {adapter} was trained on: {why}")
    return base


def _merged_before(out: Path, key: str) -> MergeResult:
    if (out / MERGE).is_file() and (done := read_json(out / MERGE))["key"] == key:
        return MergeResult(**done["result"])
    raise UserError(f"output folder {out} holds other files than this adapter merged; give an empty one with --out")


def _merge(adapter: Path, base: str) -> _Merged:
    from videopath_hf.modeling.loading import load_model
    from videopath_hf.training.recipe import VisualSettings
    from videopath_hf.training.visual import set_visual

    model, processor = load_model(base)
    trained = type(model.config).from_pretrained(adapter)
    set_visual(model, processor, {name: getattr(trained, name) for name in VisualSettings.model_fields})
    inputs = _test_clip(processor)
    base_logits = _logits(model, inputs)
    adapted = _adapted(model, adapter, base)
    adapter_logits = _logits(adapted, inputs)
    merged = adapted.merge_and_unload()
    return _Merged(merged, processor, inputs, base_logits, adapter_logits, _logits(merged, inputs))


def _adapted(model: Any, adapter: Path, base: str) -> Any:
    """The base with its adapter; peft itself only warns of weights that find no place."""
    from peft import PeftModel, get_peft_model_state_dict

    try:
        adapted = PeftModel.from_pretrained(model, str(adapter))
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{adapter} does not fit {base}, so that is not its base: {reason}") from None
    saved = {name for file in adapter.glob("adapter_model*.safetensors") for name in _names(file)}
    loaded = set(get_peft_model_state_dict(adapted))
    if wrong := sorted(saved ^ loaded):
        raise UserError(
            f"{adapter} does not fit {base}, so that is not its base: {wrong[0]} stands in one of them only"
        )
    return adapted


def _names(file: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(file, "pt") as weights:
        return list(weights.keys())


def _test_clip(processor: Any) -> Any:
    """A question about two frames of noise: reaches the tower, the projector and every layer of the decoder."""
    import numpy as np

    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    question = [{"type": "video", "video": frames}, {"type": "text", "text": "What is the best diagnosis?"}]
    return processor.apply_chat_template(
        [{"role": "user", "content": question}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"do_sample_frames": False},
    )


def _logits(model: Any, inputs: Any) -> Any:
    import torch

    model.eval()
    with torch.no_grad():
        return model(**inputs).logits.float().cpu()


def _difference(found: Any, expected: Any) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def _check(result: MergeResult) -> None:
    if result.difference_to_adapter > TOLERANCE:
        raise UserError(
            f"{result.adapter} does not merge: relative to the largest, logits differ by "
            f"{result.difference_to_adapter:.2g} from the adapter's, {TOLERANCE:g} is allowed"
        )
    if result.difference_to_base <= result.difference_to_adapter:
        raise UserError(
            f"{result.adapter} changes nothing: merged, logits differ by {result.difference_to_base:.2g} from the "
            "base's; was it trained?"
        )


def _check_reload(folder: Path, merged: _Merged) -> None:
    from videopath_hf.modeling.loading import load_model

    again, _ = load_model(folder)
    if _difference(_logits(again, merged.inputs), merged.logits) > TOLERANCE:
        raise UserError(f"{folder} does not reload as it was merged; the disk may be damaged")
