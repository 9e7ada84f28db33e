"""The base of an adapter that is published: a model on the Hub, and the one that the adapter was trained on."""

import json
from pathlib import Path

from videopath_hf.errors import UserError
from videopath_hf.files import read_json
from videopath_hf.modeling.hashes import model_hash
from videopath_hf.publishing.checkpoint import Checkpoint
from videopath_hf.publishing.settings import PublishModelSettings
from videopath_hf.training.merge import BASE


def check_base(checkpoint: Checkpoint, settings: PublishModelSettings) -> tuple[str]:
    """The id of an adapter's base on the Hub.

    Raises:
        UserError: none is named, or several; the folder it was trained on has changed since.
    """
    named = str(checkpoint.adapter.get("base_model_name_or_path") or "")
    local = Path(named)
    known = checkpoint.folder / BASE
    if local.is_dir() and known.is_file() and read_json(known)["model_hash"] != model_hash(named):
        raise UserError(f"{named} is not the checkpoint that {checkpoint.folder} was trained on: it has changed")
    given = settings.base_model or (() if local.is_absolute() or local.is_dir() else (named,))
    if len(given) != 1 or given[0].count("/") != 1:
        raise UserError(
            f"{checkpoint.folder} is an adapter for {named or 'a model that it does not name'}; publish that first, "
            "and give its one id on the Hub with --base-model"
        )
    return (given[0],)


def adapter_config(checkpoint: Checkpoint, base: str, revision: str | None) -> bytes:
    """adapter_config.json with the base on the Hub, at a commit, in place of a folder of somebody's disk."""
    settings = {**checkpoint.adapter, "base_model_name_or_path": base, "revision": revision}
    return (json.dumps(settings, indent=2, sort_keys=True) + "\n").encode()
