"""The pathology terms that speech is corrected to: the package's list and the user's."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from videopath_hf.errors import UserError

_ARROW = "->"


@dataclass(frozen=True)
class Term:
    """A term as it is written, and what it is compared by."""

    text: str
    key: str

    @cached_property
    def sound(self) -> str:
        """How its words sound; only speech is compared by it, and needs what that takes."""
        return "".join(sound(word) for word in word_keys(self.text))


class Vocabulary(NamedTuple):
    """Terms; words that occur in them; and phrases that the user says stand for something else."""

    terms: tuple[Term, ...]
    words: frozenset[str]
    replacements: dict[str, str]


def letters(text: str) -> str:
    """What a text is compared by: its letters and digits."""
    return re.sub(r"[^a-z0-9]+", "", text.lower().replace("'s", "s"))


def word_keys(text: str) -> list[str]:
    """The words of a text, split at spaces and hyphens, as they are compared."""
    return [key for part in re.split(r"[\s\-\u2010-\u2015/]+", text) if (key := letters(part))]


def sound(key: str) -> str:
    """How a word sounds, roughly: its Metaphone code."""
    from jellyfish import metaphone

    return metaphone(key)


def load_vocabulary(path: Path | None) -> Vocabulary:
    """The package's terms and, where `path` is given, the user's.

    A file holds terms separated by commas or lines; `heard -> written` on a line of its own is a replacement that is
    always made; what follows a `#` is a comment.

    Raises:
        UserError: the file cannot be read, or holds no term, or a line with an arrow lacks a side.
    """
    own = (files(__package__) / "vocabulary.txt").read_text(encoding="utf-8")
    texts, replacements = _parse(own.splitlines(), "vocabulary.txt")
    if path is not None:
        try:
            lines = path.expanduser().read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
            raise UserError(f"transcript.vocabulary = {path} cannot be read: {why}") from None
        more, replacements = _parse(lines, str(path))
        if not more and not replacements:
            raise UserError(f"transcript.vocabulary = {path} holds no term; write one a line, or `heard -> written`")
        texts = [*texts, *more, *replacements.values()]
    return _vocabulary(tuple(dict.fromkeys(texts)), tuple(replacements.items()))


@lru_cache(maxsize=4)
def _vocabulary(texts: tuple[str, ...], replacements: tuple[tuple[str, str], ...]) -> Vocabulary:
    terms = [Term(text, key) for text in texts if (key := letters(text))]
    words = frozenset(word for term in terms for word in word_keys(term.text))
    return Vocabulary(tuple(terms), words, {" ".join(word_keys(heard)): to for heard, to in replacements})


def _parse(lines: Iterable[str], origin: str) -> tuple[list[str], dict[str, str]]:
    terms: list[str] = []
    replacements: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        line = " ".join(line.partition("#")[0].split())
        if _ARROW not in line:
            terms += [term for part in line.split(",") if (term := part.strip())]
            continue
        heard, written = _sides(line)
        if not word_keys(heard) or not written:
            raise UserError(f"{origin}, line {number}: {line!r} is not of the form `heard -> written`")
        replacements[heard] = written
    return terms, replacements


def _sides(line: str) -> Sequence[str]:
    heard, _, written = line.partition(_ARROW)
    return heard.strip(), written.strip()
