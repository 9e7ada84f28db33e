"""YOLO detectors of your own: persons and tissue by weights that ultralytics trained.

Ultralytics, and by its terms what it trains and exports, is AGPL-3.0; nothing here needs it but `.pt` files. An
`.onnx` export holds no code and is run by ONNX Runtime alone. A `.pt` checkpoint is a pickle that can run anything
when it is opened, which is why it must be trusted by name.
"""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from videopath_hf.curation.boxes import clipped
from videopath_hf.curation.faces import Detector, FaceDetector, Found
from videopath_hf.curation.networks import open_network
from videopath_hf.curation.settings import CurateSettings, PersonSettings, TissueSettings
from videopath_hf.curation.tissue import Picture
from videopath_hf.errors import MissingExtraError, UserError
from videopath_hf.files import file_sha256
from videopath_hf.imports import import_quietly
from videopath_hf.records import Box

_LEAST = 0.25  # score below which a hit is left out
_SAME = 0.5  # overlap from which two hits of a class are one thing
_GREY = 114  # what YOLO is trained to see around a picture of another shape


class OnnxYolo:
    """A YOLO detection model that ultralytics exported to ONNX (`yolo export format=onnx`), without its NMS.

    Args:
        path (`Path`): the file; its classes are in its metadata.
        label (`str`): the class to look for.

    Raises:
        UserError: no detection model, or one without that class.
    """

    def __init__(self, path: Path, label: str) -> None:
        if find_spec("onnxruntime") is None:
            raise MissingExtraError("onnxruntime", "curate", f"running {path.name}")
        try:
            self._session = open_network(path)
        except Exception as error:  # onnxruntime's errors share no base class
            raise UserError(f"{path} is no ONNX model: {' '.join(str(error).split())[:200]}") from None
        source = self._session.get_inputs()[0]
        self._input, self._size = source.name, tuple(source.shape[2:])
        names = self._session.get_modelmeta().custom_metadata_map.get("names")
        if names is None or not all(isinstance(side, int) for side in self._size):
            raise UserError(
                f"{path} is no YOLO detection model as ultralytics exports it: it must name its classes in its "
                "metadata and take pictures of one size; export it with "
                "`yolo export model=WEIGHTS.pt format=onnx imgsz=640`"
            )
        self._class = _class_number({int(k): str(v) for k, v in ast.literal_eval(names).items()}, label, path)
        self._label = label
        self.name = f"{path.name} {file_sha256(path)[:12]}"

    def find(self, image: Picture, width: int) -> list[Found]:
        """Things of the class in the picture, surest first; `width` is the model's own."""
        tall, wide = self._size
        scale = min(wide / image.shape[1], tall / image.shape[0])
        height, across = round(image.shape[0] * scale), round(image.shape[1] * scale)
        framed = np.full((tall, wide, 3), _GREY, dtype=np.uint8)
        framed[:height, :across] = cv2.resize(image, (across, height), interpolation=cv2.INTER_AREA)
        batch = framed.transpose(2, 0, 1)[None].astype(np.float32) / 255.0
        (raw,) = self._session.run(None, {self._input: batch})
        rows = raw[0].T
        scores = rows[:, 4 + self._class]
        rows, scores = rows[scores >= _LEAST], scores[scores >= _LEAST]
        corners = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, 2:4]], axis=1)
        kept = cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), _LEAST, _SAME) if len(rows) else []
        found = []
        for number in np.asarray(kept, dtype=int).ravel():
            x, y, w, h = corners[number] / scale
            found.append(Found(_inside((x, y, x + w, y + h), image), float(scores[number]), self._label))
        return found


class CheckpointYolo:
    """A `.pt` checkpoint run by ultralytics (AGPL-3.0). Opening it runs what its maker put into it.

    Raises:
        MissingExtraError: ultralytics is not installed.
        UserError: no detection model, or one without that class.
    """

    def __init__(self, path: Path, label: str) -> None:
        if find_spec("ultralytics") is None:
            raise MissingExtraError("ultralytics", "yolo", f"running {path.name} (ultralytics is AGPL-3.0)")
        try:
            self._model = import_quietly("ultralytics.models").YOLO(str(path), task="detect")
            names = dict(self._model.names)
        except Exception as error:  # whatever a damaged pickle raises
            raise UserError(f"{path} is no YOLO checkpoint: {' '.join(str(error).split())[:200]}") from None
        self._class = _class_number(names, label, path)
        self._label = label
        self.name = f"{path.name} {file_sha256(path)[:12]}"

    def find(self, image: Picture, width: int) -> list[Found]:
        """Things of the class in the picture, surest first."""
        (result,) = self._model.predict(
            np.ascontiguousarray(image[:, :, ::-1]),
            imgsz=max(32, width // 32 * 32),
            conf=_LEAST,
            classes=[self._class],
            verbose=False,
        )
        boxes, scores = result.boxes.xyxy.tolist(), result.boxes.conf.tolist()
        return [
            Found(_inside(tuple(box), image), score, self._label) for box, score in zip(boxes, scores, strict=True)
        ]


def person_detector(settings: PersonSettings) -> Detector:
    """The detector of presenters that the settings ask for."""
    if settings.backend == "faces":
        return FaceDetector(settings.engine)
    return _yolo(settings.weights or "", settings.trust_weights, "person", "persons")


def tissue_detector(settings: TissueSettings) -> Detector | None:
    """The detector of tissue that the settings ask for; None for colours."""
    if settings.backend == "colour":
        return None
    return _yolo(settings.weights or "", settings.trust_weights, "tissue", "tissue")


def open_detectors(settings: CurateSettings) -> list[Detector]:
    """The detectors of presenters and tissue that the settings ask for.

    Raises:
        UserError: weights that are absent, not trusted, or of no use.
        MissingExtraError: ultralytics is needed and not installed.
    """
    chosen = [
        person_detector(settings.persons) if settings.persons.enabled else None,
        tissue_detector(settings.tissue),
    ]
    return [detector for detector in chosen if detector is not None]


def detector_names(settings: CurateSettings) -> list[str]:
    """The names of `open_detectors`, by which finished work is kept."""
    return [detector.name for detector in open_detectors(settings)]


@cache
def _yolo(weights: str, trusted: bool, label: str, section: str) -> Detector:
    path = Path(weights)
    if not path.is_file():
        raise UserError(f"{section}.weights: {path} does not exist; give a YOLO model, .onnx or .pt")
    if path.suffix == ".onnx":
        return OnnxYolo(path, label)
    if path.suffix != ".pt":
        raise UserError(f"{section}.weights: {path} is neither .onnx nor .pt")
    if not trusted:
        raise UserError(
            f"{section}.weights: {path} is a pickle that can run any code when it is opened; set "
            f"{section}.trust_weights=true if you trust where it is from, or have it exported to .onnx "
            f"(yolo export model={path.name} format=onnx)"
        )
    return CheckpointYolo(path, label)


def _class_number(names: dict[int, str], label: str, path: Path) -> int:
    for number, name in names.items():
        if name.lower().replace(" ", "_") == label:
            return number
    raise UserError(f"{path} has no class {label!r}; it has {', '.join(list(names.values())[:8])}")


def _inside(box: tuple[Any, ...], image: Picture) -> Box:
    x0, y0, x1, y1 = (round(float(value)) for value in box)
    return clipped((x0, y0, x1, y1), (image.shape[1], image.shape[0]))
