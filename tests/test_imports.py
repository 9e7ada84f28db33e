"""Optional packages leave the process as it was, and tell nobody."""

import subprocess
import sys
from importlib.util import find_spec

import pytest


def _after(act: str, asked: str) -> str:
    """What an expression is, in a new process, after an act that imports optional packages."""
    code = f"from PIL import Image\n{act}\nimport sys\nprint({asked})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.splitlines()[-1]


@pytest.mark.skipif(find_spec("ultralytics") is None, reason="ultralytics is not installed")
@pytest.mark.parametrize(
    "act",
    [
        "from videopath_hf.imports import import_quietly; import_quietly('ultralytics.models')",
        "from videopath_hf.serving.probes import probe; probe('ultralytics')",
    ],
)
def test_pictures_are_opened_as_before(act: str) -> None:
    # ultralytics' own would run pip for a picture that is none
    assert _after(act, "'ultralytics' in sys.modules, Image.open.__module__") == "True PIL.Image"


@pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")
@pytest.mark.parametrize(
    "act",
    [
        "from videopath_hf.curation.faces import FaceDetector; FaceDetector('openvino').name",
        "from videopath_hf.curation.ocr import RapidOcrReader; RapidOcrReader(320, 'openvino')",
        "from videopath_hf.serving.probes import probe; probe('openvino')",
    ],
)
def test_openvino_reports_to_nobody(act: str) -> None:
    asked = "'openvino' in sys.modules, [name for name in sys.modules if name.startswith('openvino_telemetry.')]"
    assert _after(act, asked) == "True []"
