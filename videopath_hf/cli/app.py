"""`videopath app`: a page on which clips are shown to a model and asked about."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from videopath_hf.cli.options import (
    ConfigOption,
    DeviceOption,
    Dtype,
    DtypeOption,
    OverrideOption,
    QuantizationOption,
    RevisionOption,
)

EXAMPLE = "Example: videopath app --model merged"


class Switch(str, Enum):
    """On or off."""

    on = "on"
    off = "off"


def app(
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Checkpoint folder or Hub id; the demo's if omitted.")
    ] = None,
    compare: Annotated[str | None, typer.Option(help="A second checkpoint, which answers beside the first.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all of this machine's.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="The first free one from 7860 on if omitted.")] = None,
    share: Annotated[
        Switch, typer.Option(help="Also at a public address of Gradio's, which all files and answers then pass.")
    ] = Switch.off,
    device: DeviceOption = "auto",
    dtype: DtypeOption = Dtype.auto,
    quantization: QuantizationOption = None,
    revision: RevisionOption = None,
    uploads: Annotated[
        Path | None, typer.Option(help="Folder for visitors' files while they are here; a temporary one if omitted.")
    ] = None,
    config: ConfigOption = None,
    overrides: OverrideOption = None,
) -> None:
    """Serve a web page: bring a clip, ask about it, see what the answer rests on.

    Visitors' files are deleted when they leave. Limits are settings, e.g. --set limits.video_seconds=600; all of them
    are in the documentation of `videopath_hf.serving.app.settings`. Research software, never advice for care.
    """
    from videopath_hf.progress import note
    from videopath_hf.serving.app.launch import run_app
    from videopath_hf.serving.app.settings import AppSettings
    from videopath_hf.settings import load_settings

    settings = load_settings(AppSettings, config, overrides or ())
    if host not in ("127.0.0.1", "localhost", "::1"):
        note(f"whoever reaches {host} can use the app; it asks for no password")
    run_app(
        model,
        compare,
        settings=settings,
        host=host,
        port=port,
        share=share is Switch.on,
        device=device,
        dtype=dtype.value,
        bits=quantization.bits if quantization else None,
        revision=revision,
        uploads=uploads,
        on_ready=lambda address: typer.echo(f"the app is at {address} (end it with Ctrl-C)"),
    )
