"""Reading what is written in a picture."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from importlib.util import find_spec
from threading import Lock
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from videopath_hf.curation.boxes import overlap
from videopath_hf.curation.networks import OpenVinoNetwork, choose_engine, engine_name, inference_threads
from videopath_hf.curation.settings import Engine, ScreenTextSettings
from videopath_hf.curation.tissue import Picture
from videopath_hf.errors import MissingExtraError
from videopath_hf.records import Box, Record

_TAKEN_OVER = 0.7  # overlap from which a found line is the known one
_SPARE = 2  # pixels around a line that its reader is shown too
_LARGEST = 2.0  # times that a small picture is scaled up: letters of 14 pixels are found in it then
_UPRIGHT = 1.5  # times as high as wide: a line that runs up or down


class ReadText(Record):
    """A line of text, how sure its reading is (0 to 1), and its upright box."""

    text: str
    score: float
    box: Box


class FoundLine(NamedTuple):
    """Where a line of text is, upright, in the picture's pixels, and how sure the detector is (0 to 1)."""

    box: Box
    score: float


class TextReader(Protocol):
    """Anything that finds and reads lines of text in an RGB picture, uint8 [H, W, 3]."""

    name: str

    def read(self, image: Picture, known: Sequence[ReadText] = (), side: int | None = None) -> list[ReadText]:
        """Return the lines found, in the picture's pixels.

        Args:
            known (`Sequence[ReadText]`): lines that are in the picture unchanged; found again they are not read again.
            side (`int`, *optional*): pixels of the longer side at which lines are looked for; the reader's own if
                omitted.
        """


class LineReader(ABC):
    """Finds lines in the picture scaled to a fixed size, and reads each in the picture itself.

    Args:
        name (`str`): package and version, for the record.
        side (`int`): pixels of the longer side at which lines are looked for.
    """

    def __init__(self, name: str, side: int) -> None:
        self.name = name
        self.side = side

    @abstractmethod
    def find(self, image: Picture) -> list[FoundLine]:
        """Return where lines of text are in the picture as it is."""

    @abstractmethod
    def recognise(self, crop: Picture, found: float) -> tuple[str, float]:
        """Return the words of a crop that holds one level line, and how sure they are (0 to 1).

        Args:
            found: the detector's score, for readers that know no words.
        """

    def read(self, image: Picture, known: Sequence[ReadText] = (), side: int | None = None) -> list[ReadText]:
        """Return the lines found, in the picture's pixels; see `TextReader`."""
        return self.words(image, self.lines(image, side or self.side), known)

    def lines(self, image: Picture, side: int) -> list[FoundLine]:
        """Where lines are, looked for at `side` pixels; may be called while another thread is in `words`."""
        height, width = image.shape[:2]
        scale = min(_LARGEST, side / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        to_full = width / small.shape[1], height / small.shape[0]
        found = [FoundLine(_scaled(line.box, to_full, (width, height)), line.score) for line in self.find(small)]
        return [line for line in found if line.box[2] > line.box[0] and line.box[3] > line.box[1]]

    def words(self, image: Picture, lines: Sequence[FoundLine], known: Sequence[ReadText] = ()) -> list[ReadText]:
        """Read lines that were found in a picture; those that are `known` keep their words."""
        read = []
        for line in lines:
            same = next((text for text in known if overlap(text.box, line.box) >= _TAKEN_OVER), None)
            if same is not None:
                read.append(same.model_copy(update={"box": line.box}))
            else:
                text, score = self._words(image, line.box, line.score)
                read.append(ReadText(text=text, score=score, box=line.box))
        return [text for text in read if text.score > 0]

    def _words(self, image: Picture, box: Box, found: float) -> tuple[str, float]:
        x0, y0, x1, y1 = box
        crop = image[max(0, y0 - _SPARE) : y1 + _SPARE, max(0, x0 - _SPARE) : x1 + _SPARE]
        if y1 - y0 < _UPRIGHT * (x1 - x0):
            text, score = self.recognise(np.ascontiguousarray(crop), found)
        else:
            turned = [self.recognise(np.ascontiguousarray(np.rot90(crop, turns)), found) for turns in (1, 3)]
            text, score = max(turned, key=lambda reading: reading[1])
        return text.strip(), score


class RapidOcrReader(LineReader):
    """RapidOCR with the PP-OCR models of its own wheel: nothing is downloaded.

    Args:
        side (`int`): pixels of the longer side at which lines are looked for.
        engine (`str`, defaults to `"auto"`): what runs its networks.

    Raises:
        MissingExtraError: rapidocr or the engine is not installed.
    """

    def __init__(self, side: int, engine: Engine = "auto") -> None:
        if not rapidocr_installed():
            raise MissingExtraError("rapidocr", "curate", "removing on-screen text")
        super().__init__(f"rapidocr {version('rapidocr')}, {engine_name(engine)}", side)
        # Two, because a call changes what an engine does: one finds lines while the other reads. What their networks
        # give lies in memory that the next call writes to, so that none may begin while another one goes on.
        self._finder, self._engine = rapidocr_engine(engine), rapidocr_engine(engine)
        self._finding: AbstractContextManager[Any] = Lock()
        self._reading = Lock()
        blank = np.zeros((48, 320, 3), dtype=np.uint8)
        self.find(blank)  # networks are loaded when they are first used: here, beside other work
        self.recognise(blank, 0.0)
        _look_up_values(self._finder.text_det)
        if _give_own_memory(self._finder.text_det):
            self._finding = nullcontext()

    def find(self, image: Picture) -> list[FoundLine]:
        """Return where lines of text are in the picture as it is."""
        with self._finding:
            found = self._finder(np.ascontiguousarray(image[:, :, ::-1]), use_det=True, use_cls=False, use_rec=False)
        boxes, scores = getattr(found, "boxes", None), getattr(found, "scores", None)
        if boxes is None or scores is None:
            return []
        return [FoundLine(_upright(corners), float(score)) for corners, score in zip(boxes, scores, strict=True)]

    def recognise(self, crop: Picture, found: float) -> tuple[str, float]:
        """Return the words of a crop that holds one level line, and how sure they are (0 to 1)."""
        with self._reading:
            return recognise_with(self._engine, crop)


def rapidocr_engine(engine: Engine) -> Any:
    """RapidOCR's models; they are loaded when they are first used."""
    from rapidocr import EngineType, RapidOCR

    chosen = EngineType(choose_engine(engine))
    params: dict[str, Any] = {"Global.log_level": "critical", "Det.limit_side_len": 4096, "Det.limit_type": "max"}
    params |= {"Det.engine_type": chosen, "Rec.engine_type": chosen}
    params["EngineConfig.onnxruntime.intra_op_num_threads"] = inference_threads()
    params["EngineConfig.openvino.inference_num_threads"] = inference_threads()
    params["EngineConfig.openvino.enable_cpu_pinning"] = False  # all networks would share the first core
    return RapidOCR(params=params)


def _look_up_values(detector: Any) -> None:
    """Have a detector of RapidOCR look up what a pixel's value becomes: the same values, at a tenth of the time."""
    make = detector.get_preprocess
    values = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    table = make().normalize(values).astype(np.float32)

    def get_preprocess() -> Any:
        steps = make()
        steps.normalize = lambda picture: cv2.LUT(picture, table)
        return steps

    detector.get_preprocess = get_preprocess


def _give_own_memory(detector: Any) -> bool:
    """Have each run of a detector of RapidOCR write to memory of its own, and say whether that can be done here."""
    request: Any = getattr(detector.session, "session", None)
    if not hasattr(request, "get_compiled_model"):
        return False
    model = request.get_compiled_model()
    network, name, found = OpenVinoNetwork(model), model.input().any_name, model.output().any_name
    detector.session = lambda pictures: network.run([found], {name: pictures})[0]
    return True


def recognise_with(engine: Any, crop: Picture) -> tuple[str, float]:
    """Read one level line with RapidOCR; no words and score 0 where nobody could read it."""
    found = engine(np.ascontiguousarray(crop[:, :, ::-1]), use_det=False, use_cls=False, use_rec=True)
    texts, scores = getattr(found, "txts", None), getattr(found, "scores", None)
    return (texts[0], float(scores[0])) if texts and scores else ("", 0.0)


def rapidocr_installed() -> bool:
    """Whether RapidOCR and the runtime it needs can be imported."""
    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


def make_reader(settings: ScreenTextSettings) -> tuple[TextReader | None, str | None]:
    """The reader the settings ask for, or None; and a sentence for the run's notes where something is missing.

    Raises:
        MissingExtraError: a backend was asked for by name and is not installed.
        UserError: docTR's weights are missing or do not fit.
    """
    if settings.backend == "none":
        return None, "screen_text.backend is none: labels stay in the clips and are not read"
    if settings.backend == "doctr":
        from videopath_hf.curation.ocr_doctr import DoctrReader

        reader = DoctrReader(settings)
        return reader, reader.note
    if settings.backend == "auto" and not rapidocr_installed():
        return (
            None,
            "no OCR is installed (pip install 'videopath-hf[curate]'): labels stay in the clips and are not read",
        )
    return RapidOcrReader(settings.side, settings.engine), None


def _scaled(box: Box, scale: tuple[float, float], size: tuple[int, int]) -> Box:
    x0, y0, x1, y1 = box
    return (
        max(0, int(x0 * scale[0])),
        max(0, int(y0 * scale[1])),
        min(size[0], int(np.ceil(x1 * scale[0]))),
        min(size[1], int(np.ceil(y1 * scale[1]))),
    )


def _upright(corners: np.ndarray) -> Box:
    x0, y0 = np.floor(corners.min(axis=0)).astype(int).tolist()
    x1, y1 = np.ceil(corners.max(axis=0)).astype(int).tolist()
    return max(0, x0), max(0, y0), x1 + 1, y1 + 1
