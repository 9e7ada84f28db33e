"""Puts misheard pathology terms right: by letters and by sound, and only where the words are no good English.

Every rule errs on the side of leaving the words alone; each replacement is recorded.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from videopath_hf.curation.speech import Spoken
from videopath_hf.curation.vocabulary import Term, Vocabulary, letters, sound, word_keys
from videopath_hf.curation.wordparts import INFLECTIONS, PREFIXES, other_beginning, other_ending, same_stem, stems
from videopath_hf.errors import MissingExtraError

_LONGEST = 4  # words heard for one term
_PAUSE = 1.0  # seconds between two words that cannot belong to one term
_SHORTEST = 5  # letters of what was heard and of a term: shorter ones are near to too much
_COMMON = 3.0  # Zipf frequency (wordfreq): one in a million words and more
_REAL = 1.0  # rare words from here on may be real ones that the list lacks: never changed alone
_FUNCTION = 5.5  # "is", "the": part of a term only where its letters are exactly right
_NEAR = 0.8  # similarity of letters and of sound that a replacement needs
_LONG = 8  # letters from which a term is not easily taken for another
_NEARER = 0.88  # similarity of letters or of sound that a shorter one needs
_LONGER = 0.25  # share by which the letters may be more or fewer than the term's: "melanocytoma" is no melanoma
_CLEAR = 0.02  # by which the best term must lead the next
_STEM = 0.7  # similarity of letters without a suffix that both have: "-ectomy" alone says nothing
_ANCHORED = 0.6  # similarity of letters beside a word that is right
_SENTENCE_END = re.compile(r"[.!?\u2026][\"')\]]?\s*$")
_BREAK = re.compile(r"[,;:.!?\u2026)\]\"]\s*$")


class Correction(NamedTuple):
    """Words that were replaced, as they were heard and as they are now, when, and how near the two are (0 to 1)."""

    heard: str
    corrected: str
    start: float
    score: float


class _Match(NamedTuple):
    term: str
    score: float


class _Found(NamedTuple):
    first: int
    last: int
    match: _Match


class Corrector:
    """Corrects words to a vocabulary.

    Raises:
        MissingExtraError: rapidfuzz, jellyfish or wordfreq is not installed.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        for package in ("rapidfuzz", "jellyfish", "wordfreq"):
            try:
                __import__(package)
            except ImportError:
                raise MissingExtraError(package, "speech", "correcting pathology terms") from None
        self._terms = vocabulary
        self._by_key = {term.key: term for term in reversed(vocabulary.terms)}
        self._phrases = [words for term in vocabulary.terms if len(words := word_keys(term.text)) > 1]
        self._text = {tuple(word_keys(term.text)): term.text for term in reversed(vocabulary.terms)}
        self._cache: dict[tuple[str, ...], _Match | None] = {}

    def correct(self, words: Sequence[Spoken]) -> tuple[list[Spoken], list[Correction]]:
        """Replace misheard terms; the times, confidences and punctuation of the words stay."""
        chosen: list[_Found] = []
        for found in sorted(self._found(words), key=_rank):
            if all(found.last < other.first or found.first > other.last for other in chosen):
                chosen.append(found)
        done: list[Spoken] = []
        made: list[Correction] = []
        at = 0
        for found in sorted(chosen):
            done.extend(words[at : found.first])
            old = words[found.first : found.last + 1]
            opens = found.first == 0 or bool(_SENTENCE_END.search(words[found.first - 1].text))
            new = _replaced(old, found.match.term, opens)
            done.extend(new)
            made.append(Correction(_joined(old), _joined(new), old[0].start, round(found.match.score, 3)))
            at = found.last + 1
        done.extend(words[at:])
        return done, made

    def _found(self, words: Sequence[Spoken]) -> list[_Found]:
        found: list[_Found] = []
        for first in range(len(words)):
            keys: tuple[str, ...] = ()
            for last in range(first, min(first + _LONGEST, len(words))):
                if last > first and _apart(words[last - 1], words[last]):
                    break
                keys += tuple(word_keys(words[last].text))
                match = self._match(keys)
                if match is not None:
                    found.append(_Found(first, last, match))
        return found

    def _match(self, keys: tuple[str, ...]) -> _Match | None:
        if keys not in self._cache:
            self._cache[keys] = self._new_match(keys)
        return self._cache[keys]

    def _new_match(self, keys: tuple[str, ...]) -> _Match | None:
        if not keys or len(keys) > _LONGEST:
            return None
        if (written := self._terms.replacements.get(" ".join(keys))) is not None:
            return _Match(written, 1.0)
        key = "".join(keys)
        if len(key) < _SHORTEST or any(character.isdigit() for character in key) or self._sound_english(keys):
            return None
        if len(keys) > 1 and (anchored := self._beside_anchor(keys)) is not None:
            return anchored
        unknown = [word for word in keys if not self._known(word) and _zipf(word) < _COMMON]
        if not unknown or (len(keys) == 1 and _zipf(key) >= _REAL):
            return None
        return self._nearest(keys, key)

    def _sound_english(self, keys: tuple[str, ...]) -> bool:
        """Whether there is nothing to correct: a term as it is, or words none of which is rare or misplaced."""
        return keys in self._text or all(self._known(word) for word in keys)

    def _known(self, word: str) -> bool:
        """Whether a word is a term's, in British spelling too, or an inflection or compound of one."""
        word = word.replace("ae", "e").replace("oe", "e") if word not in self._terms.words else word
        if word in self._terms.words or any(
            word.endswith(ending) and word[: -len(ending)] in self._terms.words for ending in INFLECTIONS
        ):
            return True
        rests = [word[len(prefix) :] for prefix in PREFIXES if word.startswith(prefix)]
        if any(len(rest) > 3 and (rest in self._terms.words or _zipf(rest) >= 2 * _REAL) for rest in rests):
            return True
        return any(word[cut:] in self._terms.words for cut in range(1, len(word) - _LONG + 1))  # a compound

    def _beside_anchor(self, keys: tuple[str, ...]) -> _Match | None:
        """A term of as many words, of which a rare one was heard right and the others nearly ("lamina property")."""
        best: _Match | None = None
        for phrase in self._phrases:
            if len(phrase) != len(keys):
                continue
            pairs = list(zip(keys, phrase, strict=True))
            anchors = [heard for heard, word in pairs if heard == word and _zipf(word) < _COMMON]
            wrong = [(heard, word) for heard, word in pairs if heard != word]
            if not anchors or not wrong or any(self._known(heard) or same_stem(heard, word) for heard, word in wrong):
                continue
            if all(_alike(heard, word) for heard, word in wrong):
                score = min(_similarity(heard, word) for heard, word in wrong)
                if best is None or score > best.score:
                    best = _Match(self._text[tuple(phrase)], score)
        return best

    def _nearest(self, keys: tuple[str, ...], key: str) -> _Match | None:
        from rapidfuzz.fuzz import ratio
        from rapidfuzz.process import extract

        near = extract(key, self._by_key.keys(), scorer=ratio, processor=None, score_cutoff=100 * _NEAR, limit=None)
        scored = [
            (score, term)
            for name, by_letters, _ in near
            if (score := self._score(keys, key, term := self._by_key[name], by_letters / 100)) is not None
        ]
        if not scored:
            return None
        score, best = min(scored, key=lambda pair: (-pair[0], pair[1].text))
        rivals = [
            other
            for other, term in scored
            if term != best and term.sound != best.sound and not same_stem(term.key, best.key)
        ]
        return None if rivals and score - max(rivals) < _CLEAR else _Match(best.text, score)

    def _score(self, keys: tuple[str, ...], key: str, term: Term, by_letters: float) -> float | None:
        """How near a term is, from 0 to 1; None where it is too far or another word."""
        if abs(len(key) - len(term.key)) > _LONGER * len(term.key):
            return None
        if len(term.key) < _SHORTEST or other_ending(key, term.key) or other_beginning(key, term.key):
            return None
        if _ratio(*stems(key, term.key)) < _STEM or (len(keys) > 1 and not self._words_fit(keys, key, term)):
            return None
        by_sound = max(_ratio("".join(sound(word) for word in keys), term.sound), _ratio(sound(key), term.sound))
        name = len(keys) == 1 and term.text[0].isupper()
        if by_sound < (1.0 if name else _NEAR) or (len(term.key) < _LONG and max(by_letters, by_sound) < _NEARER):
            return None
        return (by_letters + by_sound) / 2

    def _words_fit(self, keys: tuple[str, ...], key: str, term: Term) -> bool:
        """Whether no good word would be swallowed ("with hematoxyline") or is a different one ("ini file")."""
        words = word_keys(term.text)
        if key == term.key:
            return True
        if len(words) == len(keys):
            unlike = sum(_ratio(a, b) < _STEM and not _alike(a, b) for a, b in zip(keys, words, strict=True))
            return unlike == 0 or (unlike == 1 and len(words) > 2)

        def fits(heard: str, word: str, grown: bool) -> bool:
            good = self._known(heard) or _zipf(heard) >= _COMMON
            return not good or (grown and _zipf(heard) < _FUNCTION) or _alike(heard, word)

        first, last = keys[0], keys[-1]
        return fits(first, words[0], words[0].startswith(first)) and fits(last, words[-1], words[-1].endswith(last))


def _apart(word: Spoken, after: Spoken) -> bool:
    """Whether punctuation or a pause keeps two words from being one term."""
    opens = after.text.lstrip()[:1] in ('"', "(", "[")
    return opens or bool(_BREAK.search(word.text)) or after.start - word.end > _PAUSE


def _rank(found: _Found) -> tuple[float, ...]:
    """The longer term first; of two places for one term the nearer."""
    return (-len(letters(found.match.term)), -found.match.score, found.last - found.first, found.first)


def _alike(heard: str, word: str) -> bool:
    a, b = sound(heard), sound(word)
    return _ratio(heard, word) >= _ANCHORED and _ratio(a, b) >= _NEAR and a[:1] == b[:1]


def _similarity(heard: str, word: str) -> float:
    return (_ratio(heard, word) + _ratio(sound(heard), sound(word))) / 2


def _ratio(a: str, b: str) -> float:
    from rapidfuzz.fuzz import ratio

    return float(ratio(a, b)) / 100


@lru_cache(maxsize=65536)
def _zipf(word: str) -> float:
    """How common an English word is: the logarithm of its uses in a thousand million words; 0 for no word."""
    from wordfreq import zipf_frequency

    return float(zipf_frequency(word, "en"))


def _joined(words: Sequence[Spoken]) -> str:
    return " ".join("".join(word.text for word in words).split())


def _replaced(old: Sequence[Spoken], term: str, opens: bool) -> list[Spoken]:
    """A term's words in the time of the words they replace, with the punctuation around them."""
    head, tail = re.match(r"\s*\W*", old[0].text), re.search(r"\W*$", old[-1].text)
    before, after = head.group() if head else "", tail.group() if tail else ""
    if opens and old[0].text[len(before) :][:1].isupper():
        term = term[0].upper() + term[1:]
    parts = term.split(" ")
    start, end = old[0].start, old[-1].end
    confidence = round(sum(word.confidence for word in old) / len(old), 4)
    rate = (end - start) / max(1, sum(map(len, parts)))
    made: list[Spoken] = []
    for number, part in enumerate(parts):
        stop = end if number == len(parts) - 1 else round(start + len(part) * rate, 3)
        text = (before if number == 0 else " ") + part + (after if number == len(parts) - 1 else "")
        made.append(Spoken(start, stop, text, confidence))
        start = stop
    return made
