"""Which process of a launcher this is."""

import os


def is_main() -> bool:
    """Whether this process is the only one or the first: it alone writes what all ranks have in common."""
    return os.environ.get("RANK", "0") == "0"


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_sharded() -> bool:
    """Whether the launcher shards the model over the processes (FSDP or DeepSpeed)."""
    return any(os.environ.get(f"ACCELERATE_USE_{kind}") == "true" for kind in ("FSDP", "DEEPSPEED"))
