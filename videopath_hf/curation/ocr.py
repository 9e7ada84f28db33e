"""Reading what is written in a picture."""

from importlib.metadata import version
from importlib.util import find_spec
from typing import Protocol

import numpy as np

from videopath_hf.curation.settings import ScreenTextSettings
from videopath_hf.curation.tissue import Picture
from videopath_hf.errors import MissingExtraError
from videopath_hf.records import Box, Record


class ReadText(Record):
    """A line of text, how sure its reading is (0 to 1), and its upright box."""

    text: str
    score: float
    box: Box


class TextReader(Protocol):
    """Anything that finds and reads lines of text in an RGB picture, uint8 [H, W, 3]."""

    name: str

    def read(self, image: Picture) -> list[ReadText]:
        """Return the lines found, in the picture's pixels."""


class RapidOcrReader:
    """RapidOCR with the PP-OCR models of its own wheel: nothing is downloaded.

    Raises:
        MissingExtraError: rapidocr is not installed.
    """

    def __init__(self, side: int) -> None:
        if not rapidocr_installed():
            raise MissingExtraError("rapidocr", "curate", "removing on-screen text")
        from rapidocr import RapidOCR

        self.name = f"rapidocr {version('rapidocr')}"
        self._engine = RapidOCR(
            params={"Global.log_level": "critical", "Det.limit_side_len": side, "Det.limit_type": "max"}
        )

    def read(self, image: Picture) -> list[ReadText]:
        """Return the lines found, in the picture's pixels."""
        found = self._engine(np.ascontiguousarray(image[:, :, ::-1]), use_cls=False)
        texts, boxes, scores = (getattr(found, name, None) for name in ("txts", "boxes", "scores"))
        if texts is None or boxes is None or scores is None:
            return []  # a detection whose words nobody could read comes back without texts
        return [
            ReadText(text=text.strip(), score=float(score), box=_upright(corners))
            for text, corners, score in zip(texts, boxes, scores, strict=True)
        ]


def rapidocr_installed() -> bool:
    """Whether RapidOCR and the runtime it needs can be imported."""
    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


def make_reader(settings: ScreenTextSettings) -> tuple[TextReader | None, str | None]:
    """The reader the settings ask for, or None and the sentence that says why there is none."""
    if settings.backend == "none":
        return None, "screen_text.backend is none: labels stay in the clips and are not read"
    if settings.backend == "auto" and not rapidocr_installed():
        return (
            None,
            "no OCR is installed (pip install 'videopath-hf[curate]'): labels stay in the clips and are not read",
        )
    return RapidOcrReader(settings.side), None


def _upright(corners: np.ndarray) -> Box:
    x0, y0 = np.floor(corners.min(axis=0)).astype(int).tolist()
    x1, y1 = np.ceil(corners.max(axis=0)).astype(int).tolist()
    return max(0, x0), max(0, y0), x1 + 1, y1 + 1
