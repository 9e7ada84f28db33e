import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Literal

import numpy as np
import pytest

from tests.curation.conftest import labelled, stained
from videopath_hf.curation import networks
from videopath_hf.curation.faces import FaceDetector
from videopath_hf.curation.networks import choose_engine, engine_name
from videopath_hf.curation.ocr import RapidOcrReader, rapidocr_installed
from videopath_hf.errors import MissingExtraError

needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")


def _without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "find_spec", lambda name: None if name == "openvino" else find_spec(name))
    choose_engine.cache_clear()


def test_openvino_is_named_where_it_is_asked_for_and_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_openvino(monkeypatch)
    with pytest.raises(MissingExtraError, match="openvino"):
        choose_engine("openvino")
    assert choose_engine("auto") == "onnxruntime"
    choose_engine.cache_clear()


def test_the_record_names_the_engine_and_its_version() -> None:
    assert engine_name("onnxruntime").startswith("onnxruntime 1.")
    assert FaceDetector("onnxruntime").name == f"centerface, {engine_name('onnxruntime')}"


@needs_openvino
def test_both_engines_find_the_same_faces_to_a_few_hundredths() -> None:
    sample = _outputs("openvino")
    for exact, fast in zip(_outputs("onnxruntime"), sample, strict=True):
        assert fast.shape == exact.shape
        assert abs(fast - exact).max() < 0.05 * max(1.0, abs(exact).max())


@needs_openvino
def test_several_threads_may_run_one_network() -> None:
    alone = _outputs("openvino")
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(lambda _: _outputs("openvino"), range(6)):
            assert all(np.array_equal(a, b) for a, b in zip(found, alone, strict=True))


_AT_ONCE = """
import faulthandler, sys
from threading import Thread
import numpy as np
from videopath_hf.curation import faces, networks
faulthandler.dump_traceback_later(30, exit=True)
network, picture, begun = networks.open_network(faces._MODEL, "openvino"), np.zeros((1, 3, 32, 32), np.float32), []
def run():
    while not begun: pass
    network.run(faces._OUTPUTS, {faces._INPUT: picture})
threads = [Thread(target=run) for _ in range(6)]
sys.setswitchinterval(1e-6)  # threads take turns as often as can be
for thread in threads: thread.start()
begun.append(True)
for thread in threads: thread.join()
"""


@needs_openvino
def test_the_first_threads_to_run_a_network_do_not_wait_for_each_other_without_end() -> None:
    process = subprocess.run([sys.executable, "-c", _AT_ONCE], stderr=subprocess.PIPE, text=True, timeout=120)
    assert process.returncode == 0, process.stderr


@needs_openvino
@pytest.mark.skipif(not rapidocr_installed(), reason="rapidocr is not installed")
def test_both_engines_read_a_line_alike() -> None:
    image = labelled(stained(240, 640), "Case 12: morphea", (60, 100))
    texts = [[text.text for text in RapidOcrReader(640, engine).read(image)] for engine in ("openvino", "onnxruntime")]
    assert texts[0] == texts[1] and "morphea" in texts[0][0]


@pytest.mark.skipif(not rapidocr_installed(), reason="rapidocr is not installed")
@pytest.mark.parametrize("engine", [pytest.param("openvino", marks=needs_openvino), "onnxruntime"])
def test_a_reader_finds_and_reads_the_same_beside_others(engine: Literal["openvino", "onnxruntime"]) -> None:
    reader = RapidOcrReader(640, engine)
    pages = [labelled(stained(240, 640), "Case 1: morphea", (60, 20 + 40 * number)) for number in range(4)]
    alone = [reader.read(page) for page in pages]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns as often as can be
    try:
        with ThreadPoolExecutor(4) as pool:
            beside = list(pool.map(reader.read, pages * 10))
    finally:
        sys.setswitchinterval(interval)
    assert beside == alone * 10


def _outputs(engine: str) -> list[np.ndarray]:
    from videopath_hf.curation import faces

    picture = stained(192, 320).transpose(2, 0, 1)[None].astype(np.float32)
    network = networks.open_network(faces._MODEL, engine)  # type: ignore[arg-type]
    return list(network.run(faces._OUTPUTS, {faces._INPUT: picture}))
