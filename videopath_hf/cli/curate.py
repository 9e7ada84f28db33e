"""`videopath curate`: lectures in, clean clips out."""

from pathlib import Path
from typing import Annotated, Any, Literal

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
    decisions: Annotated[
        list[Path] | None,
        typer.Option(help="Segments as a person left them: files, or folders of them; OUT/review if omitted."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", "-w", help="Videos at once, each in a process of its own; 0: in this process."),
    ] = None,
    executor: Annotated[
        Literal["local", "ray", "slurm"] | None,
        typer.Option("--executor", help="Run as datatrove tasks, one video each: here, on Ray or on Slurm."),
    ] = None,
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
    decisions = decisions or _saved_decisions(out)
    if decisions:
        from videopath_hf.curation.decisions import read_decisions

        settings = settings.model_copy(update={"decisions": read_decisions(decisions)})
    if executor == "slurm":
        _slurm(inputs, out, settings, workers, limit, dry_run, as_json)
        return
    if dry_run:
        from videopath_hf.curation.forecast import forecast

        _show(forecast(inputs, out, settings, limit).model_dump(mode="json"), as_json)
        return
    if executor is None:
        from videopath_hf.curation.pipeline import curate as run

        summary = run(inputs, out, settings, 1 if workers is None else workers, limit)
    else:
        from videopath_hf.curation.executors import curate_on

        summary = curate_on(executor, inputs, out, settings, workers, limit)
    emit(summary.model_dump(mode="json"), as_json)


def _saved_decisions(out: Path) -> list[Path]:
    """What a person saved beside the review pages."""
    from videopath_hf.curation.decisions import SUFFIX
    from videopath_hf.progress import note

    saved = sorted((out / "review").glob(f"*{SUFFIX}"))
    if saved:
        note(f"following the decisions saved in {out / 'review'}: {', '.join(path.name for path in saved)}")
    return saved


def _slurm(
    inputs: list[Path], out: Path, settings: Any, workers: int | None, limit: int | None, dry_run: bool, as_json: bool
) -> None:
    from videopath_hf.curation.executors import slurm_scripts, submit_to_slurm

    jobs = (slurm_scripts if dry_run else submit_to_slurm)(inputs, out, settings, workers, limit)
    if as_json:
        emit(jobs._asdict(), as_json)
    elif dry_run:
        typer.echo("\n".join(jobs.scripts))
    else:
        typer.echo(
            f"submitted to Slurm as jobs {' and '.join(jobs.ids)}; the last one writes the records and the report"
        )


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
