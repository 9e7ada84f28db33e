"""Where a model runs and in what precision, as named on a command line or in a file of settings."""

import re

import torch

from videopath_hf.errors import UserError

_DTYPES = ("float32", "bfloat16", "float16")


def choose_device(name: str) -> torch.device:
    """The device of a name.

    Args:
        name (`str`): `"cpu"`, `"cuda"`, `"cuda:N"`, or `"auto"` for the first GPU that CUDA offers, else the CPU.

    Raises:
        UserError: for another name, and for a GPU that this machine does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UserError(f"device is {name!r}; accepted are auto, cpu, cuda and cuda:N")
    device = torch.device(name)
    if device.type == "cuda":
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= found:
            raise UserError(f"device is {name!r}, but torch finds {found} GPUs here; give --device cpu or auto")
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The type of weights of a name, on a device.

    Args:
        name (`str`): `"float32"`, `"bfloat16"`, `"float16"`, or `"auto"`: float32 on the CPU; on a GPU bfloat16, in
            which the published models were trained, or float16 where that is emulated.
        device (`torch.device`): where the model is to run.

    Raises:
        UserError: for another name.
    """
    if name == "auto":
        if device.type == "cpu":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if name not in _DTYPES:
        raise UserError(f"dtype is {name!r}; accepted are auto, {', '.join(_DTYPES)}")
    dtype: torch.dtype = getattr(torch, name)
    return dtype
