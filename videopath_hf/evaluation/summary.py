"""From answers and scores to what `results.json` says of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from videopath_hf.data.sources import reason_kind
from videopath_hf.errors import UserError
from videopath_hf.evaluation.benchmark import Benchmark
from videopath_hf.evaluation.columns import Table
from videopath_hf.evaluation.identity import Hashes
from videopath_hf.evaluation.judge import Judge
from videopath_hf.evaluation.metrics import DIAGNOSIS
from videopath_hf.evaluation.results import DataInfo, JudgeInfo, Spent, VariantResult
from videopath_hf.evaluation.settings import ScoreSettings, Variant
from videopath_hf.files import content_hash
from videopath_hf.llm.chat import LoggedReply, usage_of
from videopath_hf.llm.log import read_log
from videopath_hf.llm.settings import ServerSettings
from videopath_hf.records import InstructionRecord, Prediction, Score

_FEW_VIDEOS = 10
_FEW_RECORDS = 20


def judge_info(settings: ScoreSettings) -> JudgeInfo | None:
    """Who judges, and by what, before anything is judged."""
    if settings.judge is None:
        return None
    said = Judge(settings.judge).summarise([])
    identity = settings.judge.identity()
    return JudgeInfo(model=said.judge, protocol=said.protocol, protocol_hash=said.protocol_hash, settings=identity)


def data_info(benchmark: Benchmark, settings: ScoreSettings, media_hash: str | None) -> DataInfo:
    """What was asked about."""
    return DataInfo(
        name=benchmark.name,
        commit=benchmark.commit,
        split=settings.split,
        kinds=list(settings.kinds),
        limit=settings.limit,
        records=len(benchmark.records),
        videos=len({record.video_id for record in benchmark.records}),
        rejected=len(benchmark.rejects),
        hash=benchmark.hash,
        media_hash=media_hash,
        places=[str(place.resolve()) for place in benchmark.stores.places],
    )


def hash_of_media(benchmark: Benchmark, hashes: Hashes) -> str | None:
    """Hash of the content of all media; None where one of them is not there."""
    try:
        contents = [
            (record.id, [hashes.of(found) for found in benchmark.media(record)]) for record in benchmark.records
        ]
    except UserError:
        return None
    return content_hash(sorted(contents))


def variant_result(
    records: Sequence[InstructionRecord],
    predictions: Mapping[str, Prediction],
    scores: Sequence[Score],
    judged: Sequence[Score],
    judge: Judge | None,
    settings: ScoreSettings,
) -> VariantResult:
    """The figures of one variant.

    Args:
        records (`Sequence[InstructionRecord]`): what was asked.
        predictions (`Mapping[str, Prediction]`): answers by id of their record.
        scores (`Sequence[Score]`), judged (`Sequence[Score]`): without and with the judge.
        judge (`Judge`, *optional*): who gave the latter.
        settings (`ScoreSettings`): of the bootstrap.
    """
    table = Table(records, [*scores, *judged])
    columns = table.columns(settings.resamples, settings.seed)
    return VariantResult(
        n=len(records),
        answered=len(predictions),
        cut=sum(prediction.cut for prediction in predictions.values()),
        coverage=min((column.coverage for column in columns.values()), default=1.0),
        columns=columns,
        organs=table.groups("organ", settings.resamples, settings.seed),
        diagnoses=table.groups("diagnosis", settings.resamples, settings.seed),
        judge=judge.summarise(judged) if judge else None,
    )


def failure_reasons(failures: Mapping[str, str]) -> dict[str, int]:
    """Why there is no answer, without what is special to one record, the commonest reason first."""
    return dict(Counter(reason_kind(reason) for reason in failures.values()).most_common())


def spent_on(settings: ServerSettings, log: Path) -> Spent:
    """What the replies in a log took."""
    return Spent(**usage_of(read_log(log, LoggedReply), settings)._asdict())


def seconds_of(predictions: Sequence[Prediction]) -> dict[str, float]:
    """Seconds by step, summed over all answers."""
    seconds: Counter[str] = Counter()
    for prediction in predictions:
        seconds.update(prediction.seconds)
    return {step: round(value, 3) for step, value in seconds.items()}


def tokens_of(predictions: Sequence[Prediction]) -> dict[str, int]:
    """Tokens read and generated, as far as they were counted."""
    return {
        "in": sum(prediction.tokens_in or 0 for prediction in predictions),
        "out": sum(prediction.tokens or 0 for prediction in predictions),
    }


def notes_on(
    variants: Mapping[Variant, VariantResult], data: DataInfo, failures: Mapping[str, str], most: int = 10
) -> list[str]:
    """What a reader of the figures must know.

    Args:
        variants (`Mapping[Variant, VariantResult]`): the figures.
        data (`DataInfo`): what was asked about.
        failures (`Mapping[str, str]`): why there are no answers, by record.
        most (`int`, defaults to 10): so many failures are named one by one.
    """
    notes = [f"no answer to {name}: {reason}" for name, reason in [*failures.items()][:most]]
    if len(failures) > most:
        notes.append(f"and no answer to {len(failures) - most} more; see failures.jsonl")
    if data.rejected:
        notes.append(f"{data.rejected} entries of {data.name} make no record and were not asked; see rejects.jsonl")
    if data.limit is not None and data.records == data.limit:
        notes.append(f"only the first {data.limit} records were evaluated (limit)")
    for name, variant in variants.items():
        where = "" if name == "full" else f" ({name})"
        low = [column for column in variant.columns if variant.columns[column].coverage < 1]
        if low:
            notes.append(
                f"{variant.coverage:.1%} of the scores could be had{where}: {', '.join(low)} lack some, and their "
                "means are over the others"
            )
        if variant.cut:
            notes.append(f"{variant.cut} answers{where} are as long as max_new_tokens allows and may lack their end")
    notes += _on_seeing(variants)
    if data.records < _FEW_RECORDS:
        notes.append(f"{data.records} questions only: one more right answer moves the figures a lot")
    if data.videos < 2:
        notes.append("all records are of one source video: nothing can be said about others, and there is no interval")
    elif data.videos < _FEW_VIDEOS:
        notes.append(f"{data.videos} source videos only: intervals from so few are too narrow")
    return notes


def _on_seeing(variants: Mapping[Variant, VariantResult]) -> list[str]:
    if "blind" not in variants:
        return []
    full, blind = (variants[name].columns.get(DIAGNOSIS) for name in ("full", "blind"))
    if full is None or blind is None or full.value is None or blind.value is None or full.value > blind.value:
        return []
    return [f"{full.value:.0%} of the diagnoses are right with frames, {blind.value:.0%} blind: seeing gains nothing"]
