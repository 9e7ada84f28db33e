"""`videopath push`: what was made here, onto the Hub."""

from pathlib import Path
from typing import Annotated

import typer

from videopath_hf.cli.options import ConfigOption, JsonOption, OverrideOption
from videopath_hf.cli.output import emit

DATASET_EXAMPLE = "Example: videopath push dataset data my-lab/gi-lectures --private --licence 'CC BY-NC 4.0'"

app = typer.Typer(name="push", help="Publish on the Hugging Face Hub.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _root() -> None:
    """Publish on the Hugging Face Hub."""


@app.command(name="dataset", epilog=DATASET_EXAMPLE)
def push_dataset(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A dataset folder, e.g. of `videopath instruct`.")],
    repo: Annotated[str, typer.Argument(metavar="REPO", help="OWNER/NAME, or NAME in your own account.")],
    private: Annotated[bool, typer.Option("--private", help="Make the repository private.")] = False,
    layout: Annotated[
        str | None, typer.Option(help="parquet (shards that carry the clips; the default) or folder (mp4 files).")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of records whose own is unknown, if you hold the rights.")
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kinds", help="Only records of this kind: caption, image, clip, video. Repeatable."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and print what would be sent.")] = False,
    config: ConfigOption = None,
    overrides: OverrideOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish a dataset with its card; run again after an interruption, it goes on.

    Plain `datasets.load_dataset` opens what is published. Sources whose licence is unknown or forbids it are refused.
    Log in with `hf auth login` or HF_TOKEN.
    """
    from videopath_hf.data.publish import check_publishable, publish_dataset
    from videopath_hf.data.publish_settings import PublishSettings
    from videopath_hf.settings import load_settings

    given = {"layout": layout, "licence": licence, "kinds": kinds, "private": private or None}
    values = {name: value for name, value in given.items() if value}
    settings = load_settings(PublishSettings, config, overrides or (), **values)
    if dry_run:
        emit(check_publishable(folder, settings), as_json)
        return
    emit(publish_dataset(folder, repo, settings).model_dump(mode="json"), as_json)
