import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.curation.conftest import labelled, pan, plate_of, stained
from videopath_hf.curation.ocr import FoundLine, make_reader
from videopath_hf.curation.ocr_doctr import join_words
from videopath_hf.curation.screen_text import TextScanner
from videopath_hf.curation.settings import ScreenTextSettings
from videopath_hf.errors import MissingExtraError, UserError

RECIPE = Path(__file__).parents[2] / "recipes" / "text_detector"
WORDS = "Case 1: colon"


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    """The recipe's script as a module."""
    pytest.importorskip("doctr", reason="python-doctr is not installed")
    sys.path.insert(0, str(RECIPE))
    try:
        spec = importlib.util.spec_from_file_location("train_text_detector", RECIPE / "train.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(RECIPE))
    return module


def save_untrained(path: Path, arch: str = "linknet_resnet18") -> Path:
    """The state dict of a detector with random weights."""
    import torch

    from videopath_hf.curation.ocr_doctr import build_detector

    torch.manual_seed(0)
    torch.save(build_detector(arch).state_dict(), path)
    return path


def test_words_side_by_side_are_one_line() -> None:
    case, number = FoundLine((10, 10, 60, 30), 0.9), FoundLine((68, 12, 80, 30), 0.5)
    organ = FoundLine((90, 9, 160, 31), 1.0)
    below, far = FoundLine((12, 50, 90, 70), 0.7), FoundLine((400, 10, 460, 30), 0.7)
    lines = join_words([organ, far, below, case, number])
    assert sorted(line.box for line in lines) == [(10, 9, 160, 31), (12, 50, 90, 70), (400, 10, 460, 30)]
    assert next(line.score for line in lines if line.box[2] == 160) == pytest.approx(0.8)


def test_without_doctr_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videopath_hf.curation.ocr_doctr.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"videopath-hf\[doctr\]"):
        make_reader(ScreenTextSettings(backend="doctr"))


def test_missing_weights_are_named_and_nothing_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("doctr", reason="python-doctr is not installed")

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", refused)
    monkeypatch.setenv("DOCTR_CACHE_DIR", str(tmp_path))
    with pytest.raises(UserError, match=r"not in its cache .*linknet_resnet18-e47a14dc\.pt.*screen_text\.weights"):
        make_reader(ScreenTextSettings(backend="doctr"))
    with pytest.raises(UserError, match=r"screen_text\.weights is 'nowhere\.pt', which is no file"):
        make_reader(ScreenTextSettings(backend="doctr", weights="nowhere.pt"))


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("doctr", reason="python-doctr is not installed")
    text = tmp_path / "notes.pt"
    text.write_text("not weights")
    with pytest.raises(UserError, match="cannot be read as a state dict"):
        make_reader(ScreenTextSettings(backend="doctr", weights=str(text)))
    other = save_untrained(tmp_path / "other.pt")
    with pytest.raises(UserError, match="does not hold the weights of docTR's db_mobilenet_v3_large"):
        make_reader(ScreenTextSettings(backend="doctr", weights=str(other), arch="db_mobilenet_v3_large"))


def test_doctrs_own_weights_are_taken_from_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("doctr", reason="python-doctr is not installed")
    monkeypatch.setenv("DOCTR_CACHE_DIR", str(tmp_path))
    (tmp_path / "models").mkdir()
    save_untrained(tmp_path / "models" / "linknet_resnet18-e47a14dc.pt")
    reader, _ = make_reader(ScreenTextSettings(backend="doctr"))
    assert reader is not None and " linknet_resnet18 " in reader.name


def test_without_a_recogniser_lines_are_found_and_the_run_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("doctr", reason="python-doctr is not installed")
    monkeypatch.setattr("videopath_hf.curation.ocr_doctr.rapidocr_installed", lambda: False)
    weights = save_untrained(tmp_path / "weights.pt")
    reader, why = make_reader(ScreenTextSettings(backend="doctr", weights=str(weights)))
    assert reader is not None and reader.name.endswith("no words")
    assert why is not None and "without words" in why
    monkeypatch.setattr(reader, "find", lambda image: [FoundLine((10, 10, 110, 30), 0.6)])
    (line,) = reader.read(np.zeros((736, 736, 3), dtype=np.uint8))
    assert (line.text, line.score) == ("", 0.6)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_detector_trained_for_minutes_removes_labels_it_has_never_seen(recipe: ModuleType, tmp_path: Path) -> None:
    weights = tmp_path / "detector.pt"
    figures = recipe.train(weights)
    assert figures["recall"] >= 0.8 and figures["false_per_frame"] <= 0.3
    reader, _ = make_reader(ScreenTextSettings(backend="doctr", weights=str(weights)))
    assert reader is not None
    scanner = TextScanner(reader, ScreenTextSettings())
    canvas = stained(700, 1200)
    for number in range(8):
        frame = pan(canvas, number, 10)
        scanner.add(float(number), labelled(frame, WORDS, at=(200, 120)) if number >= 2 else frame)
    found = scanner.finish(8.0)
    x0, y0, x1, y1 = plate_of(WORDS, at=(200, 120))
    mask = np.zeros((360, 640), dtype=bool)
    for text in found:
        assert text.start <= 2.0 and text.end == 8.0
        mask[text.box[1] : text.box[3], text.box[0] : text.box[2]] = True
    assert mask[y0 + 10 : y1 - 10, x0 + 10 : x1 - 10].mean() > 0.95, found  # the letters
    mask[y0 - 32 : y1 + 32, x0 - 32 : x1 + 32] = False
    assert not mask.any(), found
