"""Questions about images as published sets score them: open, yes or no, and multiple choice.

Which of them a record is, its `extra["task"]` says: `"open"`, `"closed"` (with `extra["yes_no"]`) or `"choice"` (with
`extra["choices"]`, texts by letter, and `extra["answer_label"]`, the right letter).
"""

import re
from collections import Counter
from collections.abc import Mapping

from videopath_hf.evaluation.metrics.summary import no_answer
from videopath_hf.evaluation.metrics.words import plain_words
from videopath_hf.records import InstructionRecord, Score

ANSWER_WORD_RECALL = "answer_word_recall"
YES_NO_ACCURACY = "yes_no_accuracy"
CHOICE_ACCURACY = "choice_accuracy"

_ARTICLES = frozenset(("a", "an", "the"))
_NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    )
}
_LETTER_ALONE = re.compile(r"[\s*_`(\[]*(?P<letter>[A-Za-z])[\s*_`)\].:,]*$")
_LETTER_FIRST = re.compile(r"[\s*_`(\[]*(?P<letter>[A-Z])[*_`]*\s*[).:\]]")
_LETTER_NAMED = re.compile(
    r"\b(?i:answer|option|choice)\b(?:\s+is)?\s*[:\-]?\s*[*_`(\[\"']*(?P<letter>[A-Z])\b(?!['\u2019])"
)


def answer_word_recall(name: str, prediction: str | None, reference: str) -> Score:
    """Share of the reference answer's words that the answer has, 0 to 1; articles do not count.

    Published code for Quilt-VQA counts a word that an answer repeats as often as it stands there, which can make a
    recall greater; here it counts as often as the reference has it.
    """
    if prediction is None:
        return no_answer(name, ANSWER_WORD_RECALL)
    wanted, said = (Counter(_words(text)) for text in (reference, prediction))
    if not wanted:
        return Score(
            id=name, metric=ANSWER_WORD_RECALL, value=None, reason="the reference has no words", applies=False
        )
    found = sum((wanted & said).values())
    return Score(id=name, metric=ANSWER_WORD_RECALL, value=found / wanted.total())


def yes_no_accuracy(name: str, prediction: str | None, reference: str) -> Score:
    """1 if the answer says what is right, "yes" or "no", else 0.

    An answer that says neither, or both without starting with one, was given and is not right: it scores 0 and its
    reason says so. Published code for Quilt-VQA counts every answer without "no" or "not" as "yes".
    """
    if prediction is None:
        return no_answer(name, YES_NO_ACCURACY)
    said = read_yes_no(prediction)
    reason = "the answer says neither yes nor no" if said is None else None
    return Score(id=name, metric=YES_NO_ACCURACY, value=float(said == reference.casefold()), reason=reason)


def choice_accuracy(name: str, prediction: str | None, label: str, choices: Mapping[str, str]) -> Score:
    """1 if the answer chooses the right option, by its letter or its text, else 0.

    One that chooses none, or several, scores 0 and its reason says so.
    """
    if prediction is None:
        return no_answer(name, CHOICE_ACCURACY)
    said = read_choice(prediction, choices)
    reason = "the answer chooses no option, or several" if said is None else None
    return Score(id=name, metric=CHOICE_ACCURACY, value=float(said == label), reason=reason)


def score_image_answer(record: InstructionRecord, prediction: str | None) -> Score | None:
    """The score of a record of an image set, by its task; None for any other record."""
    task = record.extra.get("task")
    if task == "open":
        return answer_word_recall(record.id, prediction, record.answer)
    if task == "closed":
        return yes_no_accuracy(record.id, prediction, str(record.extra["yes_no"]))
    if task == "choice":
        choices = {str(letter): str(text) for letter, text in record.extra["choices"].items()}
        return choice_accuracy(record.id, prediction, str(record.extra["answer_label"]), choices)
    return None


def read_yes_no(answer: str) -> str | None:
    """`"yes"` or `"no"`: the first word, or the only one of the two among all words; else None."""
    words = plain_words(answer)
    said = {"yes", "no"} & set(words[:1]) or {"yes", "no"} & set(words)
    return said.pop() if len(said) == 1 else None


def read_choice(answer: str, choices: Mapping[str, str]) -> str | None:
    """The letter of the option that an answer chooses, or None.

    In this order: an answer that is a letter, or an option's text; one that starts with a letter and a mark ("B:",
    "(B)"); one that names a letter ("the answer is B"); one that holds the text of a single option.
    """
    texts = {letter: " ".join(plain_words(text)) for letter, text in choices.items()}
    said = " ".join(plain_words(answer))
    if (alone := _LETTER_ALONE.match(answer)) and alone["letter"].upper() in choices:
        return alone["letter"].upper()
    if len(exact := [letter for letter, text in texts.items() if text and text == said]) == 1:
        return exact[0]
    if (first := _LETTER_FIRST.match(answer)) and first["letter"] in choices:
        return first["letter"]
    named = {match["letter"] for match in _LETTER_NAMED.finditer(answer)} & choices.keys()
    if named:
        return named.pop() if len(named) == 1 else None
    held = {letter: text for letter, text in texts.items() if text and f" {text} " in f" {said} "}
    # "no focal uptake" holds "focal uptake" too: the longer option is meant.
    longest = [a for a in held if not any(held[a] != held[b] and held[a] in held[b] for b in held)]
    return longest[0] if len(longest) == 1 else None


def _words(text: str) -> list[str]:
    return [_NUMBERS.get(word, word) for word in plain_words(text) if word not in _ARTICLES]
