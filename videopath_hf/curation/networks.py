"""Networks in ONNX files: what runs them, and how many threads one of them gets."""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, Literal, Protocol

import numpy as np

from videopath_hf.curation.settings import Engine
from videopath_hf.errors import MissingExtraError
from videopath_hf.imports import import_quietly
from videopath_hf.video.backends import cpus

_one_at_a_time = Lock()  # networks are loaded: `cache` alone would load one twice for two threads


class Network(Protocol):
    """A network that is ready to be run, by several threads at once."""

    def run(self, outputs: Sequence[str], inputs: Mapping[str, Any]) -> Sequence[Any]:
        """The outputs of these names, arrays, for inputs by name."""


def inference_threads() -> int:
    """Threads for one network: `OMP_NUM_THREADS`, or half of the cores, as faces are looked for beside the reading of
    text; on two cores a second thread for one network costs more than it gains."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else max(1, cpus() // 2)


def check_engine(asked: Engine) -> None:
    """Raise `MissingExtraError` where OpenVINO is asked for and not installed; nothing is imported."""
    if asked == "openvino" and find_spec("openvino") is None:
        raise MissingExtraError("openvino", "curate", "engine=openvino")


@cache
def choose_engine(asked: Engine) -> Literal["openvino", "onnxruntime"]:
    """The engine to use; raises as `check_engine`."""
    check_engine(asked)
    if asked == "onnxruntime" or find_spec("openvino") is None:
        return "onnxruntime"
    with _one_at_a_time:
        core = _core()  # also for others that import it afterwards: the first import decides whether it reports
    if asked == "openvino" or "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return "openvino"
    return "onnxruntime"


@cache
def _core() -> Any:
    """OpenVINO, ready for several threads.

    The first array that goes through its binding fills tables there, once, and lets go of the interpreter's lock on
    the way: a second thread that comes by then waits for the tables, and the first one for the lock, without end.
    """
    openvino = import_quietly("openvino")
    _ = openvino.Tensor(np.zeros(1, np.float32)).data
    return openvino.Core()


def engine_name(asked: Engine) -> str:
    """The engine that is used and its version, for the record."""
    engine = choose_engine(asked)
    return f"{engine} {version(engine)}"


def open_network(path: Path, engine: Engine = "onnxruntime") -> Any:
    """A network that is ready to be run; with `onnxruntime` its whole `InferenceSession`."""
    load = _openvino if choose_engine(engine) == "openvino" else _onnxruntime
    with _one_at_a_time:
        return load(path)


@cache
def _onnxruntime(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = inference_threads()
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@cache
def _openvino(path: Path) -> Network:
    # Pinned, as they are by default, the threads of all networks would share the first core.
    wanted = {"INFERENCE_NUM_THREADS": inference_threads(), "ENABLE_CPU_PINNING": False}
    return OpenVinoNetwork(_core().compile_model(str(path), "CPU", wanted))


class OpenVinoNetwork:
    """A model that OpenVINO has compiled; every run writes to memory of its own."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def run(self, outputs: Sequence[str], inputs: Mapping[str, Any]) -> Sequence[Any]:
        """See `Network`."""
        request = self._model.create_infer_request()
        request.infer(dict(inputs))
        return [request.get_tensor(name).data.copy() for name in outputs]
