"""Whether an answer names the right diagnosis."""

from videopath_hf.evaluation.metrics.summary import no_answer, not_applicable
from videopath_hf.evaluation.metrics.synonyms import Synonyms
from videopath_hf.instructions.answers import normalise_diagnosis, parse_answer
from videopath_hf.records import Score

DIAGNOSIS = "diagnosis_exact"
DIAGNOSIS_SYNONYM = "diagnosis_synonym"


def diagnosis_match(
    name: str, prediction: str | None, reference: str | None, synonyms: Synonyms | None = None
) -> Score:
    """1 if the answer's `Diagnosis:` line is the reference's, else 0.

    Args:
        name (`str`): id of the record.
        prediction (`str`, *optional*): the whole answer. One that names no diagnosis scores 0; None (there is no
            answer) scores null.
        reference (`str`, *optional*): the right diagnosis; without one the score does not apply.
        synonyms (`Synonyms`, *optional*): compare what the names mean, as `diagnosis_synonym`; without it their
            normalised spelling, as `diagnosis_exact`. A kind of a disease is another one, a denied one too.
    """
    metric = DIAGNOSIS if synonyms is None else DIAGNOSIS_SYNONYM
    if reference is None:
        return not_applicable(name, metric, "the reference names no diagnosis")
    if prediction is None:
        return no_answer(name, metric)
    named = parse_answer(prediction).diagnosis
    if named is None:
        return Score(id=name, metric=metric, value=0.0, reason="the answer has no Diagnosis: line")
    same = normalise_diagnosis(named) == normalise_diagnosis(reference)
    if not same and synonyms is not None:
        same = bool(synonyms.key(named)) and synonyms.key(named) == synonyms.key(reference)
    return Score(id=name, metric=metric, value=float(same))
