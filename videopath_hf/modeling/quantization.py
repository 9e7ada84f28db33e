"""Weights of 4 or 8 bits for the language model, through bitsandbytes."""

import importlib.util

import torch
from transformers import BitsAndBytesConfig

from videopath_hf.errors import UserError

FULL_PRECISION = ("model.vision_tower", "model.multi_modal_projector", "lm_head")
"""What keeps its precision: pictures lose most by rounding, and these are a small part of the weights."""


def quantization(bits: int, compute_dtype: torch.dtype = torch.bfloat16) -> BitsAndBytesConfig:
    """A `quantization_config` for `from_pretrained`.

    Args:
        bits (`int`): 4 (NF4, a 7B model in about 6 GB) or 8.
        compute_dtype (`torch.dtype`, defaults to `torch.bfloat16`): what 4-bit weights are multiplied in.

    Raises:
        UserError: for other numbers of bits, and where bitsandbytes is not installed.

    Example:

    ```python
    >>> model = VideoPathLlavaForConditionalGeneration.from_pretrained(
    ...     "checkpoint", quantization_config=quantization(4), device_map="auto")
    ```
    """
    if bits not in (4, 8):
        raise UserError(f"bits is {bits}; accepted are 4 and 8")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError(
            f"{bits}-bit weights need `bitsandbytes`, which is not installed: pip install bitsandbytes, or load the "
            "model in bfloat16"
        )
    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(FULL_PRECISION))
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=compute_dtype,
        llm_int8_skip_modules=list(FULL_PRECISION),
    )
