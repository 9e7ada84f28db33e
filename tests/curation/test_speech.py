from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from videopath_hf.curation.speech import find_whisper, load_sound


def test_sound_is_decoded_to_mono_at_16_khz(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    time = np.arange(44_100) / 44_100
    tone = (0.5 * np.sin(2 * np.pi * 440 * time) * 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=44_100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], format="s16", layout="stereo")
        frame.sample_rate, frame.time_base = 44_100, Fraction(1, 44_100)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    sound = load_sound(path)
    assert sound.dtype == np.float32 and len(sound) == pytest.approx(16_000, abs=40)
    assert abs(sound).max() == pytest.approx(0.5, abs=0.03)
    spectrum = abs(np.fft.rfft(sound[:16_000]))
    assert int(spectrum.argmax()) == pytest.approx(440, abs=2)


def test_a_missing_whisper_or_model_is_named_and_never_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    absent = tmp_path / "absent.pt"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert find_whisper(str(absent)) == f"the Whisper model file {absent} does not exist"
    absent.touch()
    assert find_whisper(str(absent)) == absent
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install" in str(find_whisper(str(absent)))
