"""Optional packages leave the process as it was."""

import subprocess
import sys
from importlib.util import find_spec

import pytest


def _opener_after(act: str) -> str:
    """Which module `PIL.Image.open` is of, in a new process, after an act that imports ultralytics."""
    code = f"from PIL import Image\n{act}\nimport sys\nprint('ultralytics' in sys.modules, Image.open.__module__)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.splitlines()[-1]


@pytest.mark.skipif(find_spec("ultralytics") is None, reason="ultralytics is not installed")
@pytest.mark.parametrize(
    "act",
    [
        "from videopath_hf.imports import import_quietly; import_quietly('ultralytics.models')",
        "from videopath_hf.serving.doctor import examine; examine()",
    ],
)
def test_pictures_are_opened_as_before(act: str) -> None:
    assert _opener_after(act) == "True PIL.Image"  # ultralytics' own would run pip for a picture that is none
