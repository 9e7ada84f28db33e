"""Which results may be compared: those of the same data, judge and protocol."""

from videopath_hf.errors import UserError
from videopath_hf.evaluation.columns import AVERAGE, PAPER_ASPECTS, Table, label
from videopath_hf.evaluation.results import EvaluationResult

_RESTS_ON = {"bleu": ("bleu",), "encoder": ("encoder_",), "synonyms": ("diagnosis_synonym", "finding_recall")}
"""What scores without a judge rest on, see `describe_metrics`, and the columns that change with it."""


def check_comparable(a: EvaluationResult, b: EvaluationResult) -> None:
    """Raise `UserError` unless both are of the same data, judge and protocol."""
    names = f"{a.model.name} and {b.model.name} cannot be compared"
    if a.data.hash != b.data.hash:
        raise UserError(
            f"{names}: they were asked about different data ({a.data.name}, {a.data.records} records, {a.data.hash}; "
            f"{b.data.name}, {b.data.records} records, {b.data.hash}); evaluate both on the same records"
        )
    if None not in (a.data.media_hash, b.data.media_hash) and a.data.media_hash != b.data.media_hash:
        raise UserError(
            f"{names}: they saw different media of the same records ({a.data.media_hash} and {b.data.media_hash}); "
            "evaluate both on the same files"
        )
    judges = [result.judge.same_as if result.judge else None for result in (a, b)]
    if judges[0] != judges[1]:
        said = [_judge_words(result) for result in (a, b)]
        raise UserError(
            f"{names}: the first was scored by {said[0]} and the second by {said[1]}; score both with one judge and "
            "protocol: videopath score predictions.jsonl"
        )


def common_columns(
    a: EvaluationResult, a_table: Table, b: EvaluationResult, b_table: Table
) -> tuple[list[str], list[str]]:
    """Columns that mean the same in both, and why others are left out."""
    metrics = [metric for metric in a_table.metrics if metric in b_table.metrics]
    notes = []
    for name, columns in _RESTS_ON.items():
        first, second = a.metrics.get(name), b.metrics.get(name)
        if first != second and (dropped := [metric for metric in metrics if metric.startswith(columns)]):
            metrics = [metric for metric in metrics if metric not in dropped]
            notes.append(
                f"{', '.join(dropped)} rest on another {name} in each and are not compared: {first}, {second}"
            )
    if lone := sorted(set(a_table.metrics) ^ set(b_table.metrics)):
        notes.append(f"only one of the two has {', '.join(map(label, lone))}")
    if set(PAPER_ASPECTS) <= set(metrics):
        metrics.insert(len(PAPER_ASPECTS), AVERAGE)
    return metrics, notes


def _judge_words(result: EvaluationResult) -> str:
    judge = result.judge
    return f"{judge.model} by protocol {judge.protocol} ({judge.protocol_hash})" if judge else "no judge"
