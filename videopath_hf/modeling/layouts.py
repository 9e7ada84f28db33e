"""The three ways a checkpoint of this family is laid out: names of weights, and how each is recognised."""

import re
from typing import Any, Literal, get_args

from videopath_hf.modeling.checks_videopath_llava import CheckpointError
from videopath_hf.modeling.modeling_videopath_llava import FOREIGN_NAMES

Layout = Literal["videopath", "llava_onevision", "llava_next"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
"""Ours, that of llava-hf (no code of its own), and the published implementation's."""

Rules = tuple[tuple[re.Pattern[str], str], ...]


def _rules(*pairs: tuple[str, str]) -> Rules:
    return tuple((re.compile(pattern), replacement) for pattern, replacement in pairs)


TO_OURS: dict[Layout, Rules] = {
    "videopath": _rules((r"^(model\.|lm_head\.)", r"\1")),
    "llava_onevision": _rules(*FOREIGN_NAMES["llava_onevision"].items(), (r"^model\.language_model\.", r"\g<0>")),
    "llava_next": _rules(
        *FOREIGN_NAMES["llava_next"].items(),
        (r"^(model\.image_newline|lm_head\.weight)$", r"\1"),
    ),
}
"""Names of weights in each layout and ours; the first rule that fits is applied."""

FROM_OURS: dict[Layout, Rules] = {
    "videopath": _rules((r"^", "")),
    "llava_onevision": _rules(
        (r"^model\.vision_tower\.", "vision_tower.vision_model."),
        (r"^model\.multi_modal_projector\.", "multi_modal_projector."),
        (r"^model\.image_newline$", "image_newline"),
        (r"^model\.language_model\.", "language_model.model."),
        (r"^lm_head\.", "language_model.lm_head."),
    ),
    "llava_next": _rules(
        (r"^model\.vision_tower\.", "model.vision_tower.vision_tower.vision_model."),
        (r"^model\.multi_modal_projector\.linear_1\.", "model.mm_projector.0."),
        (r"^model\.multi_modal_projector\.linear_2\.", "model.mm_projector.2."),
        (r"^model\.language_model\.", "model."),
        (r"^(model\.image_newline|lm_head\.weight)$", r"\1"),
    ),
}
"""Our names of weights and each layout's."""

UNUSED = (
    (re.compile(r"\.rotary_emb\.inv_freq$|\.embeddings\.position_ids$"), "computed from the configuration"),
    (re.compile(r"^(model\.)?vision_tower\.(vision_tower\.)?(vision_model\.)?head\."), "the tower's head is not used"),
)
"""Weights some checkpoints hold that no layout of ours needs, and why."""


def our_name(name: str, layout: Layout, source: Any) -> str:
    """Our name of a weight; raises `CheckpointError` for a name that no rule fits."""
    return _apply(TO_OURS[layout], name, f"{source} holds weight {name}, which has no place in our model")


def name_in(layout: Layout, name: str) -> str:
    """Name in a layout of one of our weights."""
    return _apply(FROM_OURS[layout], name, f"weight {name} has no name in the layout {layout}")


def unused(name: str) -> str | None:
    """Why a weight is left out, or None for one that is needed."""
    return next((why for pattern, why in UNUSED if pattern.search(name)), None)


def recognise(settings: dict[str, Any], source: Any) -> Layout:
    """Layout of a checkpoint by its config.json: the model type is ours or llava-hf's, or there are `mm_*` settings.

    The published implementation writes `qwen2`, `llava_qwen` or `llava` as model type: it says nothing.

    Raises:
        CheckpointError: for a checkpoint of another kind.
    """
    model_type = settings.get("model_type")
    if model_type == "videopath_llava":
        return "videopath"
    if model_type == "llava_onevision":
        return "llava_onevision"
    named = any(re.fullmatch(r"Llava\w*Qwen\w*ForCausalLM", str(name)) for name in settings.get("architectures") or [])
    if named or any(key.startswith("mm_") for key in settings):
        return "llava_next"
    raise CheckpointError(
        f"{source} is a checkpoint of type {model_type!r} without the mm_* settings of the published implementation; "
        "only videopath_llava, llava_onevision and LLaVA-NeXT checkpoints can be opened"
    )


def _apply(rules: Rules, name: str, fault: str) -> str:
    for pattern, replacement in rules:
        if pattern.search(name):
            return pattern.sub(replacement, name, count=1)
    raise CheckpointError(fault)
