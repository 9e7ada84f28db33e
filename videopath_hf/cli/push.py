"""`videopath push`: what was made here, onto the Hub."""

from pathlib import Path
from typing import Annotated

import typer

from videopath_hf.cli.options import ConfigOption, JsonOption, OverrideOption
from videopath_hf.cli.output import emit

DATASET_EXAMPLE = "Example: videopath push dataset data my-lab/gi-lectures --private --licence 'CC BY-NC 4.0'"

MODEL_EXAMPLE = (
    "Example: videopath push model merged my-lab/gi-videopath --results scores --test-set my-lab/gi-lectures"
)

Repo = Annotated[str, typer.Argument(metavar="REPO", help="OWNER/NAME, or NAME in your own account.")]
Private = Annotated[bool, typer.Option("--private", help="Make the repository private.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything and print what would be sent.")]

app = typer.Typer(name="push", help="Publish on the Hugging Face Hub.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _root() -> None:
    """Publish on the Hugging Face Hub."""


@app.command(name="dataset", epilog=DATASET_EXAMPLE)
def push_dataset(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A dataset folder, e.g. of `videopath instruct`.")],
    repo: Repo,
    private: Private = False,
    layout: Annotated[
        str | None,
        typer.Option(
            help="parquet (shards that carry the clips; the default) or folder (mp4 files).",
            autocompletion=lambda: ["parquet", "folder"],
        ),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of records whose own is unknown, if you hold the rights.")
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kinds",
            help="Only records of this kind: caption, image, clip, video. Repeatable.",
            autocompletion=lambda: ["caption", "image", "clip", "video"],
        ),
    ] = None,
    dry_run: DryRun = False,
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


@app.command(name="model", epilog=MODEL_EXAMPLE)
def push_model(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A checkpoint, or an adapter.")],
    repo: Repo,
    private: Private = False,
    layout: Annotated[
        str | None,
        typer.Option(
            help="both where possible (the default), videopath, or llava_onevision (opens without our code).",
            autocompletion=lambda: ["both", "videopath", "llava_onevision"],
        ),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="The model's licence; what its data's licences ask for by default.")
    ] = None,
    permission: Annotated[
        str | None, typer.Option(help="Who allowed publishing although a licence of the data does not; on the card.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="What `videopath evaluate` wrote about this model; needs --test-set.")
    ] = None,
    test_set: Annotated[str | None, typer.Option(help="What the results are about, e.g. a dataset's id.")] = None,
    base_model: Annotated[
        list[str] | None, typer.Option(help="Id of what training started from, or of an adapter's base. Repeatable.")
    ] = None,
    base_revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of an adapter's base.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Id of data it was trained on. Repeatable.")] = None,
    dry_run: DryRun = False,
    config: ConfigOption = None,
    overrides: OverrideOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish a model with its card and recipes; run again after an interruption, it goes on.

    Plain LLaVA-OneVision on `main` where that can express it, ours on the branch `videopath`. Its licence is what the
    licences of its data ask for. Log in with `hf auth login` or HF_TOKEN.
    """
    from videopath_hf.publishing.model import check_model, publish_model
    from videopath_hf.publishing.settings import PublishModelSettings
    from videopath_hf.settings import load_settings

    given = {
        "private": private or None,
        "layout": layout,
        "licence": licence,
        "permission": permission,
        "results": results,
        "test_set": test_set,
        "base_model": tuple(base_model or ()),
        "base_revision": base_revision,
        "datasets": tuple(dataset or ()),
    }
    values = {name: value for name, value in given.items() if value}
    settings = load_settings(PublishModelSettings, config, overrides or (), **values)
    if dry_run:
        found = check_model(folder, repo, settings)
        card = found.pop("card")
        emit({**found, "card": card} if as_json else found, as_json)
        if not as_json:
            typer.echo(f"\n{card}")
        return
    emit(publish_model(folder, repo, settings).model_dump(mode="json"), as_json)
