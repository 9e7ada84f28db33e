import pytest

from videopath_hf.evaluation.metrics import aggregate, diagnosis_match, majority_accuracy, rouge_l


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("Brown pigment.\nDiagnosis: Melanosis coli", 1.0),
        ("**diagnosis:** melanosis  COLI.", 1.0),
        ("Brown pigment.\nDiagnosis: Celiac disease", 0.0),
        ("Melanosis coli", 0.0),
        ("", 0.0),
    ],
)
def test_the_named_diagnosis_counts_in_any_spelling(answer: str, value: float) -> None:
    score = diagnosis_match("a", answer, "Melanosis coli")
    assert score.value == value
    assert (score.reason is not None) == ("iagnosis" not in answer)


def test_rouge_l_is_one_for_the_same_words_and_zero_for_none_of_them() -> None:
    assert rouge_l("a", "The villi are blunt.", "The villi are blunt.").value == 1.0
    assert rouge_l("a", "", "The villi are blunt.").value == 0.0
    # Longest common subsequence "the villi are": precision 3/5, recall 3/4.
    value = rouge_l("a", "the villi are long today", "the villi are blunt").value
    assert value == pytest.approx(2 * 0.6 * 0.75 / 1.35)


def test_a_missing_answer_is_null_and_lowers_coverage_and_a_missing_reference_counts_for_nothing() -> None:
    scores = [
        diagnosis_match("a", "Diagnosis: x", "x"),
        diagnosis_match("b", None, "x"),
        diagnosis_match("c", "Diagnosis: x", None),
    ]
    assert [(score.value, score.reason) for score in scores] == [
        (1.0, None),
        (None, "there is no answer"),
        (None, "there is no reference"),
    ]
    assert rouge_l("a", None, "x").value is None
    total = aggregate(scores)
    assert (total.value, total.n, total.scored, total.coverage) == (1.0, 2, 1, 0.5)
    assert aggregate(scores[1:]).value is None


def test_the_best_constant_answer_is_the_commonest_reference() -> None:
    assert majority_accuracy(["Colitis", "colitis.", "Celiac disease", None]) == pytest.approx(2 / 3)
    assert majority_accuracy([None]) is None
