"""The words of a text as the metrics compare them, and what in a text is denied."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

_POSSESSIVE = re.compile(r"['\u2018\u2019`]s\b")
_CLAUSE_ENDS = re.compile(r"[.;:!?]+(?=\s|$)|[\n()\[\]]+|\b(?:but|however|although|though|except|yet|whereas|while)\b")
_DENIES = re.compile(
    r"(?:\b(?:no(?!\s+special\s+type)|not|without|never|neither|nor|cannot|absent|absence\s+of|lack(?:s|ing)?(?:\s+of)?|"
    r"negative\s+for|free\s+of|devoid\s+of|rul(?:e|es|ed|ing)\s+out)\b|n['\u2019]t\b)"
    r"(?:\s+(?:any\s+)?(?:evidence|signs?|features?)\s+(?:of|for)\b)?"
)
_ONLY = re.compile(r"\s+(?:only|just|merely)\b")
_DENIED_AFTER = re.compile(
    r"\b(?:is|are|was|were)\s+(?:absent|lacking|missing|not\s+(?:seen|present|identified|found|evident|noted|observed|"
    r"detected|appreciated|visible|demonstrated|included))\b|\b(?:has|have|had)\s+been\s+(?:excluded|ruled\s+out)\b"
)
_ASSERTS_ANEW = re.compile(r",|\band\b")
_VERB = re.compile(r"\b(?:is|are|was|were|has|have|shows?|there|lies?|lined?|contains?)\b")
_LISTS_ON = re.compile(r"\b(?:n?or)\b")


class Statement(NamedTuple):
    """Words, as they are compared, that a text says or, `denied`, denies."""

    keys: list[str]
    denied: bool


def plain_words(text: str) -> list[str]:
    """Words in lower case without accents, punctuation and possessive endings: "Crohn's disease" is crohn, disease."""
    decomposed = unicodedata.normalize("NFKD", _POSSESSIVE.sub("", text.casefold()))
    kept = "".join(char for char in decomposed if not unicodedata.combining(char))
    return re.sub(r"[\W_]+", " ", kept).split()


def word_keys(text: str, forms: Mapping[str, str]) -> list[str]:
    """Plain words in one form each: `forms` maps spellings, irregular plurals and adjectives; regular plurals lose
    their ending."""
    return [_key(word, forms) for word in plain_words(text)]


def statements(text: str, forms: Mapping[str, str]) -> list[Statement]:
    """What a text says and what it denies, one after the other.

    "No", "without", "negative for" and the like deny what follows them in their clause, up to a comma or an "and"
    that starts something else; "is absent" and "is not seen" deny what stands before them. It is the idea of NegEx
    (Chapman et al. 2001). The words that deny are left out.
    """
    return [
        Statement(keys, denied)
        for clause in _CLAUSE_ENDS.split(text.casefold())
        for piece, denied in _pieces(clause)
        if (keys := word_keys(piece, forms))
    ]


def _pieces(clause: str) -> Iterator[tuple[str, bool]]:
    """Pieces of a clause, without the words that deny."""
    cues = [cue for cue in _DENIES.finditer(clause) if not _ONLY.match(clause, cue.end())]
    after = _DENIED_AFTER.search(clause)
    if after and not any(cue.start() < after.start() for cue in cues):
        start = _start_of_denied(clause, after.start())
        yield clause[:start], False
        yield clause[start : after.start()], True
        yield clause[after.end() :], False
        return
    at = 0
    for number, cue in enumerate(cues):
        if cue.start() < at:
            continue
        yield clause[at : cue.start()], False
        limit = cues[number + 1].start() if number + 1 < len(cues) else len(clause)
        at = _end_of_denied(clause, cue.end(), limit)
        yield clause[cue.end() : at], True
    yield clause[at:], False


def _end_of_denied(clause: str, start: int, limit: int) -> int:
    for mark in _ASSERTS_ANEW.finditer(clause, start, limit):
        rest = clause[mark.end() : limit]
        if mark.group() == ",":
            if not _LISTS_ON.search(rest):
                return mark.start()
        elif _VERB.search(rest):
            return mark.start()
    return limit


def _start_of_denied(clause: str, end: int) -> int:
    """Where the subject of "is absent" starts: behind the last comma, or the last "and" that joins two statements."""
    starts = [mark.end() for mark in _ASSERTS_ANEW.finditer(clause, 0, end)]
    for start in reversed(starts):
        before = clause[:start]
        if before.endswith(",") or _VERB.search(before):
            return start
    return 0


def find_phrases(
    keys: Sequence[str], phrases: Mapping[tuple[str, ...], str], longest: int
) -> Iterator[tuple[int, str | None]]:
    """Go over words and take the longest phrase at each place.

    Yields:
        `tuple[int, str | None]`: the place, and what `phrases` says of what stands there; None for a word that
        starts no phrase.
    """
    at = 0
    while at < len(keys):
        for length in range(min(longest, len(keys) - at), 0, -1):
            if (found := phrases.get(tuple(keys[at : at + length]))) is not None:
                yield at, found
                at += length
                break
        else:
            yield at, None
            at += 1


def _key(word: str, forms: Mapping[str, str]) -> str:
    if word in forms:
        return forms[word]
    single = singular(word)
    return forms.get(single, single)


def singular(word: str) -> str:
    """A word without a regular plural's ending."""
    if len(word) <= 3 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1]
