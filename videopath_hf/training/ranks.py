"""Which process of a launcher this is."""

import os


def is_main() -> bool:
    """Whether this process is the only one or the first: it alone writes what all ranks have in common."""
    return os.environ.get("RANK", "0") == "0"


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))
