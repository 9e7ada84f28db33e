from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from videopath_hf.curation.sound import RATE, load_sound
from videopath_hf.errors import UserError
from videopath_hf.samples import lecture_path

Piece = tuple[float, float]


@pytest.fixture
def tone_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes 440 Hz tones at given times, in seconds, of a stream's own clock."""

    def write(*pieces: Piece, name: str = "tone.mkv", rate: int = 44_100) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=rate, layout="stereo")
            for start, seconds in pieces:
                time = np.arange(round(seconds * rate)) / rate
                tone = (0.5 * np.sin(2 * np.pi * 440 * time) * 32767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], format="s16", layout="stereo")
                frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), round(start * rate)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write


def test_sound_is_decoded_to_mono_at_16_khz(tone_file: Callable[..., Path]) -> None:
    sound = load_sound(tone_file((0, 1), name="tone.wav"))
    assert sound.samples.dtype == np.int16 and sound.seconds == pytest.approx(1, abs=0.003) and sound.notes == []
    part = sound.part(0, RATE)
    assert part.dtype == np.float32 and abs(part).max() == pytest.approx(0.5, abs=0.03)
    assert int(abs(np.fft.rfft(part)).argmax()) == pytest.approx(440, abs=2)


def test_a_hole_in_the_stream_is_silence_so_that_later_words_keep_their_time(tone_file: Callable[..., Path]) -> None:
    sound = load_sound(tone_file((0, 1), (3, 1)))
    assert sound.seconds == pytest.approx(4, abs=0.05)
    assert abs(sound.part(round(1.1 * RATE), round(2.9 * RATE))).max() == 0
    assert abs(sound.part(round(3.1 * RATE), round(3.9 * RATE))).max() > 0.4


def test_a_time_stamp_hours_ahead_is_no_hours_of_silence(tone_file: Callable[..., Path]) -> None:
    sound = load_sound(tone_file((0, 1), (90_000, 1)))
    assert sound.seconds == pytest.approx(2, abs=0.05)
    assert len(sound.notes) == 1 and "jumps" in sound.notes[0]


def test_sound_that_stops_decoding_gives_what_came_before_and_a_note(tmp_path: Path) -> None:
    data = bytearray(lecture_path().read_bytes())
    whole = load_sound(lecture_path())
    middle = slice(len(data) // 3, len(data) // 3 * 2)
    data[middle] = bytes(middle.stop - middle.start)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    sound = load_sound(path)
    assert sound.seconds <= whole.seconds + 1
    assert sound.notes or sound.seconds == pytest.approx(whole.seconds, abs=1)


@pytest.mark.parametrize("content", [b"", b"no sound at all", None])
def test_a_file_without_sound_is_one_clear_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.mp4") as caught:
        load_sound(path)
    assert "\n" not in str(caught.value)


def test_a_file_with_no_audio_stream_is_said_so(lecture: Path) -> None:
    with pytest.raises(UserError, match="has no audio stream"):
        load_sound(lecture)
