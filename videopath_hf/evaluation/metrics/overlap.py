"""How many words of an answer are the reference's, in their order."""

from functools import cache
from typing import TYPE_CHECKING

from videopath_hf.evaluation.metrics.summary import no_answer, not_applicable
from videopath_hf.records import Score

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.bleu import BLEU as SacreBleu

ROUGE_L = "rougeL"
BLEU = "bleu"


def rouge_l(name: str, prediction: str | None, reference: str | None) -> Score:
    """ROUGE-L F-measure of the whole answer, 0 to 1, stemmed (package `rouge_score`); null where either is None."""
    if reference is None:
        return not_applicable(name, ROUGE_L, "there is no reference")
    if prediction is None:
        return no_answer(name, ROUGE_L)
    value = _rouge().score(reference, prediction)["rougeL"].fmeasure
    return Score(id=name, metric=ROUGE_L, value=float(value))


def bleu(name: str, prediction: str | None, reference: str | None) -> Score:
    """BLEU of the whole answer against its one reference, 0 to 1; null where either is None.

    It is sacrebleu's sentence BLEU: up to 4-grams and no more than the answer has words, tokenizer 13a, exponential
    smoothing, case counts. Its mean over records is not the corpus BLEU that machine translation reports.
    """
    if reference is None:
        return not_applicable(name, BLEU, "there is no reference")
    if prediction is None:
        return no_answer(name, BLEU)
    value = _bleu().sentence_score(prediction, [reference]).score / 100
    return Score(id=name, metric=BLEU, value=min(1.0, float(value)))


def bleu_signature() -> str:
    """sacrebleu's own name of the variant, with its version, as it asks to be cited."""
    _bleu().sentence_score("a", ["a"])  # it knows the number of references only then
    return str(_bleu().get_signature())


@cache
def _rouge() -> "RougeScorer":
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


@cache
def _bleu() -> "SacreBleu":
    from sacrebleu.metrics.bleu import BLEU as SacreBleu

    return SacreBleu(effective_order=True, smooth_method="exp", tokenize="13a")
