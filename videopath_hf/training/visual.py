"""Settings that decide how many tokens an image or a clip becomes: the model and its processor must agree."""

from collections.abc import Mapping
from typing import Any

from videopath_hf.errors import UserError


def set_visual(model: Any, processor: Any, values: Mapping[str, Any]) -> None:
    """Give the model's configuration and its processor the same visual settings.

    Args:
        values (`Mapping[str, Any]`): fields of [`~videopath_hf.training.recipe.VisualSettings`].

    Raises:
        UserError: a value the model does not take, or a processor that still counts tokens otherwise than the model.
    """
    try:
        config = type(model.config).from_dict({**model.config.to_dict(), **values})
    except ValueError as error:
        raise UserError(f"visual: {error}") from None
    for name in values:
        value = getattr(config, name)
        setattr(model.config, name, value)
        setattr(processor.image_processor if name.startswith("image_") else processor, name, value)
    if processor.layout() != model.config.layout:
        raise UserError(
            f"processor and model disagree on visual tokens, {processor.layout()} against {model.config.layout}: "
            "set all of the recipe's visual section, or use the checkpoint's own processor"
        )
