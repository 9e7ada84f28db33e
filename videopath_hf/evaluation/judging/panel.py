"""Several judges of the same answers: each judge's scores by themselves, and how far they agree."""

import asyncio
from collections.abc import Sequence

from pydantic import BaseModel

from videopath_hf.errors import UserError
from videopath_hf.evaluation.judge import Judge, JudgeSummary
from videopath_hf.evaluation.judging.agreement import AspectAgreement, agreement_on
from videopath_hf.evaluation.judging.protocol import Aspect, JudgeSample
from videopath_hf.llm.pool import run_coroutine
from videopath_hf.progress import counter
from videopath_hf.records import Score


class PanelResult(BaseModel):
    """Scores of all judges, each judge's summary by its name, and their agreement by aspect."""

    scores: list[Score]
    summaries: dict[str, JudgeSummary]
    agreement: dict[Aspect, AspectAgreement]


def score_with(judges: Sequence[Judge], samples: Sequence[JudgeSample]) -> PanelResult:
    """Judge the same answers with several judges, all at once.

    Args:
        judges (`Sequence[Judge]`): at least two, each with a name of its own and, if any, a log of its own; all by
            one protocol and on the same aspects.
        samples (`Sequence[JudgeSample]`): the answers.

    Raises:
        UserError: the judges do not go together, or one of them cannot go on; what all of them answered until then
            is in their logs.
    """
    _check(judges)

    total = len(judges) * len(samples) * len(judges[0].settings.aspects)
    given: dict[str, list[Score]] = {}
    with counter(f"judging ({len(judges)} judges)", total) as done:
        outcomes = run_coroutine(
            lambda: asyncio.gather(*(judge.score_async(samples, done) for judge in judges), return_exceptions=True)
        )
    for judge, scores in zip(judges, outcomes, strict=True):
        if isinstance(scores, BaseException):
            raise scores
        given[judge.settings.label] = scores
    return PanelResult(
        scores=[score for scores in given.values() for score in scores],
        summaries={judge.settings.label: judge.summarise(given[judge.settings.label]) for judge in judges},
        agreement={aspect: agreement_on(aspect, given) for aspect in judges[0].settings.aspects},
    )


def _check(judges: Sequence[Judge]) -> None:
    names = [judge.settings.label for judge in judges]
    if len(judges) < 2:
        raise UserError(f"{len(judges)} judges are given; agreement is between two or more")
    if len(set(names)) < len(names):
        raise UserError(f"two judges have one name ({', '.join(names)}); their scores could not be told apart")
    if len({judge.protocol.hash for judge in judges}) > 1:
        raise UserError("the judges go by different protocols, and scores by different protocols are not comparable")
    if len({frozenset(judge.settings.aspects) for judge in judges}) > 1:
        raise UserError("the judges are asked for different aspects; give all of them the same")
