"""`videopath serve`: a model behind an OpenAI-compatible address, by an engine that exists already."""

import copy
import os
import re
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.errors import MissingExtraError, UserError
from videopath_hf.progress import note
from videopath_hf.serving.media import MediaLimits

Engine = Literal["transformers", "vllm"]
API_KEY = "VIDEOPATH_SERVE_API_KEY"
"""Variable of the environment with the key that clients must send; none is asked for where it is not set."""

_LEAVE_TIME = 5  # seconds for which answers may go on after the server was told to stop


@dataclass(frozen=True)
class ServeSettings:
    """How a model is served.

    Args:
        model (`str`): checkpoint folder or Hub id.
        name (`str`, *optional*): what clients call it; by default the folder's name or the id.
        host (`str`, defaults to `"127.0.0.1"`): address to listen at.
        port (`int`, defaults to 8000): port to listen at; 0 for one that is free.
        frames (`int`, defaults to 32): most frames taken from each video, evenly spaced.
        max_new_tokens (`int`, defaults to 1024): longest answer, in tokens.
        waiting (`int`, defaults to 8): requests that may wait while one is answered.
        request_bytes (`int`, defaults to 300 MB): longest request; base64 makes a file a third longer.
        media ([`MediaLimits`]): of what requests bring.
        domains (`tuple[str, ...]`): of vLLM: hosts whose media it may fetch.
        device, dtype, bits, revision: as of [`~videopath_hf.modeling.loading.load_model`].
    """

    model: str
    name: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    frames: int = 32
    max_new_tokens: int = 1024
    waiting: int = 8
    request_bytes: int = 300_000_000
    media: MediaLimits = field(default_factory=MediaLimits)
    domains: tuple[str, ...] = ()
    device: str = "auto"
    dtype: str = "auto"
    bits: int | None = None
    revision: str | None = None

    @property
    def served_name(self) -> str:
        """What clients call the model."""
        folder = Path(self.model)
        return self.name or (folder.resolve().name if folder.is_dir() else self.model)


def serve_model(settings: ServeSettings) -> None:
    """Load a model and answer requests until SIGINT or SIGTERM.

    Raises:
        UserError: the model cannot be loaded, the address cannot be listened at, or the extra `serve` is missing.
    """
    try:
        import fastapi  # noqa: F401
        import openai  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise MissingExtraError(str(error.name), "serve", "videopath serve") from None
    if settings.domains:
        raise UserError("--allow-domain is of --engine vllm; this engine fetches from any public address")
    from videopath_hf.modeling.loading import load_model
    from videopath_hf.serving.server import build_app

    listener = _bind(settings.host, settings.port)
    with listener:
        model, processor = load_model(
            settings.model, settings.dtype, settings.device, bits=settings.bits, revision=settings.revision
        )
        processor.video_processor.num_frames = settings.frames
        processor.video_processor.sampling = "uniform"
        app, handler = build_app(
            settings.served_name,
            model,
            processor,
            limits=settings.media,
            max_new_tokens=settings.max_new_tokens,
            waiting=settings.waiting,
            max_request_bytes=settings.request_bytes,
            api_key=os.environ.get(API_KEY) or None,
        )
        config = uvicorn.Config(app, log_config=_logging(), timeout_graceful_shutdown=_LEAVE_TIME)
        # uvicorn stops at these signals and sends them on when it has stopped.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        listener.listen()
        _announce(settings, listener.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listener])
        handler.finish()
    note("stopped")


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot listen at {host}, port {port}: {why}; give others with --host and --port") from None
    return listener


def _announce(settings: ServeSettings, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    media = settings.media
    note(f"serving {settings.model} at http://{host}:{port}/v1 as model {settings.served_name!r}")
    note(RESEARCH_NOTICE)
    note(
        f"one answer of up to {settings.max_new_tokens} tokens at a time, {settings.waiting} requests may wait; a "
        f"request has up to {settings.request_bytes / 1e6:g} MB and {media.files} images and videos of "
        f"{media.bytes / 1e6:g} MB together, each video is seen in {settings.frames} frames"
    )
    if media.private:
        note("addresses of this machine and its network are fetched for anybody who asks (--allow-private)")
    if not re.match(r"127\.|::1$|localhost$", settings.host) and not os.environ.get(API_KEY):
        note(f"anybody who reaches {settings.host} may ask; set {API_KEY} to a key that clients must send")


def _logging() -> dict[str, Any]:
    """uvicorn's logging, all of it on stderr."""
    from uvicorn.config import LOGGING_CONFIG

    config = copy.deepcopy(LOGGING_CONFIG)
    config["handlers"]["access"]["stream"] = "ext://sys.stderr"
    return config
