import pytest

from videopath_hf.evaluation.metrics.findings import FindingTerms, finding_recall
from videopath_hf.evaluation.metrics.synonyms import load_synonyms
from videopath_hf.evaluation.metrics.words import statements


@pytest.fixture(scope="module")
def terms() -> FindingTerms:
    return FindingTerms(load_synonyms())


def said(terms: FindingTerms, text: str) -> set[str]:
    return {f"-{term}" if denied else term for term, denied in terms.find(text)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("There is necrosis.", {"necrosis"}),
        ("There is no necrosis.", {"-necrosis"}),
        ("No evidence of granulomas or necrosis is seen", {"-granuloma", "-necrosis"}),
        ("No granulomas, necrosis, or mitoses.", {"-granuloma", "-necrosis", "-mitosis"}),
        ("No necrosis, brisk mitoses.", {"-necrosis", "mitosis"}),
        ("No necrosis and the mitoses are frequent", {"-necrosis", "mitosis"}),
        ("Without necrosis but with fibrosis", {"-necrosis", "fibrosis"}),
        ("Necrosis is absent.", {"-necrosis"}),
        ("There is fibrosis, and necrosis is not seen.", {"fibrosis", "-necrosis"}),
        ("Not only necrosis, also fibrosis", {"necrosis", "fibrosis"}),
        ("It doesn't show necrosis.", {"-necrosis"}),
        ("Crypt abscesses lie beside villi", {"crypt abscess", "villus"}),
        ("Colonic biopsy with diagnosis, hematoxylin and eosin", set()),
    ],
)
def test_findings_are_read_with_what_is_denied(terms: FindingTerms, text: str, found: set[str]) -> None:
    got = {name.replace("granulomas", "granuloma") for name in said(terms, text)}
    assert {name.replace("mitoses", "mitosis") for name in got} == found


def test_a_term_is_the_same_in_singular_plural_and_both_spellings(terms: FindingTerms) -> None:
    assert terms.find("haemorrhage, oedema, villi, crypts") == terms.find("hemorrhage, edema, villus, crypt")


def test_recall_is_the_share_of_the_references_findings_and_the_missed_are_named(terms: FindingTerms) -> None:
    reference = "Crypt abscesses and fibrosis without granulomas."
    whole = finding_recall("a", "Fibrosis, crypt abscess. No granuloma.", reference, terms)
    assert (whole.value, whole.reason) == (1.0, None)
    third = finding_recall("a", "There are granulomas and there is fibrosis.", reference, terms)
    assert third.value == pytest.approx(1 / 3)
    assert third.reason == "missed: crypt abscess, no granuloma"


def test_no_necrosis_does_not_recall_necrosis(terms: FindingTerms) -> None:
    assert finding_recall("a", "There is no necrosis.", "There is necrosis.", terms).value == 0
    assert finding_recall("a", "There is necrosis.", "There is no necrosis.", terms).value == 0


def test_a_reference_without_findings_asks_for_none_and_no_answer_is_null(terms: FindingTerms) -> None:
    for description in ("A quiet field.", "", None):
        score = finding_recall("a", "Necrosis.", description, terms)
        assert (score.value, score.applies) == (None, False)
    missing = finding_recall("a", None, "Necrosis.", terms)
    assert (missing.value, missing.applies, missing.reason) == (None, True, "there is no answer")
    assert finding_recall("a", "", "Necrosis.", terms).value == 0


def test_words_that_deny_are_left_out_of_what_is_compared() -> None:
    assert statements("no evidence of any necrosis", {}) == [(["any", "necrosis"], True)]
