"""How many of the findings that the reference describes an answer names too."""

from importlib.resources import files

from videopath_hf.curation.terms import organs
from videopath_hf.curation.vocabulary import load_vocabulary
from videopath_hf.evaluation.metrics.summary import no_answer, not_applicable
from videopath_hf.evaluation.metrics.synonyms import Synonyms
from videopath_hf.evaluation.metrics.words import find_phrases, statements, word_keys
from videopath_hf.records import Score

FINDING_RECALL = "finding_recall"


class FindingTerms:
    """The pathology terms that count as findings.

    They are those of the package's vocabulary of lectures without the names of organs, which the question tells, and
    without words about how tissue is taken and about pathology as such ("biopsy", "diagnosis").

    Args:
        synonyms (`Synonyms`): whose spellings and plurals hold for them.
    """

    def __init__(self, synonyms: Synonyms) -> None:
        organ_words = [word for organ in organs().values() for word in organ.words]
        left_out = {tuple(word_keys(term, synonyms.forms)) for term in [*_not_findings(), *organ_words]}
        self._forms = synonyms.forms
        self._phrases: dict[tuple[str, ...], str] = {}
        for term in load_vocabulary(None).terms:
            words = tuple(word_keys(term.text, self._forms))
            if words and words not in left_out:
                self._phrases.setdefault(words, term.text)
        self._longest = max(map(len, self._phrases))

    def find(self, text: str) -> frozenset[tuple[str, bool]]:
        """The terms of a text, the longest at each place, each with whether the text denies it."""
        found: set[tuple[str, bool]] = set()
        for keys, denied in statements(text, self._forms):
            phrases = find_phrases(keys, self._phrases, self._longest)
            found |= {(term, denied) for _, term in phrases if term is not None}
        return frozenset(found)


def finding_recall(name: str, prediction: str | None, description: str | None, terms: FindingTerms) -> Score:
    """Share of the reference's findings that the answer names: a denied one counts only where it is denied there too.

    Args:
        name (`str`): id of the record.
        prediction (`str`, *optional*): the whole answer; null without one.
        description (`str`, *optional*): of the reference, without its diagnosis; the score does not apply where it
            holds no term of the list.
        terms (`FindingTerms`): what counts as a finding.
    """
    wanted = terms.find(description or "")
    if not wanted:
        return not_applicable(name, FINDING_RECALL, "the reference holds no finding of the list of terms")
    if prediction is None:
        return no_answer(name, FINDING_RECALL)
    missed = wanted - terms.find(prediction)
    listed = ", ".join(sorted(f"no {term}" if denied else term for term, denied in missed))
    return Score(
        id=name,
        metric=FINDING_RECALL,
        value=1 - len(missed) / len(wanted),
        reason=f"missed: {listed}" if missed else None,
    )


def _not_findings() -> list[str]:
    """Terms of the file beside this module."""
    lines = (files(__package__) / "not_findings.txt").read_text(encoding="utf-8").splitlines()
    return [part.strip() for line in lines for part in line.partition("#")[0].split(",") if part.strip()]
