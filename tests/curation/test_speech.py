import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from videopath_hf.curation.settings import TranscriptSettings
from videopath_hf.curation.sound import RATE, Samples, Sound
from videopath_hf.curation.speech import (
    _OPENAI_FILES,
    Cue,
    SpeechBackend,
    Spoken,
    compression_ratio,
    find_model,
    make_recognizer,
    speech_to_text,
)
from videopath_hf.curation.transcript import find_recognizer, transcribe
from videopath_hf.curation.voice import Stretch, Voice
from videopath_hf.errors import MissingExtraError, UserError

MODULES: dict[SpeechBackend, str] = {"whisper": "whisper", "faster-whisper": "faster_whisper"}


def needs(backend: SpeechBackend) -> None:
    for module in (MODULES[backend], "silero_vad", "onnxruntime", "rapidfuzz", "jellyfish", "wordfreq"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed (pip install 'videopath-hf[{backend}]')")


class Echo:
    """A recognizer whose words tell how much it was given; it loops on more than `steady` seconds."""

    def __init__(self, steady: float = 60.0) -> None:
        self.language: str | None = "en"
        self.heard: list[float] = []
        self.steady = steady

    def hear(self, samples: Samples) -> list[Cue]:
        seconds = len(samples) / RATE
        self.heard.append(seconds)
        if seconds > self.steady:
            return [Cue(tuple(Spoken(0.0, 1.0, " again", 0.9) for _ in range(60)))]
        return [Cue((Spoken(0.5, 1.0, f" heard {seconds:.0f}.", 0.9),))]


def voiced(*stretches: tuple[float, float]) -> Voice:
    parts = [Stretch(round(start * RATE), round(end * RATE)) for start, end in stretches]
    return Voice(np.ones(10_000, dtype=np.float32), 0.5, parts)


SILENCE = Sound(np.zeros(200 * RATE, dtype=np.int16), [])


def test_only_speech_is_given_to_the_recognizer() -> None:
    echo = Echo()
    cues = speech_to_text(SILENCE, voiced((10, 20), (50, 62), (100, 120)), echo)
    assert echo.heard == pytest.approx([22, 20])
    assert [(cue.start, cue.text) for cue in cues] == [(10.5, "heard 22."), (100.5, "heard 20.")]


def test_without_speech_the_recognizer_is_not_asked() -> None:
    echo = Echo()
    assert speech_to_text(SILENCE, voiced(), echo) == [] and echo.heard == []


def test_a_window_that_loops_is_heard_again_in_halves() -> None:
    echo = Echo(steady=10)
    cues = speech_to_text(SILENCE, voiced((0, 6), (10, 16), (20, 26)), echo)
    assert echo.heard == pytest.approx([18, 12, 6, 6, 6])
    assert [cue.start for cue in cues] == [0.5, 10.5, 20.5]


def test_a_loop_in_a_single_stretch_is_left_to_the_filter() -> None:
    cues = speech_to_text(SILENCE, voiced((0, 20)), Echo(steady=10))
    assert len(cues) == 1 and compression_ratio(cues[0].text) > 2.4


def test_a_pause_before_the_first_word_does_not_count_as_speech() -> None:
    cue = Cue((Spoken(2.0, 9.0, " The", 0.5), Spoken(9.0, 9.4, " end.", 1.0)))
    assert (cue.start, cue.end, cue.text, cue.confidence) == (8.0, 9.4, "The end.", 0.75)


@pytest.mark.parametrize("backend", ["whisper", "faster-whisper"])
def test_a_missing_recognizer_names_its_extra(monkeypatch: pytest.MonkeyPatch, backend: SpeechBackend) -> None:
    monkeypatch.setitem(sys.modules, MODULES[backend], None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'videopath-hf\[{backend}\]'"):
        find_model(backend, "base")


@pytest.mark.parametrize("backend", ["whisper", "faster-whisper"])
@pytest.mark.parametrize(
    ("model", "complaint"), [("gigantic", "neither"), ("base", "not on disk"), ("a/b.pt", "a/b.pt")]
)
def test_a_model_that_is_not_there_is_one_clear_sentence_and_never_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: SpeechBackend, model: str, complaint: str
) -> None:
    needs(backend)
    import huggingface_hub.constants

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=complaint) as caught:
        find_model(backend, model)
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == []


def test_the_files_of_openai_s_models_are_known_without_loading_the_library() -> None:
    needs("whisper")
    code = (
        "import sys; from videopath_hf.curation.speech import find_model\n"
        "try: find_model('whisper', 'base')\n"
        "except Exception: pass\n"
        "print('torch' in sys.modules)"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert asked.stdout == "False\n"
    import whisper

    assert {name: Path(url).name for name, url in whisper._MODELS.items()} == _OPENAI_FILES


def test_a_folder_without_a_tokenizer_is_refused_since_the_library_would_download_one(tmp_path: Path) -> None:
    needs("faster-whisper")
    for name in ("model.bin", "config.json"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"has no tokenizer\.json"):
        find_model("faster-whisper", str(tmp_path))
    (tmp_path / "tokenizer.json").touch()
    assert find_model("faster-whisper", str(tmp_path)) == tmp_path


@pytest.mark.parametrize("backend", ["whisper", "faster-whisper"])
def test_a_damaged_model_is_one_clear_sentence(tmp_path: Path, backend: SpeechBackend) -> None:
    needs(backend)
    for name in ("model.bin", "config.json", "tokenizer.json", "bad.pt"):
        (tmp_path / name).write_text("{}")
    model = tmp_path / "bad.pt" if backend == "whisper" else tmp_path
    with pytest.raises(UserError, match="cannot be loaded") as caught:
        make_recognizer(backend, model, None, "cpu")
    assert str(model) in str(caught.value) and "\n" not in str(caught.value)


def test_auto_takes_the_first_recognizer_that_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def only(*there: str) -> Callable[[str, str], Path]:
        def find(backend: str, model: str) -> Path:
            if backend not in there:
                raise UserError(f"no {backend}")
            return tmp_path / backend

        return find

    def found(backends: Sequence[str]) -> object:
        monkeypatch.setattr("videopath_hf.curation.transcript.find_model", only(*backends))
        return find_recognizer(TranscriptSettings())

    assert found(["whisper", "faster-whisper"]) == ("faster-whisper", tmp_path / "faster-whisper")
    assert found(["whisper"]) == ("whisper", tmp_path / "whisper")
    assert found([]) == "no faster-whisper; no whisper"


OFFLINE = "VIDEOPATH_OFFLINE_MODELS"


@pytest.mark.slow
@pytest.mark.needs_shared
@pytest.mark.parametrize("backend", ["whisper", "faster-whisper"])
def test_a_real_model_hears_the_development_lecture(shared: Path, tmp_path: Path, backend: SpeechBackend) -> None:
    needs(backend)
    pytest.importorskip("jiwer", reason="pip install 'videopath-hf[bench]'")
    folder = os.environ.get(OFFLINE)
    if folder is None:
        pytest.skip(f"set {OFFLINE} to a folder with whisper-tiny.en/tiny.en.pt and whisper-tiny.en/ctranslate2")
    import jiwer

    model = Path(folder) / "whisper-tiny.en" / ("tiny.en.pt" if backend == "whisper" else "ctranslate2")
    video = shared / "lectures" / "dev" / "lecture.mp4"
    alone = tmp_path / "lecture.mp4"  # without the truth, which is a sidecar too
    alone.symlink_to(video)
    made = transcribe(alone, "dev", True, TranscriptSettings(backend=backend, whisper_model=str(model)))

    def plain(texts: Sequence[str]) -> str:
        return "".join(c for c in " ".join(texts).lower().replace("-", " ") if c.isalnum() or c == " ")

    truth = json.loads((shared / "lectures" / "dev" / "lecture.json").read_text())["transcript"]
    assert jiwer.wer(plain([s["text"] for s in truth]), plain([s.text for s in made.sentences])) < 0.2
    assert made.backend == backend and made.language == "en" and 75 < made.figures["voice_seconds"] < 91
    starts = {plain([s["text"]]): s["start"] for s in truth}
    near = [s for s in made.sentences if abs(s.start - starts.get(plain([s.text]), -1)) < 0.5]
    assert len(near) >= 8, "sentences that were heard right begin when they were said"
    assert all(0 <= word.confidence <= 1 for word in made.words if word.confidence is not None)
