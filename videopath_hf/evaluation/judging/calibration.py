"""The calibration set: answers of known quality, and which of two must not get the lower score."""

import re
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field

from videopath_hf.evaluation.judging.protocol import Aspect, JudgeSample
from videopath_hf.files import content_hash
from videopath_hf.settings import Settings, load_settings

FILE = Path(__file__).with_name("calibration.yaml")
_Text = Annotated[str, Field(min_length=1)]


class CalibrationCase(Settings):
    """A question, its reference, and answers whose quality is known from how they were written."""

    id: str
    organ: str
    question: _Text
    reference: _Text
    paraphrase: _Text
    missing: _Text
    wrong: _Text
    contradicting: _Text
    padded: _Text
    translated: _Text
    unrelated: _Text


class Injection(Settings):
    """Words put around an answer so that it gains by them."""

    kind: str
    case: str
    text: Annotated[str, Field(pattern=r"\{answer\}")]


class CalibrationSet(Settings):
    """The set as its file has it."""

    version: int
    cases: list[CalibrationCase]
    injections: list[Injection]

    @property
    def hash(self) -> str:
        """Of all its texts."""
        return content_hash(self.model_dump(mode="json"))


class CalibrationItem(NamedTuple):
    """One answer of the set: `kind` says how good it is, `base` which other item it is compared with, if any."""

    sample: JudgeSample
    case: str
    organ: str
    kind: str
    base: str | None = None


KINDS = (
    "identical",
    "paraphrase",
    "translated",
    "missing",
    "padded",
    "contradicting",
    "wrong",
    "unrelated",
    "empty",
)
_REPEATED = ("paraphrase", "missing", "wrong", "contradicting", "translated")
# The better first. Within a group the next one may get the same score, between groups it must get less.
_GROUPS: dict[Aspect, tuple[tuple[str, ...], ...]] = {
    "correctness": (("identical", "paraphrase", "missing"), ("wrong", "unrelated", "empty")),
    "detail": (("identical", "paraphrase"), ("missing",), ("unrelated", "empty")),
    "context": (("identical", "paraphrase"), ("wrong", "unrelated", "empty")),
}


class Relation(NamedTuple):
    """In `aspect` the kind `better` must get more than `worse`, or at least as much where it is not `strict`."""

    aspect: Aspect
    better: str
    worse: str
    strict: bool


@cache
def relations() -> list[Relation]:
    """All pairs of kinds whose order is known."""
    known = []
    for aspect, groups in _GROUPS.items():
        ranked = [(number, kind) for number, group in enumerate(groups) for kind in group]
        for (above, better), (below, worse) in combinations(ranked, 2):
            known.append(Relation(aspect, better, worse, above != below))
    known += [
        Relation("correctness", "identical", "contradicting", True),
        Relation("correctness", "translated", "wrong", True),
        Relation("correctness", "missing", "padded", False),
        Relation("detail", "missing", "padded", False),
        Relation("detail", "identical", "wrong", True),
        Relation("context", "missing", "wrong", False),
        Relation("context", "identical", "contradicting", True),
    ]
    return known


@cache
def load_calibration() -> CalibrationSet:
    """The set that ships with the package."""
    return load_settings(CalibrationSet, FILE)


def items_of(calibration: CalibrationSet, repeats: int) -> list[CalibrationItem]:
    """All answers to be judged: those of known quality, injections, the same words in other forms, and repetitions.

    Args:
        calibration (`CalibrationSet`): the set.
        repeats (`int`): how often one answer of each case is judged altogether.
    """
    items = []
    for number, case in enumerate(calibration.cases):
        texts = {kind: getattr(case, kind, "") for kind in KINDS} | {"identical": case.reference}
        items += [_item(case, kind, kind, text) for kind, text in texts.items()]
        for form, text in _forms(case.paraphrase).items():
            items.append(_item(case, "form", form, text, base="paraphrase"))
        again = _REPEATED[number % len(_REPEATED)]
        for repeat in range(1, repeats):
            name = f"{again}, time {repeat + 1}"
            items.append(_item(case, "repeat", name, texts[again], base=again, repeat=repeat))
    cases = {case.id: case for case in calibration.cases}
    for injection in calibration.injections:
        case = cases[injection.case]
        text = injection.text.replace("{answer}", case.wrong)
        items.append(_item(case, "injection", injection.kind, text, base="wrong"))
    return items


def _item(
    case: CalibrationCase, kind: str, name: str, text: str, base: str | None = None, repeat: int = 0
) -> CalibrationItem:
    sample = JudgeSample(f"{case.id}: {name}", case.question, case.reference, text, repeat=repeat)
    return CalibrationItem(sample, case.id, case.organ, kind, f"{case.id}: {base}" if base else None)


def _forms(answer: str) -> dict[str, str]:
    """The same words as a list, and with the diagnosis first."""
    description, _, diagnosis = answer.partition("\nDiagnosis:")
    sentences = re.split(r"(?<=\.)\s+", description)
    bullets = "\n".join(f"- {sentence}" for sentence in sentences)
    return {
        "as a list": f"{bullets}\n\n**Diagnosis:**{diagnosis}",
        "diagnosis first": f"Diagnosis:{diagnosis}\n{description}",
    }
