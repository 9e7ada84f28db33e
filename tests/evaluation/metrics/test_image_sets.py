import pytest

from videopath_hf.evaluation.metrics.image_sets import (
    answer_word_recall,
    choice_accuracy,
    read_choice,
    yes_no_accuracy,
)

CHOICES = {"A": "Diffuse uptake pattern", "B": "Focal uptake", "C": "No focal uptake", "D": "A cannot be said"}


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("b.", "B"),
        ("(B)", "B"),
        ("B: Focal uptake", "B"),
        ("**B)** because of the spot", "B"),
        ("Focal uptake", "B"),
        ("no focal uptake.", "C"),
        ("The answer is C.", "C"),
        ("Answer: (D)", "D"),
        ("It shows no focal uptake in the breast.", "C"),
        ("I see focal uptake here", "B"),
        ("A diffuse uptake pattern is seen", "A"),
        ("A biopsy is seen.", None),
        ("Option A or option B", None),
        ("E", None),
        ("Focal uptake and a diffuse uptake pattern", None),
        ("", None),
    ],
)
def test_an_option_is_chosen_by_its_letter_or_its_text_and_never_guessed(answer: str, letter: str | None) -> None:
    assert read_choice(answer, CHOICES) == letter
    score = choice_accuracy("a", answer, "B", CHOICES)
    assert score.value == float(letter == "B")
    assert (score.reason is None) == (letter is not None)


@pytest.mark.parametrize(
    ("answer", "reference", "value", "reason"),
    [
        ("Yes.", "yes", 1, None),
        ("No, there is none.", "No", 1, None),
        ("Yes, there is no necrosis", "yes", 1, None),
        ("I think yes", "yes", 1, None),
        ("Necrosis is present.", "yes", 0, "neither"),
        ("It is not.", "no", 0, "neither"),
        ("It may be yes or no", "yes", 0, "neither"),
        ("", "yes", 0, "neither"),
    ],
)
def test_an_answer_that_says_neither_yes_nor_no_is_wrong_and_says_so(
    answer: str, reference: str, value: float, reason: str | None
) -> None:
    score = yes_no_accuracy("a", answer, reference)
    assert score.value == value
    assert (score.reason or "").count("neither") == (reason is not None)


def test_recall_counts_the_references_words_as_often_as_they_stand_there() -> None:
    assert answer_word_recall("a", "Two goblet cells, the villi", "the 2 goblet cells").value == 1
    assert answer_word_recall("a", "cells cells cells", "goblet cells").value == 0.5
    assert answer_word_recall("a", "cells", "goblet cells and cells").value == 0.25
    assert answer_word_recall("a", "", "goblet").value == 0


def test_without_an_answer_all_of_them_are_null() -> None:
    scores = [
        answer_word_recall("a", None, "x"),
        yes_no_accuracy("a", None, "yes"),
        choice_accuracy("a", None, "B", CHOICES),
    ]
    assert [(score.value, score.reason) for score in scores] == [(None, "there is no answer")] * 3
