"""The end of an evaluation: answers scored, summed up, and written with all that they rest on."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from videopath_hf.errors import UserError
from videopath_hf.evaluation.benchmark import Benchmark
from videopath_hf.evaluation.identity import ModelIdentity
from videopath_hf.evaluation.judge import Judge
from videopath_hf.evaluation.metrics import describe_metrics, majority_accuracy
from videopath_hf.evaluation.predicting import Answers, Failure
from videopath_hf.evaluation.report import write_report
from videopath_hf.evaluation.results import RECORDS, EvaluationResult, JudgeInfo, Spent, VariantResult, file_of
from videopath_hf.evaluation.scoring import judge_samples, looks_at_consistency, score_answers
from videopath_hf.evaluation.settings import ScoreSettings, Variant
from videopath_hf.evaluation.summary import (
    data_info,
    failure_reasons,
    judge_info,
    notes_on,
    seconds_of,
    tokens_of,
    variant_result,
)
from videopath_hf.files import write_records
from videopath_hf.runs import installed_versions

JUDGE_LOG = "judge.jsonl"
_PACKAGES = ("videopath-hf", "torch", "transformers", "av", "pillow", "numpy", "rouge-score")


class Answered(NamedTuple):
    """Answers, however they were come by.

    Args:
        variants (`dict[Variant, Answers]`): by variant.
        second (`dict[str, str]`): second questions, for consistency; empty without it.
        second_answers (`dict[str, str]`): the answers to them.
        used (`float`): share of the entries of a file that belong to records.
        spent (`dict[str, Spent]`): what a server took.
        notes (`list[str]`): what a reader must know.
    """

    variants: dict[Variant, Answers]
    second: dict[str, str]
    second_answers: dict[str, str]
    used: float
    spent: dict[str, Spent]
    notes: list[str]


def conclude(
    benchmark: Benchmark,
    out: Path,
    settings: ScoreSettings,
    identity: ModelIdentity,
    answered: Answered,
    media_hash: str | None,
) -> EvaluationResult:
    """Score answers, sum them up, and write everything but `results.json` itself.

    Args:
        benchmark (`Benchmark`): what was asked.
        out (`Path`): the folder.
        settings (`ScoreSettings`): how.
        identity (`ModelIdentity`): who answered.
        answered (`Answered`): what.
        media_hash (`str`, *optional*): of the media that the model saw, where that is known.

    Raises:
        UserError: the judge can never answer, or is to compare second answers that there are not.
    """
    if looks_at_consistency(settings.judge) and not answered.second:
        raise UserError(
            "the judge looks at consistency, and no record has a second question with an answer; leave consistency "
            "out of judge.aspects"
        )
    start = time.perf_counter()
    judge = Judge(settings.judge, out / JUDGE_LOG) if settings.judge else None
    failures = _write_records(benchmark, out, answered)
    variants = {variant: _score(benchmark, out, settings, answered, variant, judge) for variant in answered.variants}
    seconds = round(time.perf_counter() - start, 3)
    data = data_info(benchmark, settings, media_hash)
    predictions = [line for answers in answered.variants.values() for line in answers.predictions.values()]
    spent = {**answered.spent, "judge": Spent(**judge.usage._asdict())} if judge else dict(answered.spent)
    taken = data.records / (data.records + data.rejected)
    result = EvaluationResult(
        model=identity,
        data=data,
        judge=_asked(settings, variants),
        settings=settings.model_dump(mode="json"),
        metrics=describe_metrics(settings.metrics),
        versions=installed_versions(_PACKAGES),
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        variants=variants,
        majority_accuracy=majority_accuracy([record.diagnosis for record in benchmark.records]),
        coverage=min(*(variant.coverage for variant in variants.values()), taken, answered.used),
        failures=failure_reasons(failures),
        spent=spent,
        tokens=tokens_of(predictions),
        seconds={**seconds_of(predictions), "score": seconds},
        notes=[*answered.notes, *notes_on(variants, data, {} if identity.kind == "file" else failures)],
    )
    write_report(out, result, benchmark.stores)
    return result


def _write_records(benchmark: Benchmark, out: Path, answered: Answered) -> dict[str, str]:
    """Write what was asked and what was not answered; gives the reasons by record."""
    write_records(out / RECORDS, benchmark.records)
    write_some(out / "rejects.jsonl", benchmark.rejects)
    failures = [
        Failure(id=name, variant=variant, reason=reason)
        for variant, answers in answered.variants.items()
        for name, reason in answers.failures.items()
    ]
    write_some(out / "failures.jsonl", failures)
    return {failure.id: failure.reason for failure in failures}


def _asked(settings: ScoreSettings, variants: Mapping[Variant, VariantResult]) -> JudgeInfo | None:
    """Who judges, and which version of it answered."""
    said = (variant.judge.judge_version for variant in variants.values() if variant.judge)
    judge = judge_info(settings)
    return judge.model_copy(update={"version": next(filter(None, said), None)}) if judge else None


def _score(
    benchmark: Benchmark,
    out: Path,
    settings: ScoreSettings,
    answered: Answered,
    variant: Variant,
    judge: Judge | None,
) -> VariantResult:
    records, answers = benchmark.records, answered.variants[variant]
    said = {name: prediction.answer for name, prediction in answers.predictions.items()}
    second = answered.second if variant == "full" else {}
    samples = judge_samples(records, said, second, answered.second_answers)
    plain, judged = score_answers(records, said, answers.failures, settings.metrics, judge, samples)
    write_records(out / file_of("scores", variant), [*judged, *plain])
    return variant_result(records, answers.predictions, plain, judged, judge, settings)


def write_some(path: Path, records: Sequence[BaseModel]) -> None:
    """Write a file of what went wrong; none where nothing did."""
    if records:
        write_records(path, records)
    else:
        path.unlink(missing_ok=True)
