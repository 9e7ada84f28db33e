from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.curation.conftest import HEIGHT, WIDTH, stained
from videopath_hf.curation.boxes import overlap
from videopath_hf.curation.settings import CurateSettings, PersonSettings, TissueSettings
from videopath_hf.curation.yolo import CheckpointYolo, OnnxYolo, open_detectors, person_detector
from videopath_hf.errors import UserError
from videopath_hf.video.decode import iter_frames

needs_ultralytics = pytest.mark.skipif(find_spec("ultralytics") is None, reason="ultralytics is not installed")


class Session:
    """Answers as an exported model for two classes does: centre, size and scores of each candidate."""

    def __init__(self, *rows: tuple[float, ...]) -> None:
        self.raw = np.array(rows, dtype=np.float32).T[None]
        self.seen: Any = None

    def run(self, names: Any, inputs: dict[str, Any]) -> list[Any]:
        self.seen = inputs["images"]
        return [self.raw]


def onnx_model(session: Session, number: int) -> OnnxYolo:
    model = OnnxYolo.__new__(OnnxYolo)
    model._session, model._input, model._size = session, "images", (320, 320)
    model._class, model._label, model.name = number, "person", "test"
    return model


def test_boxes_of_an_onnx_model_come_back_in_the_pictures_own_pixels() -> None:
    # 640 x 360 goes into 320 x 320 at half its size, with grey below.
    session = Session((100, 50, 40, 60, 0.1, 0.9), (102, 51, 40, 60, 0.1, 0.6), (200, 100, 20, 20, 0.9, 0.1))
    (found,) = onnx_model(session, 1).find(stained(HEIGHT, WIDTH), 640)
    assert (found.box, found.label) == ((160, 40, 240, 160), "person")
    assert found.score == pytest.approx(0.9)
    assert session.seen.shape == (1, 3, 320, 320)
    assert np.allclose(session.seen[:, :, 180:], 114 / 255)


def test_an_onnx_model_that_finds_nothing_finds_nothing() -> None:
    assert onnx_model(Session((100, 50, 40, 60, 0.1, 0.2)), 1).find(stained(HEIGHT, WIDTH), 640) == []


def test_a_backend_without_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="needs weights"):
        PersonSettings(backend="yolo")
    with pytest.raises(ValueError, match="needs weights"):
        TissueSettings(backend="yolo")


def test_weights_that_are_absent_or_of_another_kind_are_named(tmp_path: Path) -> None:
    absent = CurateSettings(tissue=TissueSettings(backend="yolo", weights=str(tmp_path / "no.onnx")))
    with pytest.raises(UserError, match=r"tissue\.weights: .*no\.onnx does not exist"):
        open_detectors(absent)
    (tmp_path / "a.bin").touch()
    with pytest.raises(UserError, match=r"neither \.onnx nor \.pt"):
        person_detector(PersonSettings(backend="yolo", weights=str(tmp_path / "a.bin")))
    (tmp_path / "a.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match="no ONNX model"):
        person_detector(PersonSettings(backend="yolo", weights=str(tmp_path / "a.onnx")))


def test_a_pickle_is_not_opened_unless_it_is_trusted(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"whatever")
    with pytest.raises(UserError, match=r"persons\.trust_weights=true"):
        person_detector(PersonSettings(backend="yolo", weights=str(tmp_path / "a.pt")))


def test_the_default_needs_no_weights() -> None:
    (detector,) = open_detectors(CurateSettings())
    assert detector.name.startswith("centerface, ")


@needs_ultralytics
@pytest.mark.needs_shared
def test_a_real_checkpoint_finds_the_presenter_and_nobody_on_the_slide(shared: Path) -> None:
    model = CheckpointYolo(shared / "models" / "yolo11n_from_int8.pt", "person")
    lecture = shared / "lectures" / "dev" / "lecture.mp4"
    (full,) = iter_frames(lecture, 1.0, 9.0, 9.5)
    assert overlap(model.find(full.image, 640)[0].box, (362, 14, 917, 720)) >= 0.7
    (inset,) = iter_frames(lecture, 1.0, 18.0, 18.5)
    assert overlap(model.find(inset.image, 640)[0].box, (1081, 477, 1258, 702)) >= 0.6
    (slide,) = iter_frames(lecture, 1.0, 40.0, 40.5)
    assert all(hit.score < 0.55 for hit in model.find(slide.image, 640))


@needs_ultralytics
@pytest.mark.needs_shared
def test_a_class_that_a_checkpoint_does_not_know_is_named(shared: Path) -> None:
    with pytest.raises(UserError, match="no class 'tissue'; it has person"):
        CheckpointYolo(shared / "models" / "yolo11n_from_int8.pt", "tissue")
