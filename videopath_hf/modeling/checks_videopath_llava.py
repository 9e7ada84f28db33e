"""What keeps a checkpoint with wrong weights from running: transformers itself only reports them."""

from typing import Any

from videopath_hf.errors import UserError


class CheckpointError(UserError):
    """A checkpoint that cannot be opened as ours; the message names it and what is wrong with it."""


def check_loaded(path: Any, report: dict[str, Any]) -> None:
    """Raise `CheckpointError` unless transformers' loading report is free of missing, extra and misshapen weights."""
    faults = (
        ("missing_keys", "lacks"),
        ("unexpected_keys", "holds, but the model does not know,"),
        ("mismatched_keys", "holds in another shape"),
    )
    for key, verb in faults:
        names = sorted(name if isinstance(name, str) else name[0] for name in report[key])
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(f"checkpoint {path} {verb} {len(names)} weights: {', '.join(names[:3])}{more}")
