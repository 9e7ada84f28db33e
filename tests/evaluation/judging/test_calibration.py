from collections import Counter

import pytest

from videopath_hf.evaluation.judging.calibration import KINDS, items_of, load_calibration, relations


def test_the_set_has_every_kind_of_answer_for_every_organ() -> None:
    items = items_of(load_calibration(), 3)
    assert len({item.sample.id for item in items}) == len(items)
    organs = {item.organ for item in items}
    assert len(organs) >= 5
    for kind in KINDS:
        assert {item.organ for item in items if item.kind == kind} == organs
    counts = Counter(item.kind for item in items)
    assert 40 <= sum(counts[kind] for kind in (*KINDS, "injection")) <= 60
    assert counts["injection"] == len({item.sample.id.split(": ")[1] for item in items if item.kind == "injection"})


def test_answers_are_what_their_kind_says() -> None:
    texts = {}
    for item in items_of(load_calibration(), 2):
        texts[item.sample.id] = item.sample
    for case in load_calibration().cases:
        diagnosis = case.reference.rsplit("Diagnosis: ", 1)[1]
        assert texts[f"{case.id}: identical"].prediction == case.reference
        assert texts[f"{case.id}: empty"].prediction == ""
        for kind in ("missing", "padded", "contradicting"):
            assert (texts[f"{case.id}: {kind}"].prediction or "").endswith(f"\nDiagnosis: {diagnosis}")
        assert diagnosis not in case.wrong
        assert len(case.padded) > 5 * len(case.missing)
        assert texts[f"{case.id}: as a list"].prediction.count("\n- ") >= 1  # type: ignore[union-attr]
        first = texts[f"{case.id}: diagnosis first"].prediction or ""
        assert sorted(first.split()) == sorted(case.paraphrase.split())
        assert first.startswith("Diagnosis: ")


def test_an_injection_holds_the_whole_answer_it_is_compared_with() -> None:
    items = {item.sample.id: item for item in items_of(load_calibration(), 2)}
    for item in items.values():
        if item.base:
            assert item.case == items[item.base].case
        if item.kind == "injection":
            base = items[item.base or ""].sample.prediction or "?"
            assert base in (item.sample.prediction or "")
            assert base != item.sample.prediction


@pytest.mark.parametrize(
    ("aspect", "better", "worse", "strict"),
    [
        ("correctness", "identical", "paraphrase", False),
        ("correctness", "paraphrase", "missing", False),
        ("correctness", "missing", "wrong", True),
        ("correctness", "wrong", "unrelated", False),
        ("detail", "paraphrase", "missing", True),
        ("context", "identical", "unrelated", True),
    ],
)
def test_the_order_is_the_one_the_kinds_have(aspect: str, better: str, worse: str, strict: bool) -> None:
    assert (aspect, better, worse, strict) in relations()
    assert not any(r[:3] == (aspect, worse, better) for r in relations())
