"""Correction of misheard terms; what it must put right, and above all what it must leave alone."""

from pathlib import Path

import pytest

from videopath_hf.curation.correction import Corrector
from videopath_hf.curation.speech import Spoken
from videopath_hf.curation.vocabulary import load_vocabulary
from videopath_hf.errors import UserError

ORDINARY = Path(__file__).with_name("ordinary_sentences.txt")
MEDICAL = Path(__file__).with_name("medical_sentences.txt")


@pytest.fixture(scope="module", autouse=True)
def needs_speech_extra() -> None:
    for package in ("rapidfuzz", "jellyfish", "wordfreq"):
        pytest.importorskip(package, reason="pip install 'videopath-hf[speech]'")


@pytest.fixture(scope="module")
def corrector() -> Corrector:
    return Corrector(load_vocabulary(None))


def spoken(text: str) -> list[Spoken]:
    return [Spoken(n * 0.4, n * 0.4 + 0.3, f" {word}", 0.8) for n, word in enumerate(text.split())]


def corrected(corrector: Corrector, text: str) -> str:
    return "".join(word.text for word in corrector.correct(spoken(text))[0]).strip()


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("stained with hematoxyline and eocin.", "stained with hematoxylin and eosin."),
        ("The Malaminaprapria is wide.", "The lamina propria is wide."),
        ("pigment in the lamina property.", "pigment in the lamina propria."),
        ("The diagnosis is melanosis-coly, a benign one.", "The diagnosis is melanosis coli, a benign one."),
        ("A case of celiac sprew here.", "A case of celiac sprue here."),
        ("Villas-lunting, crypt hyperplasia.", "Villous blunting, crypt hyperplasia."),
        ("the intrepidhelial lymphocytes support it", "the intraepithelial lymphocytes support it"),
        ("many goblet sells", "many goblet cells"),
        ("It is a fibro adenoma.", "It is a fibroadenoma."),
        ("hemo siderin is brown", "hemosiderin is brown"),
        ("a biopsy of the duodum", "a biopsy of the duodenum"),
        ("this diametric nephropathy", "this diabetic nephropathy"),
        ("with a canthosis", "with acanthosis"),
    ],
)
def test_misheard_terms_are_put_right_and_their_neighbours_stay(corrector: Corrector, heard: str, meant: str) -> None:
    assert corrected(corrector, heard) == meant


def test_ordinary_english_is_left_alone(corrector: Corrector) -> None:
    sentences = [line for line in ORDINARY.read_text(encoding="utf-8").splitlines() if line]
    assert len(sentences) >= 150
    changed = {text: new for text in sentences if (new := corrected(corrector, text)) != text}
    assert changed == {}


def test_good_medical_english_is_left_alone_terms_that_are_not_listed_included(corrector: Corrector) -> None:
    sentences = [line for line in MEDICAL.read_text(encoding="utf-8").splitlines() if line]
    changed = {text: new for text in sentences if (new := corrected(corrector, text)) != text}
    assert changed == {}


@pytest.mark.parametrize(
    "word",
    [
        "hypokeratosis",
        "tonsillosis",
        "colonitis",
        "haemangioblastoma",
        "oesophagogastric",
        "hepatocytic",
        "melanocytoma",
        "gastrectitis",
    ],
)
def test_a_word_with_another_prefix_or_ending_is_another_word(corrector: Corrector, word: str) -> None:
    assert corrected(corrector, f"It was called {word} then.") == f"It was called {word} then."


def test_words_across_punctuation_or_a_pause_are_no_term(corrector: Corrector) -> None:
    assert corrected(corrector, "see the lamina, property of all") == "see the lamina, property of all"
    apart = [Spoken(0.0, 0.4, " lamina", 0.9), Spoken(3.0, 3.4, " property", 0.9)]
    assert corrector.correct(apart) == (apart, [])


def test_every_replacement_is_recorded_with_its_time_and_score(corrector: Corrector) -> None:
    words, [made] = corrector.correct(spoken("in the lamina propia."))
    assert (made.heard, made.corrected, made.start) == ("lamina propia.", "lamina propria.", pytest.approx(0.8))
    assert 0.8 < made.score < 1
    assert words[2].start == pytest.approx(0.8) and words[3].end == pytest.approx(1.5)
    assert {word.confidence for word in words} == {0.8}


def test_the_users_terms_and_replacements_are_used(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# ours\nTroxlerosis of Zorn, quindolin\nvillas -> villi\n", encoding="utf-8")
    corrector = Corrector(load_vocabulary(path))
    assert corrected(corrector, "The villas show quindolyn.") == "The villi show quindolin."
    assert corrected(Corrector(load_vocabulary(None)), "The villas show quindolyn.") == "The villas show quindolyn."


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"# nothing\n", "holds no term"), (b"\xff\xfe", "not UTF-8"), (b"a -> \n", "line 1"), (None, "cannot be read")],
)
def test_a_bad_vocabulary_is_one_clear_sentence(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=complaint) as caught:
        load_vocabulary(path)
    assert "words.txt" in str(caught.value) and "\n" not in str(caught.value)


def test_the_packages_terms_are_many_and_none_is_listed_twice() -> None:
    terms = [term.text for term in load_vocabulary(None).terms]
    assert len(terms) > 1500 and len(terms) == len({term.lower() for term in terms})
