"""`videopath merge`: an adapter and its base as one checkpoint."""

from pathlib import Path
from typing import Annotated

import typer

from videopath_hf.cli.options import JsonOption, LayoutOption, OutOption
from videopath_hf.cli.output import emit

EXAMPLE = "Example: videopath merge stage3/adapter --out merged"


def merge(
    adapter: Annotated[Path, typer.Argument(metavar="ADAPTER", help="Adapter folder of a LoRA stage.")],
    out: OutOption,
    layout: LayoutOption = "videopath",
    base: Annotated[
        str | None, typer.Option(help="Where the adapter's base is now, if it has moved since the training.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Merge a LoRA adapter into its base.

    The merged model is checked to answer as the adapter did, and other than the base.
    """
    from videopath_hf.training.merge import merge_adapter

    emit(merge_adapter(adapter, out, layout=layout, base=base).model_dump(mode="json"), as_json)
