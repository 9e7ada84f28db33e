"""From an adapter to a checkpoint of its own: merged, compared with the adapter's answers, saved whole."""

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from videopath_hf.errors import UserError
from videopath_hf.files import atomic_dir, read_json, write_json
from videopath_hf.training.hashes import model_hash
from videopath_hf.training.quiet import quiet_libraries
from videopath_hf.training.saving import save_processor, save_weights

BASE = "base.json"
"""Beside the adapter: the hash of the checkpoint it was trained on."""

MERGE = "merge.json"
TOLERANCE = 1e-4
"""Largest difference of logits between adapter and merged model, relative to the largest logit (float32)."""


class MergeResult(BaseModel):
    """A merged checkpoint, and how far its logits on a test clip are from the adapter's and from the base's.

    Both differences are the largest over all tokens, relative to the largest logit.
    """

    adapter: Path
    base: str
    model: Path
    difference_to_adapter: float
    difference_to_base: float


def save_adapter(model: Any, folder: Path, base: str) -> None:
    """Save a [`~peft.PeftModel`]'s adapter with the configuration it was trained with and what its base is."""
    for config in model.peft_config.values():
        config.base_model_name_or_path = str(Path(base).resolve()) if Path(base).is_dir() else base
    save_weights(model, folder)
    model.get_base_model().config.save_pretrained(folder)
    write_json(folder / BASE, {"model_hash": model_hash(base)})


def merge_adapter(adapter: Path, out: Path) -> MergeResult:
    """Merge an adapter into its base, compare on a test clip, and save model and processor to `out`.

    Does nothing where `out` already holds this adapter, merged.

    Raises:
        UserError: no adapter there; its base is gone or has changed; `out` holds something else; the merged model
            does not answer as base and adapter together do, or answers just as the base alone.
    """
    adapter, out = Path(adapter), Path(out)
    base = _base_of(adapter)
    key = model_hash(str(adapter))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        return _merged_before(out, key)
    with quiet_libraries():
        return _merge_into(out, adapter, base, key)


def _merge_into(out: Path, adapter: Path, base: str, key: str) -> MergeResult:
    merged = _merge(adapter, base)
    result = MergeResult(
        adapter=adapter,
        base=base,
        model=out,
        difference_to_adapter=_difference(merged.logits, merged.adapter_logits),
        difference_to_base=_difference(merged.logits, merged.base_logits),
    )
    _check(result)
    with atomic_dir(out) as folder:
        save_weights(merged.model, folder)
        save_processor(merged.processor, folder)
        _check_reload(folder, merged)
        write_json(folder / MERGE, {"key": key, "result": result.model_dump(mode="json")})
    return result


class _Merged(NamedTuple):
    model: Any
    processor: Any
    inputs: Any
    base_logits: Any
    adapter_logits: Any
    logits: Any


def _base_of(adapter: Path) -> str:
    if not (adapter / "adapter_config.json").is_file():
        raise UserError(f"{adapter} is not an adapter: it has no adapter_config.json")
    base = str(read_json(adapter / "adapter_config.json")["base_model_name_or_path"])
    if Path(base).is_absolute() and not Path(base).is_dir():
        raise UserError(
            f"the base of {adapter}, {base}, is gone: put it back or name its new place as base_model_name_or_path "
            "in adapter_config.json"
        )
    if (adapter / BASE).is_file() and read_json(adapter / BASE)["model_hash"] != model_hash(base):
        raise UserError(f"{base} is not the checkpoint that {adapter} was trained on: its content has changed")
    return base


def _merged_before(out: Path, key: str) -> MergeResult:
    if (out / MERGE).is_file() and (done := read_json(out / MERGE))["key"] == key:
        return MergeResult(**done["result"])
    raise UserError(f"output folder {out} holds other files than this adapter merged; give an empty one with --out")


def _merge(adapter: Path, base: str) -> _Merged:
    from peft import PeftModel

    from videopath_hf.modeling.loading import load_model
    from videopath_hf.training.recipe import VisualSettings
    from videopath_hf.training.visual import set_visual

    model, processor = load_model(base)
    trained = type(model.config).from_pretrained(adapter)
    set_visual(model, processor, {name: getattr(trained, name) for name in VisualSettings.model_fields})
    inputs = _test_clip(processor)
    base_logits = _logits(model, inputs)
    adapted = PeftModel.from_pretrained(model, str(adapter))
    adapter_logits = _logits(adapted, inputs)
    merged = adapted.merge_and_unload()
    return _Merged(merged, processor, inputs, base_logits, adapter_logits, _logits(merged, inputs))


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
