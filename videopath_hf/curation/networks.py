"""Networks in ONNX files, and how many threads one of them gets."""

import os
from functools import cache
from pathlib import Path
from typing import Any

from videopath_hf.video.backends import cpus


def inference_threads() -> int:
    """Threads for one network: `OMP_NUM_THREADS`, or half of the cores, as faces are looked for beside the reading of
    text; on two cores a second thread for one network costs more than it gains."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else max(1, cpus() // 2)


@cache
def open_network(path: Path) -> Any:
    """ONNX Runtime's session for a model file; it may be run by several threads at once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = inference_threads()
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
