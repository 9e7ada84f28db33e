"""GPUs that a plan knows: memory and peak speed, from their makers' data sheets."""

from typing import NamedTuple

from videopath_hf.errors import UserError


class Gpu(NamedTuple):
    """A GPU: memory in GiB, peak of dense bfloat16 products in TFLOP/s (float32 accumulation)."""

    memory: float
    tflops: float


GPUS = {
    "b200-180gb": Gpu(180, 2250),
    "h200-141gb": Gpu(141, 989),
    "h100-80gb": Gpu(80, 989),
    "a100-80gb": Gpu(80, 312),
    "a100-40gb": Gpu(40, 312),
    "l40s-48gb": Gpu(48, 362),
    "a6000-48gb": Gpu(48, 155),
    "rtx5090-32gb": Gpu(32, 210),
    "rtx4090-24gb": Gpu(24, 165),
    "rtx3090-24gb": Gpu(24, 71),
    "l4-24gb": Gpu(24, 121),
    "rtx4080-16gb": Gpu(16, 97),
}


def find_gpu(name: str) -> Gpu:
    """The GPU of a name in [`GPUS`]; raises `UserError` for another name."""
    if name.lower() not in GPUS:
        raise UserError(f"gpu is {name!r}; known are {', '.join(GPUS)}")
    return GPUS[name.lower()]
