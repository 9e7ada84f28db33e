import json
from itertools import pairwise
from pathlib import Path

import pytest

from videopath_hf.curation import transcript
from videopath_hf.curation.sentences import sentences
from videopath_hf.curation.settings import TranscriptSettings
from videopath_hf.curation.sidecar import read_sidecar, sidecars
from videopath_hf.curation.sound import Samples
from videopath_hf.curation.speech import Cue, Spoken
from videopath_hf.curation.transcript import transcribe, transcript_inputs
from videopath_hf.errors import UserError
from videopath_hf.records import Sentence
from videopath_hf.samples import lecture_path


def cue(start: float, end: float, text: str) -> Sentence:
    return Sentence(start=start, end=end, text=text)


def test_srt_cues_are_read_with_tags_removed_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_bytes(
        b"\xef\xbb\xbf1\r\n00:00:01,500 --> 00:00:03,000 align:start\r\n<i>Villi</i> are\r\nblunted.\r\n\r\n"
        b"2\r\n01:00:00,000 --> 01:00:01,250\r\n{\\an8}Second.\r\n"
    )
    assert read_sidecar(path) == [cue(1.5, 3.0, "Villi are blunted."), cue(3600.0, 3601.25, "Second.")]


def test_vtt_cues_without_hours_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.vtt"
    path.write_text("WEBVTT\n\nNOTE made by hand\n\nid-1\n00:01.000 --> 00:02.500\n<v Ann>Hello there.\n")
    assert read_sidecar(path) == [cue(1.0, 2.5, "Hello there.")]


@pytest.mark.parametrize("key", ["transcript", "segments"])
def test_json_transcripts_of_both_forms_are_read(tmp_path: Path, key: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"language": "en", key: [{"id": 0, "start": 0, "end": 1.5, "text": " Hello. "}]}))
    assert read_sidecar(path) == [cue(0.0, 1.5, "Hello.")]


def test_a_transcript_is_preferred_to_segments_that_carry_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    data = {"segments": [{"start": 0, "end": 9}], "transcript": [{"start": 1, "end": 2, "text": "Words."}]}
    path.write_text(json.dumps(data))
    assert read_sidecar(path) == [cue(1.0, 2.0, "Words.")]


def test_a_json_file_about_something_else_is_named_and_not_used(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.touch()
    (tmp_path / "a.json").write_text('{"segments": [{"start": 0, "end": 9}], "camera": "x"}')
    made = transcribe(video, "a", False, TranscriptSettings())
    assert made.backend == "none"
    assert any("a.json" in note and "not used" in note for note in made.notes)


def test_srt_comes_before_json(tmp_path: Path) -> None:
    for name in ("a.json", "a.srt", "b.srt"):
        (tmp_path / name).touch()
    assert [path.name for path in sidecars(tmp_path / "a.mp4")] == ["a.srt", "a.json"]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.srt", b"no times at all", "holds no cue"),
        ("a.srt", b"1\n00:00:05,000 --> 00:00:01,000\nBackwards.\n", "start <= end"),
        ("a.vtt", b"\xff\xfe\x00", "UTF-8"),
        ("a.json", b"{broken", "not valid JSON"),
        ("a.json", b'{"transcript": [{"start": 0, "end": Infinity, "text": "x"}]}', "times must be seconds"),
        ("a.json", b'{"transcript": [{"start": "0:01", "end": 2, "text": "x"}]}', "times must be seconds"),
    ],
)
def test_a_malformed_sidecar_is_one_clear_sentence(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=complaint) as caught:
        read_sidecar(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_cues_are_joined_to_sentences_and_split_after_full_stops() -> None:
    made = sentences([cue(0, 2, "The villi are"), cue(2, 4, "blunted. The crypts"), cue(4, 6, "are deep.")])
    assert [sentence.text for sentence in made] == ["The villi are blunted.", "The crypts are deep."]
    assert made[0].start == 0 and made[1].end == 6
    assert 2 < made[0].end == made[1].start < 4


def test_a_long_pause_ends_a_sentence_without_a_full_stop() -> None:
    made = sentences([cue(0, 1, "Look here"), cue(5, 6, "It is pink.")])
    assert [sentence.text for sentence in made] == ["Look here", "It is pink."]


def test_captions_without_punctuation_stay_as_they_are() -> None:
    cues = [cue(number, number + 1, "some words") for number in range(10)]
    assert sentences(cues) == cues


def test_abbreviations_and_decimals_do_not_split_sentences() -> None:
    assert len(sentences([cue(0, 1, "It is 3.5 mm wide, i.e. small.")])) == 1


def test_a_sidecar_that_was_asked_for_and_is_absent_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no subtitle file beside it"):
        transcribe(tmp_path / "a.mp4", "a", True, TranscriptSettings(backend="sidecar"))


def test_without_sound_and_subtitles_there_is_no_transcript_and_this_is_said(tmp_path: Path) -> None:
    made = transcribe(tmp_path / "a.mp4", "a", False, TranscriptSettings())
    assert (made.backend, made.sentences) == ("none", [])
    assert "no sound" in made.notes[0]


def test_without_a_whisper_model_on_disk_auto_goes_on_and_says_what_is_missing(tmp_path: Path) -> None:
    settings = TranscriptSettings(whisper_model=str(tmp_path / "absent.pt"))
    made = transcribe(tmp_path / "a.mp4", "a", True, settings)
    assert made.backend == "none"
    assert "not installed" in made.notes[0] or "absent.pt" in made.notes[0]


@pytest.mark.parametrize("backend", ["whisper", "faster-whisper"])
def test_a_recognizer_that_was_asked_for_and_is_absent_is_an_error(tmp_path: Path, backend: str) -> None:
    settings = TranscriptSettings.model_validate({"backend": backend, "whisper_model": str(tmp_path / "absent.pt")})
    with pytest.raises(UserError, match=r"is not installed: pip install|absent\.pt"):
        transcribe(tmp_path / "a.mp4", "a", True, settings)


def test_subtitles_are_changed_only_where_this_was_asked_for_and_then_it_is_recorded(tmp_path: Path) -> None:
    for package in ("rapidfuzz", "jellyfish", "wordfreq"):
        pytest.importorskip(package)
    (tmp_path / "a.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:03.000\nThe lamina propia is full, see.\n")
    as_written = transcribe(tmp_path / "a.mp4", "a", False, TranscriptSettings())
    assert as_written.sentences == [cue(1.0, 3.0, "The lamina propia is full, see.")]
    assert as_written.corrections == []
    corrected = transcribe(tmp_path / "a.mp4", "a", False, TranscriptSettings(correct="all"))
    assert corrected.sentences == [cue(1.0, 3.0, "The lamina propria is full, see.")]
    [made] = corrected.corrections
    assert (made.heard, made.corrected) == ("lamina propia", "lamina propria") and 1.0 < made.start < 1.5
    assert any("1 misheard" in note for note in corrected.notes)


def test_a_resumed_run_notices_another_vocabulary_and_other_subtitles(tmp_path: Path) -> None:
    video, words = tmp_path / "a.mp4", tmp_path / "words.txt"
    settings = TranscriptSettings(vocabulary=str(words))
    seen = []
    for subtitles, vocabulary in (("one", "villi"), ("two", "villi"), ("two", "crypts")):
        (tmp_path / "a.srt").write_text(subtitles)
        words.write_text(vocabulary)
        seen.append(transcript_inputs(video, settings))
    assert seen[0] != seen[1] != seen[2] and seen[2] == transcript_inputs(video, settings)


class Scripted:
    """A recognizer that hears two cues in every window, and says which window it is."""

    language: str | None = None
    windows = 0

    def hear(self, samples: Samples) -> list[Cue]:
        self.language = "en"
        self.windows += 1
        return [
            Cue(tuple(Spoken(n * 0.4, n * 0.4 + 0.3, f" {text}", 0.9) for n, text in enumerate(words)))
            for words in (["The", "melanosis", "coly", "is", f"{self.windows}."], ["Subtitles", "by", "nobody."])
        ]


def test_recognized_words_are_sifted_and_corrected_and_all_of_it_is_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for package in ("silero_vad", "onnxruntime", "rapidfuzz", "jellyfish", "wordfreq"):
        pytest.importorskip(package)
    monkeypatch.setattr(transcript, "find_model", lambda backend, model: tmp_path / "tiny.pt")
    monkeypatch.setattr(transcript, "make_recognizer", lambda *arguments: Scripted())
    made = transcribe(lecture_path(), "a", True, TranscriptSettings(backend="whisper", whisper_model="tiny"))
    assert (made.backend, made.source, made.language) == ("whisper", "tiny", "en")
    expected = [f"The melanosis coli is {number}." for number in range(1, len(made.sentences) + 1)]
    assert expected and [sentence.text for sentence in made.sentences] == expected
    assert all(s.confidence == pytest.approx(0.9) for s in made.sentences)
    assert [word.text for word in made.words[:5]] == ["The", "melanosis", "coli", "is", "1."]
    assert all(a.end <= b.start + 1e-6 and a.confidence == 0.9 for a, b in pairwise(made.words))
    assert {drop.text for drop in made.dropped} == {"Subtitles by nobody."}
    assert all("credit" in drop.reason for drop in made.dropped)
    assert made.figures["dropped"] == len(made.dropped) == len(made.corrections) == len(made.sentences)
    assert made.figures["silent_seconds"] > 3 and made.figures["voice_seconds"] > 40
    assert any("hold no speech" in note for note in made.notes) and any("left out" in note for note in made.notes)
    assert type(made).model_validate(made.model_dump()) == made


def test_words_of_another_language_are_not_corrected_and_this_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for package in ("silero_vad", "onnxruntime"):
        pytest.importorskip(package)

    class German(Scripted):
        def hear(self, samples: Samples) -> list[Cue]:
            cues = super().hear(samples)
            self.language = "de"
            return cues

    monkeypatch.setattr(transcript, "find_model", lambda backend, model: tmp_path / "tiny.pt")
    monkeypatch.setattr(transcript, "make_recognizer", lambda *arguments: German())
    made = transcribe(lecture_path(), "a", True, TranscriptSettings(backend="whisper", whisper_model="tiny"))
    assert made.corrections == [] and made.sentences[0].text == "The melanosis coly is 1."
    assert any("the language is de" in note for note in made.notes)
