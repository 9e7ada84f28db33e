"""Reading a judge's reply: one score from 0 to 5, in whatever way it is written, or the reason why there is none."""

import ast
import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

MAX_SCORE = 5


class Mark(NamedTuple):
    """A reply that could be read, or why it could not: `score` is None then and `reason` says why."""

    score: float | None
    reason: str


class _UnreadableError(Exception):
    """The message says why."""


_NUMBER = r"[-+\u2212]?(?:\d+(?:\.\d+)?|\.\d+|nan|inf(?:inity)?)"
_VALUE = rf"(?P<value>{_NUMBER})(?:\s*(?:/|out\s+of)\s*(?P<scale>\d+(?:\.\d+)?))?"
# What follows a number that is not one of ours alone: a share, a range, a sum, a decimal comma.
_AFTER = r"(?![\w%]|[.,]\d|\s*%|\s*[-\u2013/+]\s*\d|\s+to\s+\d)"
_ALONE = re.compile(rf"[*_`\"'\s]*{_VALUE}[*_`\"'\s.]*", re.IGNORECASE)
# At the start of a line, a sentence or a dict only: in the middle it may be a Gleason score, or the candidate's wish.
_LABELLED = re.compile(
    r"(?:^|[.!?:{,]\s*)[\s*_#>\"'`-]*(?:(?:the|my|final|overall|total)\s+)*"
    rf"(?:score|rating)[\"'`*_\s]*(?:[:=]|\bis\b|\bof\b)[\"'`*_\s]*(?P<said>{_VALUE}{_AFTER})?",
    re.IGNORECASE | re.MULTILINE,
)
_OUT_OF = re.compile(
    rf"(?<![\w./])(?P<value>{_NUMBER})\s*(?:/|out\s+of)\s*(?P<scale>{MAX_SCORE}(?:\.0)?)\b{_AFTER}", re.IGNORECASE
)
_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_FENCE = re.compile(r"\A\s*```\w*\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)
_NAMES_A_SCORE = re.compile(r"\bscores?\b|\brating\b|\d\s*/\s*5\b|\bout\s+of\s+(?:5|five)\b", re.IGNORECASE)
_HOLDS_AN_OBJECT = re.compile(r"\{.*score", re.IGNORECASE | re.DOTALL)


def read_mark(reply: str, cut: bool = False, judged: str = "") -> Mark:
    """Read a reply.

    Understood are a JSON object or a Python dict with a `score`, quotes single, double or doubled, a code fence or
    prose around it, `score: 4`, `4/5`, `4 out of 5`, and a number alone. Fractions are kept. Refused are scores
    outside of 0 to 5 or on another scale, two that differ, and words without a number.

    Args:
        reply (`str`): the judge's words.
        cut (`bool`, defaults to `False`): the reply ends where it was as long as allowed; only a whole object counts.
        judged (`str`, *optional*): the answer that was judged. Where it names a score, prose that may only repeat it
            is not read; where it holds an object with one, only a reply that is nothing but an object is.
    """
    text = _THOUGHT.sub("", reply)
    text = (fenced[1] if (fenced := _FENCE.match(text)) else text).strip()
    shown = " ".join(text.split())[:80]
    if not text:
        return Mark(None, "the judge's reply is empty")
    try:
        objects, prose = _parts(text, shown)
        scores = [_score_of(value, shown) for item in objects for value in _under_score(item)]
        if cut and not scores:
            raise _UnreadableError(f"the judge's reply was cut off at its longest length: {shown}")
        if prose.strip() and scores and _HOLDS_AN_OBJECT.search(judged):
            raise _UnreadableError(f"the judge's reply may repeat the answer's own score: {shown}")
        said = _scores_in(prose, shown, alone=not scores)
        if said and _NAMES_A_SCORE.search(judged) and not _ALONE.fullmatch(prose):
            raise _UnreadableError(f"the judge's reply may repeat the answer's own score: {shown}")
    except _UnreadableError as error:
        return Mark(None, str(error))
    scores += said
    if not scores:
        return Mark(None, f"the judge's reply has no number as score: {shown}")
    if len(set(scores)) > 1:
        return Mark(None, f"the judge's reply gives different scores ({_listed(scores)}): {shown}")
    return Mark(scores[0], next((str(item["reason"]) for item in objects if item.get("reason")), ""))


def _parts(text: str, shown: str) -> tuple[list[dict[str, Any]], str]:
    """The JSON objects and Python dicts in a text, and what is left of it."""
    found: list[dict[str, Any]] = []
    rest, start = [], 0
    while (opening := text.find("{", start)) >= 0:
        if "}" not in text[opening:]:
            raise _UnreadableError(f"the judge's reply ends in the middle of an object: {shown}")
        value, end = next(_read_object(text, opening), (None, opening + 1))
        rest.append(text[start : opening if value is not None else end])
        start = end
        if value is not None:
            found.append(value)
    return found, "".join([*rest, text[start:]])


def _under_score(item: dict[str, Any]) -> Iterator[Any]:
    """The values of all keys `score` in an object, of objects in it too."""
    for key, value in item.items():
        if isinstance(key, str) and key.lower() == "score":
            yield value
        elif isinstance(value, dict):
            yield from _under_score(value)


def _read_object(text: str, start: int) -> Iterator[tuple[dict[str, Any], int]]:
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
        yield value, end
    except (ValueError, RecursionError):
        pass
    closing = text.find("}", start)
    while closing >= 0:
        written = text[start : closing + 1]
        for form in (written, written.replace("''", "'").replace('""', '"')):
            try:
                value = ast.literal_eval(form)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
            if isinstance(value, dict):
                yield value, closing + 1
        closing = text.find("}", closing + 1)


def _score_of(value: Any, shown: str) -> float:
    """The value of a `score` key."""
    if isinstance(value, str) and (said := _ALONE.fullmatch(value)):
        return _number(said, shown)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _UnreadableError(f"the judge's reply has no number as score: {shown}")
    return _within(float(value))


def _scores_in(text: str, shown: str, alone: bool) -> list[float]:
    """Scores in prose, or a reply that is nothing but one."""
    if alone and (said := _ALONE.fullmatch(text)):
        return [_number(said, shown)]
    scores = []
    for said in _LABELLED.finditer(text):
        if said["said"] is not None:
            scores.append(_number(said, shown))
        elif re.match(r"[-+.]?\d", text[said.end() :]):
            raise _UnreadableError(f"the judge's reply has no single number as score: {shown}")
    if alone and not scores:
        scores = [_number(said, shown) for said in _OUT_OF.finditer(text)]
    return scores


def _number(said: "re.Match[str]", shown: str) -> float:
    if said["scale"] is not None and float(said["scale"]) != MAX_SCORE:
        raise _UnreadableError(f"the judge's score is out of {said['scale']}, not out of {MAX_SCORE}: {shown}")
    return _within(float(said["value"].replace("\u2212", "-")))


def _within(score: float) -> float:
    if not math.isfinite(score) or not 0 <= score <= MAX_SCORE:
        raise _UnreadableError(f"the judge's score {score:g} is not within 0 and {MAX_SCORE}")
    return score


def _listed(scores: list[float]) -> str:
    return ", ".join(f"{score:g}" for score in dict.fromkeys(scores))
