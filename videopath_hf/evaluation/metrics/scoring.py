"""All scores of all answers that can be had without a judge."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from videopath_hf.evaluation.metrics.diagnosis import diagnosis_match
from videopath_hf.evaluation.metrics.encoder import (
    PACKAGED,
    Encoder,
    encoder_similarity,
    load_encoder,
    packaged_encoder_is_there,
)
from videopath_hf.evaluation.metrics.findings import FindingTerms, finding_recall
from videopath_hf.evaluation.metrics.image_sets import score_image_answer
from videopath_hf.evaluation.metrics.overlap import bleu, bleu_signature, rouge_l
from videopath_hf.evaluation.metrics.synonyms import load_synonyms
from videopath_hf.records import InstructionRecord, Score
from videopath_hf.settings import Settings


class MetricSettings(Settings):
    """Settings of the scores without a judge.

    Args:
        encoder (`str`, *optional*, defaults to `"auto"`): what compares words by meaning: `"wordllama"` (the extra
            `encoder`), or the folder or Hub id of a text encoder; `"auto"` is the former where it is installed, and
            otherwise, as None, leaves those scores out.
        synonyms (`Path`, *optional*): further names of diseases that mean the same; `docs/files.md` has the format.
    """

    encoder: str | None = "auto"
    synonyms: Path | None = None

    def load_encoder(self) -> Encoder | None:
        """The encoder that is asked for; raises `UserError` where it cannot be loaded."""
        if self.encoder == "auto":
            return load_encoder(PACKAGED) if packaged_encoder_is_there() else None
        return load_encoder(self.encoder) if self.encoder else None


DEFAULTS = MetricSettings()


def score_without_judge(
    records: Sequence[InstructionRecord],
    predictions: Mapping[str, str | None],
    settings: MetricSettings = DEFAULTS,
) -> list[Score]:
    """Score answers against their records' references.

    A record of an image set, told by its `extra["task"]`, has the score of its task; any other has `rougeL`, `bleu`,
    `diagnosis_exact`, `diagnosis_synonym`, `finding_recall` and, with an encoder, `encoder_precision`,
    `encoder_recall` and `encoder_f1`.

    Args:
        records (`Sequence[InstructionRecord]`): what was asked.
        predictions (`Mapping[str, str | None]`): answers by id of their record; none, or None, where there is no
            answer.
        settings (`MetricSettings`): which encoder and synonyms.

    Returns:
        `list[Score]`: record by record, each with all of its scores: null with a reason where one could not be had,
        and `applies` false where the reference gives nothing to compare with.

    Raises:
        UserError: the encoder or the synonyms cannot be loaded.
    """
    synonyms = load_synonyms(settings.synonyms)
    terms = FindingTerms(synonyms) if settings.synonyms else _own_terms()
    encoder = settings.load_encoder()
    scores: list[Score] = []
    for record in records:
        said = predictions.get(record.id)
        if (score := score_image_answer(record, said)) is not None:
            scores.append(score)
            continue
        scores += [
            rouge_l(record.id, said, record.answer),
            bleu(record.id, said, record.answer),
            *(encoder_similarity(record.id, said, record.answer, encoder) if encoder else ()),
            diagnosis_match(record.id, said, record.diagnosis),
            diagnosis_match(record.id, said, record.diagnosis, synonyms),
            finding_recall(record.id, said, record.description, terms),
        ]
    return scores


@cache
def _own_terms() -> FindingTerms:
    return FindingTerms(load_synonyms())


def describe_metrics(settings: MetricSettings = DEFAULTS) -> dict[str, str | None]:
    """What the scores rest on, for keys and results: the variant of BLEU, the encoder, the synonyms, with hashes.

    Raises:
        UserError: the encoder or the synonyms cannot be loaded.
    """
    encoder = settings.load_encoder()
    return {
        "bleu": bleu_signature(),
        "encoder": f"{encoder.name} {encoder.identity}" if encoder else None,
        "synonyms": load_synonyms(settings.synonyms).identity(),
    }
