import numpy as np
import pytest

from videopath_hf.curation.hallucination import sift
from videopath_hf.curation.speech import Cue, Spoken
from videopath_hf.curation.voice import Voice

SECONDS = 60


def voice(*stretches: tuple[float, float]) -> Voice:
    """A voice detector's answer: sure of speech between the given seconds, and of silence elsewhere."""
    probabilities = np.zeros(SECONDS * 16_000 // 512, dtype=np.float32)
    for start, end in stretches:
        probabilities[int(start * 31.25) : int(end * 31.25)] = 0.9
    return Voice(probabilities, 0.5, [])


EVERYWHERE = voice((0, SECONDS))


def cue(text: str, start: float = 0.0, confidence: float = 0.9, logprob: float = -0.2, no_speech: float = 0.1) -> Cue:
    words = tuple(
        Spoken(start + n * 0.3, start + n * 0.3 + 0.25, f" {w}", confidence) for n, w in enumerate(text.split())
    )
    return Cue(words, logprob, no_speech)


@pytest.mark.parametrize(
    "text",
    [
        "The villi are short and blunted.",
        "This is very, very, very important.",
        "We see plasma cells and so on and so on.",
        "Thank you for listening.",
        "Thank you.",
        "You.",
        "Please subscribe to the newsletter of our department.",
        "This was stained by hand, and described by a colleague.",
        "A biopsy (music to my ears) was taken.",
        "No dysplasia, no malignancy, no granulomas, no parasites.",
    ],
)
def test_confident_words_of_a_lecturer_are_kept(text: str) -> None:
    kept, dropped = sift([cue(text)], EVERYWHERE)
    assert [cue.text for cue in kept] == [text] and dropped == []


@pytest.mark.parametrize(
    "text", ["Thanks for watching!", "Thank you.", "you", "Please subscribe to my channel.", "Bye."]
)
def test_lines_that_whisper_invents_go_where_confidence_or_voice_is_lacking(text: str) -> None:
    assert sift([cue(text, confidence=0.3)], EVERYWHERE)[0] == []
    kept, [dropped] = sift([cue(text, start=10)], voice((10, 10.1)))
    assert kept == [] and dropped.cue.text == text and dropped.reason


@pytest.mark.parametrize(
    "text",
    [
        "Subtitles by the Amara.org community",
        "Transcribed by https://otter.ai",
        "[Music]",
        "(applause)",
        "\u266a\u266a\u266a",
        "Subtitled by John Smith",
    ],
)
def test_film_credits_and_sound_marks_go_however_sure_the_model_is(text: str) -> None:
    kept, [dropped] = sift([cue(text, confidence=0.99)], EVERYWHERE)
    assert kept == [] and "credit" in dropped.reason


def test_words_where_there_is_no_voice_go() -> None:
    spoken, invented = cue("The crypts are straight.", start=5), cue("The crypts are straight.", start=30)
    kept, [dropped] = sift([spoken, invented], voice((4, 8)))
    assert kept == [spoken] and dropped.cue == invented and "no voice" in dropped.reason


def test_what_the_model_itself_takes_for_silence_goes_only_if_it_doubts_the_words_too() -> None:
    doubtful = cue("It is a tumor.", no_speech=0.9, logprob=-1.5)
    sure = cue("It is a tumor.", start=20, no_speech=0.9, logprob=-0.3)
    kept, [dropped] = sift([doubtful, sure], EVERYWHERE)
    assert kept == [sure] and dropped.cue == doubtful


def test_a_loop_is_cut_to_its_first_turn_and_the_rest_of_the_cue_stays() -> None:
    text = "At low power " + "we see the crypts " * 9 + "and glands."
    kept, [dropped] = sift([cue(text)], EVERYWHERE)
    assert [cue.text for cue in kept] == ["At low power we see the crypts and glands."]
    assert dropped.cue.text == " ".join(["we see the crypts"] * 8) and "repeats" in dropped.reason
    assert dropped.cue.start > kept[0].words[3].start


def test_two_loops_in_one_cue_are_both_cut() -> None:
    text = "See " + "no no no " * 3 + "then " + "pink cells here " * 4 + "end."
    kept, dropped = sift([cue(text)], EVERYWHERE)
    assert [cue.text for cue in kept] == ["See no then pink cells here end."] and len(dropped) == 2


def test_the_same_cue_again_and_again_is_kept_once() -> None:
    cues = [cue("The villi are blunted.", start=start) for start in (0, 3, 6, 9)]
    kept, dropped = sift([*cues, cue("Good.", start=12)], EVERYWHERE)
    assert [item.text for item in kept] == ["The villi are blunted.", "Good."]
    assert [item.cue.start for item in dropped] == pytest.approx([3, 6, 9], abs=0.01)


def test_a_sentence_said_twice_is_kept_twice() -> None:
    cues = [cue("Look at this.", start=0), cue("Look at this.", start=3)]
    assert sift(cues, EVERYWHERE) == (cues, [])


def test_repetition_that_is_no_exact_loop_is_known_by_its_compression() -> None:
    text = " ".join(f"and the crypts of the crypts {'x' * (n % 3)} and the" for n in range(12))
    kept, dropped = sift([cue(text)], EVERYWHERE)
    assert kept == [] and any("one repetition" in drop.reason for drop in dropped)
