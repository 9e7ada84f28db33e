import numpy as np
import pytest

from videopath_hf.curation.sound import RATE, Sound, load_sound
from videopath_hf.curation.voice import Stretch, Voice, Window, find_voice, pack
from videopath_hf.samples import lecture_path


def stretch(start: float, end: float) -> Stretch:
    return Stretch(round(start * RATE), round(end * RATE))


@pytest.fixture(scope="module")
def lecture() -> Sound:
    pytest.importorskip("silero_vad", reason="pip install 'videopath-hf[speech]'")
    pytest.importorskip("onnxruntime")
    return load_sound(lecture_path())


def spoken_times() -> list[tuple[float, float]]:
    from videopath_hf.curation.sidecar import read_sidecar

    return [(cue.start, cue.end) for cue in read_sidecar(lecture_path().with_suffix(".srt")) or []]


def test_speech_is_found_where_the_subtitles_of_the_sample_say(lecture: Sound) -> None:
    voice = find_voice(lecture, 0.5)
    found = np.zeros(len(lecture.samples), dtype=bool)
    for part in voice.stretches:
        found[part.start : part.end] = True
    said = np.zeros_like(found)
    for start, end in spoken_times():
        said[round(start * RATE) : round(end * RATE)] = True
    assert found[said].mean() > 0.99
    assert voice.seconds < said.sum() / RATE + 10
    assert all(voice.share(start, end) > 0.6 for start, end in spoken_times())


def test_silence_noise_and_a_tone_hold_no_speech(lecture: Sound) -> None:
    rng = np.random.default_rng(0)
    time = np.arange(10 * RATE) / RATE
    for wave in (np.zeros(10 * RATE), rng.normal(0, 0.05, 10 * RATE), 0.3 * np.sin(2 * np.pi * 440 * time)):
        sound = Sound((wave * 32767).astype(np.int16), [])
        assert find_voice(sound, 0.5).stretches == []


def test_at_threshold_0_all_sound_is_taken_for_speech() -> None:
    pytest.importorskip("silero_vad")
    sound = Sound(np.zeros(70 * RATE, dtype=np.int16), [])
    voice = find_voice(sound, 0.0)
    assert voice.seconds == pytest.approx(70, abs=1) and len(voice.stretches) >= 3


def test_no_sound_at_all_is_no_speech() -> None:
    pytest.importorskip("silero_vad")
    voice = find_voice(Sound(np.zeros(0, dtype=np.int16), []), 0.5)
    assert voice.stretches == [] and voice.share(0, 1) == 0.0


def test_looking_for_voice_leaves_torchs_threads_as_they_were(lecture: Sound) -> None:
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        find_voice(Sound(lecture.samples[:RATE], []), 0.5)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_windows_are_short_enough_and_hold_every_stretch_once() -> None:
    parts = [stretch(start, start + 5 + start % 3) for start in range(0, 300, 10)]
    windows = pack(parts)
    assert [piece for window in windows for piece in window.pieces] == parts
    assert all(sum(p.end - p.start for p in window.pieces) <= 28 * RATE for window in windows)
    assert len(windows) < len(parts) / 2


def test_a_window_ends_at_the_longest_pause_of_its_second_half() -> None:
    parts = [stretch(0, 8), stretch(12, 20), stretch(23, 26), stretch(26.5, 33), stretch(34, 40)]
    assert [len(window.pieces) for window in pack(parts)] == [2, 3]


def test_no_speech_makes_no_window() -> None:
    assert pack([]) == []


def test_a_window_is_heard_without_its_gaps_and_its_words_get_the_lectures_times() -> None:
    samples = np.arange(20 * RATE, dtype=np.int64) % 1000
    sound = Sound(samples.astype(np.int16), [])
    window = Window((stretch(2, 4), stretch(10, 13)))
    heard = window.samples(sound)
    assert heard.shape == (5 * RATE,) and heard.dtype == np.float32
    assert heard[2 * RATE] == pytest.approx(samples[10 * RATE] / 32768)
    assert window.times(0.5, 1.0) == (2.5, 3.0)
    assert window.times(2.5, 3.0) == (10.5, 11.0)
    assert window.times(1.9, 2.3) == (10.0, 10.3), "a word over the joint belongs where most of it is"
    assert window.times(4.5, 9.0) == (12.5, 13.0)
    assert [half.pieces for half in window.halves()] == [(window.pieces[0],), (window.pieces[1],)]


def test_the_share_of_voice_is_that_of_the_asked_time() -> None:
    probabilities = np.zeros(100, dtype=np.float32)
    probabilities[50:] = 1.0  # from 1.6 s on
    voice = Voice(probabilities, 0.5, [])
    assert voice.share(0, 1.6) == 0 and voice.share(1.6, 3.2) == 1
    assert voice.share(0.8, 2.4) == pytest.approx(0.5, abs=0.03)
    assert voice.share(100, 101) == 1, "beyond the end the last frame counts"
