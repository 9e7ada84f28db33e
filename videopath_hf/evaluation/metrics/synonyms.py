"""Which names of a disease mean the same: the package's list, and the user's.

A file of them holds, a line each,

    hepatocellular carcinoma = HCC = hepatoma       names of one disease; the first is the one they are known by
    tumours, tumour -> tumor                        words that are read as another one: spellings, plurals, adjectives

and comments behind a `#`. Case, accents, punctuation, possessives and regular plurals never count. A kind of a disease
is no name of it: "adenocarcinoma" does not stand with "carcinoma".
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

from videopath_hf.curation.terms import organs
from videopath_hf.errors import UserError
from videopath_hf.evaluation.metrics.words import find_phrases, plain_words, singular, statements, word_keys
from videopath_hf.files import content_hash

_OWN = "synonyms.txt"
_IGNORED = frozenset({
    "a", "an", "and", "at", "be", "by", "compatible", "consistent", "diagnosis", "diagnostic", "feature", "finding",
    "for", "from", "histologic", "histological", "in", "is", "keeping", "likely", "most", "of", "on", "pathologic",
    "pathological", "show", "the", "this", "to", "type", "with",
})  # fmt: skip


@dataclass
class Synonyms:
    """Names of diseases by what they mean.

    Args:
        forms (`dict[str, str]`): words that are read as another.
        names (`dict[tuple[str, ...], str]`): the words of every name, and what the disease is known by.
        longest (`int`): most words of a name.
        parts (`dict[str, frozenset[str]]`): what else a disease may be called by: one known by its organ and another
            name ("esophageal squamous cell carcinoma") is that name at that organ ("squamous cell carcinoma,
            esophagus").
    """

    forms: dict[str, str] = field(default_factory=dict)
    names: dict[tuple[str, ...], str] = field(default_factory=dict)
    longest: int = 1
    parts: dict[str, frozenset[str]] = field(default_factory=dict)

    def key(self, diagnosis: str) -> frozenset[tuple[str, bool]]:
        """What a diagnosis is compared by: the diseases and other words that it names, and which of them it denies.

        The order of words does not count, nor do words such as "of", "with" and "consistent with"; a word that says
        more, or less ("invasive", "possible", "no evidence of"), does.
        """
        found: set[tuple[str, bool]] = set()
        for keys, denied in statements(diagnosis, self.forms):
            for start, name in find_phrases(keys, self.names, self.longest):
                if name is not None:
                    found |= {(part, denied) for part in self.parts.get(name, (name,))}
                elif keys[start] not in _IGNORED:
                    found.add((keys[start], denied))
        return frozenset(found)

    def identity(self) -> str:
        """Hash of all that is in it."""
        return content_hash(
            sorted(self.forms.items()), sorted((list(words), name) for words, name in self.names.items())
        )


def load_synonyms(path: Path | None = None) -> Synonyms:
    """The package's names and, where `path` is given, the user's.

    A line whose first name the package knows adds to that disease.

    Raises:
        UserError: the file cannot be read, a line is of neither form, or a name stands for two diseases.
    """
    if path is None:
        return _own()
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise UserError(f"the list of synonyms {path} cannot be read: {why}") from None
    own = (files(__package__) / _OWN).read_text(encoding="utf-8")
    return _parse([(_OWN, own), (str(path), text)])


@cache
def _own() -> Synonyms:
    return _parse([(_OWN, (files(__package__) / _OWN).read_text(encoding="utf-8"))])


def _parse(texts: Sequence[tuple[str, str]]) -> Synonyms:
    lines = [
        (f"{origin}, line {number}", content)
        for origin, text in texts
        for number, line in enumerate(text.splitlines(), start=1)
        if (content := line.partition("#")[0].strip())
    ]
    found = Synonyms(forms=_forms([line for line in lines if "->" in line[1]]))
    for place, line in lines:
        if "->" not in line:
            _add(found, place, [part.strip() for part in line.split("=")])
    found.longest = max(map(len, found.names), default=1)
    keys_of_organs = [word_keys(word, found.forms) for organ in organs().values() for word in organ.words]
    organ_words = {keys[0] for keys in keys_of_organs if len(keys) == 1}
    for name in set(found.names.values()):
        if parts := _parts(found, tuple(word_keys(name, found.forms)), organ_words):
            found.parts[name] = parts
    return found


def _parts(found: Synonyms, words: tuple[str, ...], organ_words: Set[str]) -> frozenset[str] | None:
    """The organ and the one other name that a name is made of, or None."""
    shorter = {name: known_by for name, known_by in found.names.items() if len(name) < len(words)}
    pieces = [known_by or words[at] for at, known_by in find_phrases(words, shorter, found.longest)]
    said = {piece for piece in pieces if piece not in _IGNORED}
    return frozenset(said) if said & organ_words and len(said - organ_words) == 1 else None


def _forms(lines: Sequence[tuple[str, str]]) -> dict[str, str]:
    forms: dict[str, str] = {}
    for place, line in lines:
        left, _, right = line.partition("->")
        to = plain_words(right)
        heard = [plain_words(part) for part in left.split(",")]
        if len(to) != 1 or any(len(words) != 1 for words in heard):
            raise UserError(f"{place}: {line!r} is not of the form `word, word -> word`")
        for (word,) in heard:
            forms[word] = forms[singular(word)] = to[0]
    return {word: _end(forms, to) for word, to in forms.items()}


def _end(forms: Mapping[str, str], word: str) -> str:
    seen = {word}
    while (word := forms.get(word, word)) not in seen:
        seen.add(word)
    return word


def _add(found: Synonyms, place: str, names: Sequence[str]) -> None:
    keys = [tuple(word_keys(name, found.forms)) for name in names]
    if len(names) < 2 or not all(keys):
        raise UserError(f"{place}: {' = '.join(names)!r} is not of the form `name = name`, nor `word -> word`")
    if denying := [name for name in names if any(statement.denied for statement in statements(name, {}))]:
        raise UserError(f"{place}: {denying[0]!r} denies something; a name says what a disease is")
    known_by = found.names.get(keys[0], names[0])
    for name, words in zip(names, keys, strict=True):
        other = found.names.get(words)
        if other is not None and other != known_by:
            raise UserError(f"{place}: {name!r} already stands for {other!r}; a name can stand for one disease only")
        found.names[words] = known_by
