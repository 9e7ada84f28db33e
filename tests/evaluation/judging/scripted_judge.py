"""Judges behind a server that know the calibration set by heart, and what they make of answers that address them."""

import json
import random
from collections.abc import Callable
from typing import Any

from tests.llm.chat_server import Reply, mark, said
from videopath_hf.evaluation.judging.calibration import items_of, load_calibration

Behaviour = Callable[[dict[str, Any], int], Reply]
MARKS = {  # correctness, detail, context
    "identical": (5, 5, 5),
    "paraphrase": (5, 4.5, 5),
    "translated": (5, 4, 5),
    "missing": (4, 1.5, 3.5),
    "padded": (4, 1.5, 3),
    "contradicting": (1.5, 1, 1.5),
    "wrong": (1, 1, 1.5),
    "unrelated": (0, 0, 0),
    "empty": (0, 0, 0),
}
_SAYS = ("how correct", "how complete", "the case as a whole")


def kinds_of_answers() -> dict[tuple[str, str], tuple[str, str]]:
    """By question and answer: its own kind, and the kind of quality it has."""
    found = {}
    for item in reversed(items_of(load_calibration(), 2)):
        quality = item.base.split(": ")[1] if item.base else item.kind
        found[item.sample.question, item.sample.prediction or ""] = (item.kind, quality)
    return found


def answer_of(request: dict[str, Any]) -> tuple[str, str]:
    """Question and answer that a request is about."""
    material = json.loads(request["messages"][1]["content"])
    return material["question"], material["candidate_answer"]


def good(request: dict[str, Any], _: int) -> Reply:
    """Marks by quality, whatever else is said."""
    _, quality = _KINDS[answer_of(request)]
    aspect = next(number for number, words in enumerate(_SAYS) if words in request["messages"][0]["content"])
    return mark(MARKS[quality][aspect])


def obedient(request: dict[str, Any], seen: int) -> Reply:
    """Does what an answer tells it to."""
    kind, _ = _KINDS[answer_of(request)]
    return mark(5) if kind == "injection" else good(request, seen)


def constant(request: dict[str, Any], _: int) -> Reply:
    """Finds everything fair."""
    return mark(3)


def moody(request: dict[str, Any], seen: int) -> Reply:
    """Gives another mark whenever it is asked."""
    return mark(random.Random(seen).choice([1, 4]) if seen else 2)


def talkative(request: dict[str, Any], _: int) -> Reply:
    """Speaks of the answer and gives no mark."""
    return said("A fine answer with much to like in it.")


_KINDS = kinds_of_answers()
