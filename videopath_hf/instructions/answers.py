"""The form of an answer: a description, a line break, then `Diagnosis: <diagnosis>`."""

import re
import unicodedata
from typing import NamedTuple

_MARKERS = " \t*_`#>~\"'"
_NAME = r"(?:(?:final|best|most\s+likely|likely|primary)\s+)?diagnosis"
# "**Diagnosis:** x", "## Diagnosis - x", "final diagnosis: x"; on a line of its own the value may follow on the next.
_LINE = re.compile(rf"^[\s*_`#>~\d.()-]*{_NAME}[\s*_`]*(?:(?:[:=]|-+|[–—])[\s*_`]*(?P<value>.*))?$", re.IGNORECASE)  # noqa: RUF001
_INLINE = re.compile(rf"(?<=[.;!?])\s+[*_`]*{_NAME}[\s*_`]*:[\s*_`]*(?P<value>.+)$", re.IGNORECASE)


class ParsedAnswer(NamedTuple):
    """What an answer says, taken apart; `diagnosis` is None where it names none."""

    description: str
    diagnosis: str | None


def format_answer(description: str, diagnosis: str | None) -> str:
    """Join a description and a diagnosis; without a diagnosis the answer is the description alone."""
    description = description.strip()
    return description if diagnosis is None else f"{description}\nDiagnosis: {diagnosis.strip()}"


def parse_answer(text: str) -> ParsedAnswer:
    """Take an answer apart, as lenient as models are untidy; of several diagnosis lines the last one wins.

    Letter case, Markdown emphasis, headings, `-` or `=` in place of the colon, a value on the line after, and a
    `Diagnosis:` that follows the last sentence without a line break are understood.
    """
    diagnosis: str | None = None
    kept: list[str] = []
    waiting = False
    for line in text.splitlines():
        if match := _LINE.match(line):
            value = _clean(match["value"] or "")
            diagnosis, waiting = (value or diagnosis), not value
        elif match := _INLINE.search(line):
            kept.append(line[: match.start()].rstrip())
            diagnosis, waiting = _clean(match["value"]) or diagnosis, False
        elif waiting and _clean(line):
            diagnosis, waiting = _clean(line), False
        else:
            kept.append(line.rstrip())
    return ParsedAnswer("\n".join(kept).strip(), diagnosis)


def normalise_diagnosis(text: str) -> str:
    """A diagnosis in the form that is compared: case, accents, punctuation and a leading article do not count."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    if not decomposed.isascii():
        decomposed = "".join(char for char in decomposed if not unicodedata.combining(char))
    words = re.sub(r"[\W_]+", " ", decomposed).split()
    if len(words) > 1 and words[0] in ("a", "an", "the"):
        words = words[1:]
    return " ".join(words)


def _clean(value: str) -> str:
    return value.strip(_MARKERS).rstrip(". " + _MARKERS).strip()
