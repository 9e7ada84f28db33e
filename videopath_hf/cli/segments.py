"""`videopath segments`: what curation cut a lecture into, reviewed and edited by a person."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from videopath_hf.cli.options import JsonOption
from videopath_hf.cli.output import emit
from videopath_hf.errors import UserError

app = typer.Typer(
    name="segments",
    help="Review and edit the segments that curation found; `curate --decisions` uses the result.",
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog="Example: videopath segments review curated lectures/",
)

CuratedArgument = Annotated[Path, typer.Argument(metavar="CURATED", help="Output folder of `videopath curate`.")]
VideoOption = Annotated[
    str | None, typer.Option("--video", help="The lecture's video_id; needed where the folder holds several.")
]


class Format(str, Enum):
    """Lists that editors read."""

    csv = "csv"
    edl = "edl"
    scenedetect = "scenedetect"


@app.command(epilog="Example: videopath segments review curated lectures/")
def review(
    curated: CuratedArgument,
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="The same videos, or folders, as curated.")],
    as_json: JsonOption = False,
) -> None:
    """Write a page for each lecture to accept, reject, merge and split its segments.

    It opens in any browser, without a network; what it saves is given to `curate --decisions`.
    """
    from videopath_hf.curation.review import write_reviews

    emit({"pages": [str(path) for path in write_reviews(curated, inputs)]}, as_json)


@app.command(epilog="Example: videopath segments export curated cuts.edl")
def export(
    curated: CuratedArgument,
    out: Annotated[Path, typer.Argument(metavar="FILE", help="List to write.")],
    form: Annotated[
        Format | None,
        typer.Option("--format", help="csv, edl (CMX 3600) or scenedetect; by the file's name if omitted."),
    ] = None,
    video: VideoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a lecture's segments as a list for another editor, exact to the frame."""
    from videopath_hf.curation.scene_lists import export_segments, pick, read_reviewed

    known = {".csv": Format.csv, ".edl": Format.edl}
    chosen = form or known.get(out.suffix.lower())
    if chosen is None:
        raise UserError(f"{out} does not end in .csv or .edl; say which list it is with --format csv|edl|scenedetect")
    count = export_segments(pick(read_reviewed(curated), video), out, chosen.value)
    emit({"file": str(out), "format": chosen.value, "segments": count}, as_json)


@app.command("import", epilog="Example: videopath segments import curated cuts.edl --out lecture.decisions.json")
def import_(
    curated: CuratedArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, EDL or PySceneDetect scene list.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File of decisions to write, for `curate --decisions`.")],
    video: VideoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn an edited list into decisions; what the list leaves out is rejected."""
    from videopath_hf.curation.scene_lists import import_segments, pick, read_reviewed
    from videopath_hf.files import write_json

    decisions = import_segments(pick(read_reviewed(curated), video), file)
    write_json(out, decisions.model_dump())
    rejected = sum(segment.verdict == "reject" for segment in decisions.segments)
    emit({"file": str(out), "segments": len(decisions.segments), "rejected": rejected}, as_json)
