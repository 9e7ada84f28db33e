"""docTR as a text detector: the user's weights, or docTR's own where they are in its cache. Nothing is downloaded."""

import os
import pickle
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import cv2
import numpy as np

from videopath_hf.curation.networks import engine_name
from videopath_hf.curation.ocr import FoundLine, LineReader, rapidocr_engine, rapidocr_installed, recognise_with
from videopath_hf.curation.settings import DoctrArchitecture, ScreenTextSettings
from videopath_hf.curation.tissue import Picture
from videopath_hf.errors import MissingExtraError, UserError
from videopath_hf.files import file_sha256

if TYPE_CHECKING:
    import torch

ARCHITECTURES: tuple[str, ...] = get_args(DoctrArchitecture)
CLASS = "words"  # docTR's name of its detectors' one class
_STRIDE = 32  # the detectors halve a picture five times
_SPACE = 1.0  # widest gap between two words of a line, in heights of the line
_LEVEL = 0.5  # least share of the lower word's height that two words of a line have in common


class DoctrReader(LineReader):
    """docTR's detection model; its words are joined to lines, which RapidOCR reads where it is installed.

    Where it is not, a line found has the empty text and the detector's score: enough to paint it out.

    Args:
        settings (`ScreenTextSettings`): architecture, weights and side.

    Raises:
        MissingExtraError: docTR is not installed.
        UserError: the weights are missing or do not fit the architecture.
    """

    def __init__(self, settings: ScreenTextSettings) -> None:
        self._model = build_detector(settings.arch)
        path = find_weights(self._model, settings)
        load_weights(self._model, path, settings.arch)
        self._model.eval()
        self._engine = rapidocr_engine(settings.engine) if rapidocr_installed() else None
        words = "no words"
        if self._engine is not None:
            words = f"rapidocr {version('rapidocr')}, {engine_name(settings.engine)}"
        detector = f"doctr {version('python-doctr')} {settings.arch} {file_sha256(path)[:12]}"
        super().__init__(f"{detector}, {words}", settings.side)

    @property
    def note(self) -> str | None:
        """What a run should say about lines that nobody can read."""
        if self._engine is not None:
            return None
        return (
            "docTR finds on-screen text, but rapidocr, which would read it, is not installed: text is painted out, "
            "and the records hold its boxes without words"
        )

    def find(self, image: Picture) -> list[FoundLine]:
        """Return where lines of text are in the picture as it is."""
        import torch

        height, width = image.shape[:2]
        # Repeating the border: one of another colour would be an edge that is not there.
        padded = cv2.copyMakeBorder(image, 0, -height % _STRIDE, 0, -width % _STRIDE, cv2.BORDER_REPLICATE)
        with torch.inference_mode():
            (found,) = self._model(as_batch([padded], self._model), return_preds=True)["preds"]
        words = []
        for x0, y0, x1, y1, score in found[CLASS].tolist():
            right, bottom = min(width, round(x1 * padded.shape[1])), min(height, round(y1 * padded.shape[0]))
            left, top = int(x0 * padded.shape[1]), int(y0 * padded.shape[0])
            if left < right and top < bottom:
                words.append(FoundLine((left, top, right, bottom), score))
        return join_words(words)

    def recognise(self, crop: Picture, found: float) -> tuple[str, float]:
        """Return the words of a crop that holds one level line, and how sure they are (0 to 1)."""
        return recognise_with(self._engine, crop) if self._engine is not None else ("", found)


def build_detector(arch: str) -> Any:
    """An untrained docTR detector; neither weights nor a backbone are downloaded.

    Raises:
        MissingExtraError: docTR is not installed.
    """
    if find_spec("doctr") is None:
        raise MissingExtraError("doctr", "doctr", "screen_text.backend=doctr")
    from doctr.models import detection

    return getattr(detection, arch)(pretrained=False, pretrained_backbone=False)


def find_weights(model: Any, settings: ScreenTextSettings) -> Path:
    """The file of a detector's weights: the user's, else docTR's published one in its cache.

    Raises:
        UserError: it is not there.
    """
    if settings.weights is not None:
        path = Path(settings.weights).expanduser()
        if not path.is_file():
            raise UserError(
                f"screen_text.weights is {settings.weights!r}, which is no file: give the state dict of a docTR "
                f"{settings.arch}, for instance one that recipes/text_detector/train.py has made"
            )
        return path
    url = model.cfg["url"]
    cache = Path(os.environ.get("DOCTR_CACHE_DIR", Path.home() / ".cache" / "doctr")) / "models"
    path = cache / url.rpartition("/")[-1].split("&")[0]
    if not path.is_file():
        raise UserError(
            f"screen_text.backend is doctr, but docTR's weights of {settings.arch} are not in its cache ({path}) and "
            f"nothing is downloaded: fetch them from {url}, or give your own as screen_text.weights"
        )
    return path


def load_weights(model: Any, path: Path, arch: str) -> None:
    """Load a state dict, .safetensors or what `torch.save` wrote; nothing else in a file is run.

    Raises:
        UserError: the file is no state dict, or not one of this architecture.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as a state dict ({type(error).__name__}); save it with torch.save(model.state_dict"
            f"(), ...) or safetensors.torch.save_file"
        ) from None
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        why = " ".join(str(error).split())[:160]
        raise UserError(f"{path} does not hold the weights of docTR's {arch} (screen_text.arch): {why}") from None


def as_batch(images: Sequence[Picture], model: Any) -> "torch.Tensor":
    """Pictures of one size, uint8 [H, W, 3] RGB, as the detector wants them: float32 [N, 3, H, W], normalised."""
    import torch

    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(model.cfg[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    return (stacked - mean) / std


def join_words(words: Sequence[FoundLine]) -> list[FoundLine]:
    """Join words that stand side by side to lines, each with the mean score of its words."""
    lines: list[list[FoundLine]] = []
    for word in sorted(words):
        line = next((line for line in lines if _continues(line, word)), None)
        if line is None:
            lines.append([word])
        else:
            line.append(word)
    joined = []
    for line in lines:
        x0, y0, x1, y1 = zip(*(word.box for word in line), strict=True)
        joined.append(FoundLine((min(x0), min(y0), max(x1), max(y1)), sum(word.score for word in line) / len(line)))
    return joined


def _continues(line: Sequence[FoundLine], word: FoundLine) -> bool:
    """Whether a word follows on the last of a line."""
    a, b = line[-1].box, word.box
    heights = a[3] - a[1], b[3] - b[1]
    common = min(a[3], b[3]) - max(a[1], b[1])
    return common >= _LEVEL * min(heights) and b[0] - max(one.box[2] for one in line) <= _SPACE * max(heights)
