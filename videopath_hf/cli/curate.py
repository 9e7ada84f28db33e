"""`videopath curate`: lectures in, clean clips out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from videopath_hf.cli.options import ConfigOption, JsonOption, OverrideOption
from videopath_hf.cli.output import emit
from videopath_hf.errors import UserError

EXAMPLE = "Example: videopath curate lectures/ --out curated --workers 2 --set clips.max_seconds=8"


def curate(
    inputs: Annotated[
        list[Path] | None, typer.Argument(metavar="INPUT", help="Video files, or folders of them.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for the output; created, and continued for the same lectures."),
    ] = None,
    config: ConfigOption = None,
    overrides: OverrideOption = None,
    workers: Annotated[
        int, typer.Option("--workers", "-w", help="Videos at once, each in a process of its own; 0: in this process.")
    ] = 1,
    limit: Annotated[int | None, typer.Option("--limit", help="Only the first so many videos.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    validate: Annotated[
        Path | None, typer.Option("--validate", metavar="DIR", help="Check a finished folder instead.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Cut lectures into clean, labelled clips.

    What is dropped is written out with its reason. Other settings on the same folder redo only what depends on them.
    """
    if validate is not None:
        if inputs or out is not None:
            raise UserError("--validate takes no INPUT and no --out: it checks the folder it is given")
        _validate(validate, as_json)
        return
    if not inputs or out is None:
        raise UserError("give at least one INPUT and --out, or --validate with a finished folder")
    from videopath_hf.curation.settings import CurateSettings
    from videopath_hf.settings import load_settings

    settings = load_settings(CurateSettings, config, overrides or ())
    if dry_run:
        from videopath_hf.curation.forecast import forecast

        _show(forecast(inputs, out, settings, limit).model_dump(mode="json"), as_json)
        return
    from videopath_hf.curation.pipeline import curate as run

    emit(run(inputs, out, settings, workers, limit).model_dump(mode="json"), as_json)


def _validate(folder: Path, as_json: bool) -> None:
    from videopath_hf.curation.validate import validate

    findings = [finding.model_dump() for finding in validate(folder)]
    if as_json:
        emit({"folder": str(folder), "findings": findings}, as_json)
    else:
        for finding in findings:
            place = ": ".join(part for part in (finding["file"], finding["where"]) if part)
            typer.echo(f"{place}: {finding['problem']}")
        typer.echo(f"{folder}: {len(findings)} findings" if findings else f"{folder}: sound")
    if findings:
        raise typer.Exit(1)


def _show(forecast: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit(forecast, as_json)
        return
    for lecture in forecast["lectures"]:
        length = "length unknown" if lecture["seconds"] is None else f"{lecture['seconds']:.1f} s"
        typer.echo(f"{lecture['state']}: {lecture['source']} ({lecture['video_id']}), {length}")
    for message in forecast["notes"]:
        typer.echo(message)
    to_do = f"{forecast['seconds_to_do']:.1f} of {forecast['seconds']:.1f} s of video to do"
    typer.echo(f"{to_do}; settings {forecast['settings_hash']}")
