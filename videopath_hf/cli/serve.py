"""`videopath serve`: a model behind an OpenAI-compatible address."""

from enum import Enum
from typing import Annotated

import typer

from videopath_hf.cli.options import DeviceOption, Dtype, DtypeOption, QuantizationOption, RevisionOption
from videopath_hf.errors import UserError

EXAMPLE = "Example: videopath serve --model merged --port 8000"


class Engine(str, Enum):
    """What answers."""

    transformers = "transformers"
    vllm = "vllm"


def serve(
    model: Annotated[str, typer.Option("--model", "-m", help="Checkpoint folder or Hub id; no other is served.")],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for everybody.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 for one that is free.", min=0, max=65535)] = 8000,
    engine: Annotated[
        Engine, typer.Option(help="transformers, or vllm for a checkpoint in the layout llava_onevision.")
    ] = Engine.transformers,
    name: Annotated[
        str | None, typer.Option(help="What clients call the model; its folder's name or its id by default.")
    ] = None,
    frames: Annotated[int, typer.Option(help="Most frames taken from each video, evenly spaced.", min=1)] = 32,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.", min=1)] = 1024,
    waiting: Annotated[int, typer.Option(help="Requests that may wait while one is answered.", min=0)] = 8,
    max_request_mb: Annotated[float, typer.Option(help="Largest request; base64 adds a third.", min=0.001)] = 300,
    max_media_mb: Annotated[float, typer.Option(help="Most media of one request, together.", min=0.001)] = 200,
    max_media: Annotated[int, typer.Option(help="Most images and videos of one request.", min=1)] = 8,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Fetch media from this machine and its network, too.")
    ] = False,
    allow_domain: Annotated[
        list[str] | None, typer.Option(help="Of vllm: a host whose media it may fetch; none by default. Repeatable.")
    ] = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = Dtype.auto,
    quantization: QuantizationOption = None,
    revision: RevisionOption = None,
    show_command: Annotated[
        bool, typer.Option("--show-command", help="Of vllm: print the command instead of running it.")
    ] = False,
) -> None:
    """Serve a model to clients of OpenAI's API, at /v1/chat/completions.

    Videos and images come as `video_url` and `image_url` blocks: web addresses or base64. Answers are those of
    `videopath ask`. VIDEOPATH_SERVE_API_KEY sets a key that clients must send. Research software, never advice for
    care.
    """
    from videopath_hf.serving.media import MediaLimits
    from videopath_hf.serving.serve import ServeSettings, serve_model
    from videopath_hf.serving.vllm import serve_with_vllm

    settings = ServeSettings(
        model=model,
        name=name,
        host=host,
        port=port,
        frames=frames,
        max_new_tokens=max_new_tokens,
        waiting=waiting,
        request_bytes=int(max_request_mb * 1e6),
        media=MediaLimits(files=max_media, bytes=int(max_media_mb * 1e6), private=allow_private),
        domains=tuple(allow_domain or ()),
        device=device,
        dtype=dtype.value,
        bits=quantization.bits if quantization else None,
        revision=revision,
    )
    if engine is Engine.vllm:
        serve_with_vllm(settings, show_command)
        return
    if show_command:
        raise UserError("--show-command is of --engine vllm; this engine runs in this process")
    serve_model(settings)
