"""`videopath serve --engine vllm`: vLLM's own server for a checkpoint in the layout llava_onevision.

vLLM runs without our code: what then differs is said when it starts. Its options are those of its documentation
(docs.vllm.ai, `vllm serve`); it needs a GPU.
"""

import json
import os
import shlex
import shutil
from typing import Any

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.errors import UserError
from videopath_hf.progress import note
from videopath_hf.serving.serve import API_KEY, ServeSettings

_NO_DOMAIN = "none.invalid"  # a name that never exists: without any, vLLM fetches from everywhere
_NOT_OF_VLLM = {
    "waiting": "--waiting",
    "request_bytes": "--max-request-mb",
    "device": "--device",
}
"""Settings that vLLM has nothing for, and their options."""


def serve_with_vllm(settings: ServeSettings, show: bool = False) -> None:
    """Become vLLM's server, or print its command line.

    Raises:
        UserError: the checkpoint is in another layout, a setting is not one of vLLM's, or vLLM is not installed.
    """
    _check_layout(settings)
    command, environment = vllm_command(settings)
    if show:
        shown = [f"{name}={value}" for name, value in sorted(environment.items()) if name != "VLLM_API_KEY"]
        print(" ".join([*shown, shlex.join(command)]))
        return
    program = shutil.which(command[0])
    if program is None:
        raise UserError("vllm is not installed here: pip install vllm (needs a GPU), or use --engine transformers")
    from videopath_hf.modeling.stock_settings import NOTES

    note(RESEARCH_NOTICE)
    for text in NOTES:
        note(f"without our code: {text}")
    os.execvpe(program, command, {**os.environ, **environment})


def vllm_command(settings: ServeSettings) -> tuple[list[str], dict[str, str]]:
    """vLLM's command line, and the variables of the environment that go with it.

    Answers are greedy unless a request says otherwise, as those of `videopath ask`. Media come in the request alone,
    or from the hosts in `domains`; vLLM does not look whether an address is public, so none is fetched otherwise.

    Raises:
        UserError: a setting that vLLM has nothing for.
    """
    _check_settings(settings)
    media = settings.media
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "served-model-name": settings.served_name,
        "revision": settings.revision,
        "dtype": None if settings.dtype == "auto" else settings.dtype,
        "quantization": "bitsandbytes" if settings.bits else None,
        "limit-mm-per-prompt": {"image": media.files, "video": media.files},
        "media-io-kwargs": {"video": {"num_frames": settings.frames}},
        "override-generation-config": {"temperature": 0.0, "max_new_tokens": settings.max_new_tokens},
    }
    command = ["vllm", "serve", settings.model]
    for name, value in options.items():
        if value is not None:
            command += [f"--{name}", json.dumps(value) if isinstance(value, dict) else str(value)]
    command += ["--allowed-media-domains", *(settings.domains or (_NO_DOMAIN,))]
    environment = {"VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0"}
    if key := os.environ.get(API_KEY):
        environment["VLLM_API_KEY"] = key
    return command, environment


def _check_settings(settings: ServeSettings) -> None:
    usual = ServeSettings(settings.model)
    odd = [option for name, option in _NOT_OF_VLLM.items() if getattr(settings, name) != getattr(usual, name)]
    if settings.media.bytes != usual.media.bytes:
        odd.append("--max-media-mb")
    if settings.media.private:
        odd.append("--allow-private (name hosts with --allow-domain)")
    if settings.bits == 8:
        odd.append("--quantization 8bit")
    if settings.port == 0:
        odd.append("--port 0")
    if odd:
        raise UserError(f"vLLM has nothing for {', '.join(odd)}; leave it out or use --engine transformers")


def _check_layout(settings: ServeSettings) -> None:
    """Raise `UserError` unless the checkpoint is one that vLLM opens."""
    from videopath_hf.files import read_json
    from videopath_hf.modeling.loading import find_config

    found = read_json(find_config(settings.model, settings.revision))
    model_type = found.get("model_type")
    if model_type == "llava_onevision":
        return
    why = f"{settings.model} is of type {model_type!r}, and vLLM opens llava_onevision"
    if found.get("video_newline_position", "one_token") != "one_token":
        raise UserError(
            f"{why}, which has no video_newline_position = {found['video_newline_position']!r}: use --engine "
            "transformers, or train with video_newline_position: one_token"
        )
    raise UserError(f"{why}: videopath convert {settings.model} converted --layout llava_onevision")
