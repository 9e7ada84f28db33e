from pathlib import Path

import pytest

from tests.evaluation.metrics.records import a_record
from videopath_hf.evaluation.metrics import (
    MetricSettings,
    aggregate,
    bleu,
    describe_metrics,
    diagnosis_match,
    majority_accuracy,
    rouge_l,
    score_without_judge,
)


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


def test_what_cannot_be_scored_is_null_with_a_reason_and_lowers_coverage_not_the_mean() -> None:
    scores = [
        diagnosis_match("a", "Diagnosis: x", "x"),
        diagnosis_match("b", None, "x"),
        diagnosis_match("c", "Diagnosis: x", None),
    ]
    assert [(score.value, score.reason, score.applies) for score in scores] == [
        (1.0, None, True),
        (None, "there is no answer", True),
        (None, "the reference names no diagnosis", False),
    ]
    assert rouge_l("a", None, "x").value is None
    total = aggregate(scores)
    assert (total.value, total.n, total.scored, total.coverage) == (1.0, 2, 1, 0.5)
    assert aggregate(scores[1:]).value is None
    assert aggregate(scores[2:]).coverage == 1


def test_the_best_constant_answer_is_the_commonest_reference() -> None:
    assert majority_accuracy(["Colitis", "colitis.", "Celiac disease", None]) == pytest.approx(2 / 3)
    assert majority_accuracy([None]) is None


def test_bleu_is_sacrebleus_sentence_variant_between_zero_and_one() -> None:
    assert bleu("a", "The villi are blunt.", "The villi are blunt.").value == 1.0
    assert bleu("a", "", "The villi are blunt.").value == 0.0
    assert bleu("a", None, "x").value is None
    # Unigrams 3/3, bigrams 1/2, trigrams 0 of 1 smoothed to 1/2; one word short of four: exp(1 - 4/3).
    value = bleu("a", "the villi blunt", "the villi are blunt").value
    assert value == pytest.approx((1 * 0.5 * 0.5) ** (1 / 3) * 2.718281828 ** (-1 / 3))
    assert describe_metrics(MetricSettings(encoder=None))["bleu"].startswith(
        "nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp"
    )


def test_every_record_has_every_score_of_its_kind_and_a_missing_answer_is_null_in_all() -> None:
    records = [
        a_record("video", "The villi are blunt.\nDiagnosis: Celiac disease"),
        a_record("missing", "The villi are blunt.\nDiagnosis: Celiac disease"),
        a_record("clip", "A quiet field."),
        a_record("open", "Goblet cells", task="open"),
        a_record("closed", "No, it is not.", task="closed", yes_no="no"),
        a_record("choice", "B: pigment", task="choice", answer_label="B", choices={"A": "villi", "B": "pigment"}),
    ]
    said = {
        "video": "Blunt villi.\nDiagnosis: coeliac sprue",
        "clip": "A field.",
        "open": "cells",
        "closed": "no",
        "choice": "B",
    }
    scores = score_without_judge(records, said, MetricSettings(encoder=None))
    table = {(score.id, score.metric): score for score in scores}
    words = ["rougeL", "bleu", "diagnosis_exact", "diagnosis_synonym", "finding_recall"]
    assert list(table) == [(name, metric) for name in ("video", "missing", "clip") for metric in words] + [
        ("open", "answer_word_recall"),
        ("closed", "yes_no_accuracy"),
        ("choice", "choice_accuracy"),
    ]
    assert table["video", "diagnosis_exact"].value == 0
    assert table["video", "diagnosis_synonym"].value == 1
    assert table["video", "finding_recall"].value == 1
    assert {table["missing", metric].value for metric in words} == {None}
    assert {table["missing", metric].reason for metric in words} == {"there is no answer"}
    assert all(table["missing", metric].applies for metric in words)
    unasked = [metric for metric in words if not table["clip", metric].applies]
    assert unasked == ["diagnosis_exact", "diagnosis_synonym", "finding_recall"]
    assert [table[key].value for key in list(table)[-3:]] == [0.5, 1, 1]


def test_other_synonyms_and_another_encoder_are_another_basis_of_scores(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("Smith disease = SD")
    own, other = (describe_metrics(MetricSettings(encoder=None, synonyms=path)) for path in (None, mine))
    assert own["synonyms"] != other["synonyms"]
    assert own["bleu"] == other["bleu"]
    records = [a_record("a", "x\nDiagnosis: Smith disease")]
    for path, value in ((None, 0), (mine, 1)):
        scores = score_without_judge(records, {"a": "Diagnosis: SD"}, MetricSettings(encoder=None, synonyms=path))
        assert {score.value for score in scores if score.metric == "diagnosis_synonym"} == {value}
