"""`videopath convert`: a checkpoint in another layout."""

from pathlib import Path
from typing import Annotated

import typer

from videopath_hf.cli.options import JsonOption, LayoutOption
from videopath_hf.cli.output import emit

EXAMPLE = "Example: videopath convert trinhvg/ViDRiP_LLaVA_video vidrip --layout videopath"


def convert(
    src: Annotated[
        str,
        typer.Argument(
            metavar="SRC",
            help="Checkpoint folder or Hub id in any layout, or the published code's LoRA output or mm_projector.bin.",
        ),
    ],
    dst: Annotated[Path, typer.Argument(metavar="DST", help="Folder to write; new, empty, or an earlier result.")],
    layout: LayoutOption = "videopath",
    base: Annotated[
        str | None, typer.Option(help="The checkpoint that SRC, an adapter or a projector, belongs to.")
    ] = None,
    merge: Annotated[
        bool, typer.Option(help="Merge low-rank weights, or keep them as an adapter in DST/adapter.")
    ] = True,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16 for all weights; each keeps its own by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a checkpoint between layouts, without loss.

    Only names change. A weight that is missing, left over or misshapen is an error, and nothing is written.
    """
    from videopath_hf.modeling.conversion import REPORT
    from videopath_hf.modeling.conversion import convert as run

    report = run(src, dst, layout, base=base, merge=merge, dtype=dtype)  # type: ignore[arg-type]
    if as_json:
        emit(report.model_dump(mode="json"), True)
        return
    summary = {
        "source": f"{report.source} ({report.source_layout})",
        "result": f"{dst} ({report.layout})",
        "mapped": len(report.mapped),
        "dropped": report.dropped,
        "added": report.added,
        "types": report.dtypes,
        "bytes": report.bytes,
        "notes": report.notes,
        "report": dst / REPORT,
    }
    if report.adapter is not None:
        summary["adapter"] = f"{report.adapter} ({'merged' if report.merged else 'full weights only'})"
    emit({key: value for key, value in summary.items() if value not in ({}, [])}, False)
