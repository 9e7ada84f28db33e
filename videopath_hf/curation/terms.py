"""What words say about a case: its number, its organ, its diagnosis."""

import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import yaml

_NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
]
_THING = r"(?:cases?|patients?|biops(?:y|ies)|specimens?|examples?|slides?)"
_SHOWN_CASE = re.compile(rf"\bcase\s*(?:no\.?|number|nr\.?|#)?\s*(\d{{1,2}}|{'|'.join(_NUMBERS)})(?![\d.]*\d)\b", re.I)
_ORDINAL = re.compile(rf"\b({'|'.join(_ORDINALS)})\s+(?:\w+\s+)?{_THING}\b", re.I)
_NEXT = re.compile(rf"\b(?:(?:our|the)\s+next|next|another)\s+{_THING}\b", re.I)
_COMPARED = re.compile(
    r"\b(?:unlike|than|contrast(?:ed)?\s+(?:to|with)|as|like)\s+(?:in\s+)?(?:the\s+|our\s+)?$", re.I
)
_SPECIMEN = r"(?:biops(?:y|ies)|specimens?|resections?|excisions?|sections?|fragments?|mucosa|core)"

_SHOWN_DIAGNOSIS = re.compile(r"\bdiagnosis\s*[:\-\u2013\u2014]\s*(?P<value>\S.*)", re.I)
_SPOKEN_DIAGNOSIS = (  # the surest first
    r"\bdiagnosis\s+(?:here\s+|in\s+this\s+(?:case|patient)\s+)?(?:is|was)\s+(?P<value>.+)",
    r"\b(?:supports?|confirms?|establish(?:es)?|makes?|allows?)\s+(?:the|a|our)\s+diagnosis\s+(?:of|on|for)\s+(?P<value>.+)",
    r"\bdiagnos(?:is\s+of|ed\s+as)\s+(?P<value>.+)",
    r"\b(?:consistent|compatible)\s+with\s+(?P<value>.+)|\b(?:diagnostic|characteristic)\s+of\s+(?P<value2>.+)",
)
_DENIED = re.compile(
    r"\b(?:not?|nothing|never|neither|nor|without|against|exclud\w*|rul\w+\s+out|instead\s+of|rather\s+than|differential|"
    r"alternative|previous|initial|clinical|referring|question\s+of|whether|if|suspected|n't)[^\w,;:.]+(?:\w+[^\w,;:.]+){0,3}$",
    re.I,
)
_VALUE_ENDS = re.compile(
    r"[,;:.!?()\[\]]|\s[\u2013\u2014-]\s|\b(?:which|that|because|since|based\s+on|given|so|but|as\s+(?:shown|seen|we)|"
    r"here|in\s+(?:this|the|our)|is|are|was|were|can|should|must|may)\b",
    re.I,
)
_ARTICLE = re.compile(r"^(?:an?|the|our|therefore|thus|then|clearly|simply|most\s+likely|likely|probably)\s+", re.I)
_NO_VALUE = frozenset(
    [
        "made",
        "based",
        "clear",
        "difficult",
        "straightforward",
        "easy",
        "obvious",
        "unknown",
        "challenging",
        "usually",
        "often",
        "not",
        "to",
        "that",
        "this",
        "what",
        "confirmed",
        "by",
        "very",
        "quite",
        "it",
        "no",
        "given",
        "supported",
        "established",
        "then",
        "always",
        "still",
        "rendered",
        "important",
        "critical",
    ]
)
_MAX_WORDS = 8


class Organ(NamedTuple):
    """An organ, the words for it, and the larger organ it is a part of."""

    name: str
    words: tuple[str, ...]
    part_of: str | None


class CaseCue(NamedTuple):
    """Words that say which case comes: its number, or None for "the next case"."""

    number: int | None
    position: int


class Diagnosis(NamedTuple):
    """A named diagnosis and how sure the wording makes it; 0 is surest."""

    value: str
    rank: int


@cache
def organs() -> dict[str, Organ]:
    """The package's list of organs, by name."""
    entries = yaml.safe_load((files(__package__) / "organs.yaml").read_text(encoding="utf-8"))
    return {entry["name"]: Organ(entry["name"], tuple(entry["words"]), entry.get("part_of")) for entry in entries}


@cache
def _organ_pattern() -> tuple[re.Pattern[str], dict[str, str]]:
    names = {word.lower(): organ.name for organ in organs().values() for word in organ.words}
    longest_first = sorted(names, key=len, reverse=True)
    words = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in longest_first)
    return re.compile(rf"\b({words})s?\b", re.I), names


def find_organ(text: str) -> str | None:
    """The organ a text is about: one named as a specimen ("a biopsy of the colon", "colonic biopsy") before others."""
    pattern, names = _organ_pattern()
    found = list(pattern.finditer(text))
    if not found:
        return None

    def named_as_specimen(match: re.Match[str]) -> bool:
        after = re.match(rf"\s+(?:\w+\s+)?{_SPECIMEN}\b", text[match.end() :], re.I)
        before = re.search(rf"\b{_SPECIMEN}\s+(?:of|from)\s+(?:the\s+|a\s+)?(?:\w+\s+)?$", text[: match.start()], re.I)
        return bool(after or before)

    best = next((match for match in found if named_as_specimen(match)), found[0])
    return names[" ".join(best.group(1).lower().split())]


def is_specimen(text: str) -> bool:
    """Whether a text speaks of a specimen at all."""
    return re.search(rf"\b{_SPECIMEN}\b", text, re.I) is not None


def related(a: str, b: str) -> bool:
    """Whether two organs can be the same one, named more or less exactly."""
    known = organs()
    return a == b or known[a].part_of == b or known[b].part_of == a


def shown_case(text: str) -> int | None:
    """The number of a case label on screen ("Case 2: colon biopsy")."""
    match = _SHOWN_CASE.search(text)
    return _number(match.group(1)) if match else None


def spoken_case(text: str) -> CaseCue | None:
    """The first case cue of a sentence ("the second patient", "case two", "our next case"), comparisons left out."""
    cues = [CaseCue(_number(match.group(1)), match.start()) for match in _SHOWN_CASE.finditer(text)]
    cues += [CaseCue(_number(match.group(1)), match.start()) for match in _ORDINAL.finditer(text)]
    cues += [CaseCue(None, match.start()) for match in _NEXT.finditer(text)]
    cues = [cue for cue in cues if not _COMPARED.search(text[: cue.position])]
    return min(cues, key=lambda cue: cue.position, default=None)


def shown_diagnosis(text: str) -> Diagnosis | None:
    """The diagnosis of a label on screen ("Diagnosis: celiac disease")."""
    match = _SHOWN_DIAGNOSIS.search(text)
    if match is None or _DENIED.search(text[: match.start()]):
        return None
    return _diagnosis(match.group("value"), 0)


def spoken_diagnosis(text: str) -> Diagnosis | None:
    """The diagnosis a sentence states; a denied, suspected or differential one is none."""
    for rank, pattern in enumerate(_SPOKEN_DIAGNOSIS, start=1):
        for match in re.finditer(pattern, text, re.I):
            if _DENIED.search(text[: match.start()]):
                continue
            value = match.groupdict().get("value") or match.groupdict().get("value2") or ""
            if (diagnosis := _diagnosis(value, rank)) is not None:
                return diagnosis
    return None


def _diagnosis(value: str, rank: int) -> Diagnosis | None:
    value = _VALUE_ENDS.split(" ".join(value.split()), maxsplit=1)[0].strip(" \"'-")
    while (shorter := _ARTICLE.sub("", value)) != value:
        value = shorter
    words = value.split()
    if not words or len(words) > _MAX_WORDS or words[0].lower() in _NO_VALUE or len(value) < 3:
        return None
    return Diagnosis(value[0].upper() + value[1:], rank)


def _number(word: str) -> int:
    word = word.lower()
    for names in (_NUMBERS, _ORDINALS):
        if word in names:
            return names.index(word) + 1
    return int(word)
