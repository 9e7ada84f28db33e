"""What a conversion says of itself: every weight is accounted for."""

from typing import Any

from pydantic import BaseModel

from videopath_hf.modeling.layouts import Layout

REPORT = "conversion.json"


class Conversion(BaseModel):
    """What became of a checkpoint; written as conversion.json into the result.

    Args:
        source (`str`): what was converted; for an adapter or a projector, its base.
        source_layout (`str`): `videopath`, `llava_onevision` or `llava_next`.
        source_settings (`dict`): its config.json.
        adapter (`str`, *optional*): LoRA output or projector that was laid over it.
        merged (`bool`): whether low-rank weights were merged; if not, they are in the folder `adapter` of the result.
        layout (`str`): of the result.
        sha256 (`dict[str, str]`): of each file of weights that was read.
        mapped (`dict[str, str]`): names of weights there and here.
        dropped (`dict[str, str]`): names of weights there that are not here, and why.
        added (`dict[str, str]`): names of weights here that are not there, and what they are.
        shapes (`dict[str, list[int]]`): of the weights here.
        dtypes (`dict[str, int]`): how many weights here have which type.
        dtype (`str`): the one type of all weights, or float32.
        bytes (`int`): of all weights here.
        notes (`list[str]`): what will differ from the published numbers in this layout.
    """

    source: str
    source_layout: Layout
    source_settings: dict[str, Any]
    adapter: str | None
    merged: bool
    layout: Layout
    sha256: dict[str, str]
    mapped: dict[str, str]
    dropped: dict[str, str]
    added: dict[str, str]
    shapes: dict[str, list[int]]
    dtypes: dict[str, int]
    dtype: str
    bytes: int
    notes: list[str]
