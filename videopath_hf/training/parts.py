"""Which parameters learn: the parts of the model by name, adapters on the decoder, the table of what is trained."""

import re
from typing import Any

import torch
from torch import nn

from videopath_hf.errors import UserError
from videopath_hf.training.recipe import LoraSettings, TrainableSettings

VISION_TOWER = "vision_tower"
PROJECTOR = "multi_modal_projector"
LANGUAGE_MODEL = "language_model"
_ADAPTER = "lora_"


def part_of(parameter: str) -> str:
    """The part a parameter belongs to by its name: `vision_tower`, `projector`, `lora` or `language_model`.

    The decoder, its output head and the image newline are the `language_model`, as in the published training.
    """
    names = parameter.split(".")
    if any(name.startswith(_ADAPTER) for name in names):
        return "lora"
    if VISION_TOWER in names:
        return "vision_tower"
    return "projector" if PROJECTOR in names else "language_model"


def prepare_parts(model: Any, trainable: TrainableSettings, lora: LoraSettings) -> Any:
    """Freeze and unfreeze the parts of `model`, and wrap it with adapters where the language model is `lora`.

    With adapters, the vision tower and the projector that learn are trained as copies (`modules_to_save`) that are
    saved with the adapter: the base checkpoint stays as it is.

    Returns:
        The model, or a [`~peft.PeftModel`] around it.

    Raises:
        UserError: nothing is trainable, or the pattern of the adapters matches nothing or something outside the
            language model.
    """
    if trainable.language_model == "lora":
        return _with_adapters(model, trainable, lora)
    learns = {
        "projector": trainable.projector,
        "vision_tower": trainable.vision_tower,
        "language_model": trainable.language_model == "full",
    }
    if not any(learns.values()):
        raise UserError("trainable: nothing would learn; set projector, vision_tower or language_model")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(learns[part_of(name)])
    return model


def _with_adapters(model: Any, trainable: TrainableSettings, lora: LoraSettings) -> Any:
    from peft import LoraConfig, get_peft_model

    targets = [name for name, module in model.named_modules() if re.fullmatch(lora.targets, name)]
    if not targets:
        raise UserError(f"lora.targets = {lora.targets!r} matches no module of the model, e.g. {_a_linear(model)!r}")
    if outside := [name for name in targets if LANGUAGE_MODEL not in name.split(".")]:
        raise UserError(f"lora.targets = {lora.targets!r} also matches {outside[0]!r}, outside the language model")
    saved = [PROJECTOR] * trainable.projector + [VISION_TOWER] * trainable.vision_tower
    adapted = get_peft_model(
        model,
        LoraConfig(
            r=lora.r,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=lora.targets,
            modules_to_save=saved or None,
            bias="none",
        ),
    )
    if lora.base != "float32":
        _hold(adapted, torch.bfloat16)
    return adapted


def _hold(model: nn.Module, frozen: torch.dtype) -> None:
    """What learns in float32, since small steps vanish in less; the rest, where it is not quantized, in `frozen`."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(torch.float32 if parameter.requires_grad else frozen)


def _a_linear(model: nn.Module) -> str:
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return next((name for name in names if LANGUAGE_MODEL in name.split(".")), names[0])


def parameter_table(model: nn.Module) -> dict[str, dict[str, int]]:
    """Trainable and all parameters of every part of the model: `{part: {"trainable": n, "total": n}}`."""
    table: dict[str, dict[str, int]] = {}
    for name, parameter in model.named_parameters():
        if ".original_module." in name:  # peft keeps it behind the trained copy that is counted
            continue
        row = table.setdefault(part_of(name), {"trainable": 0, "total": 0})
        row["total"] += parameter.numel()
        row["trainable"] += parameter.numel() * parameter.requires_grad
    return table


def vision_tower_parameters(model: nn.Module) -> list[torch.nn.Parameter]:
    """The parameters of the vision tower that learn."""
    return [p for name, p in model.named_parameters() if p.requires_grad and part_of(name) == "vision_tower"]
