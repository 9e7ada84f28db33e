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
    if (fault := _other_judge(a, b)) is not None:
        raise UserError(f"{names}: {fault}; score both with one judge and protocol: videopath score predictions.jsonl")


def common_columns(
    a: EvaluationResult, a_table: Table, b: EvaluationResult, b_table: Table
) -> tuple[list[str], list[str]]:
    """Columns that apply to any record and mean the same in both, and why others are left out."""
    asked = [metric for column, metric in enumerate(a_table.metrics) if a_table.applies[:, column].any()]
    metrics = [metric for metric in asked if metric in b_table.metrics]
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


def _other_judge(a: EvaluationResult, b: EvaluationResult) -> str | None:
    """In what two judges differ, if they do."""
    if a.judge is None or b.judge is None:
        said = [result.judge.model if result.judge else "no judge" for result in (a, b)]
        return None if a.judge is b.judge else f"the first was scored by {said[0]} and the second by {said[1]}"
    first, second = a.judge.same_as, b.judge.same_as
    for name in ("model", "protocol", *first):
        values = (first.get(name), second.get(name))
        # Not every server tells which version answers.
        if values[0] != values[1] and not (name == "version" and None in values):
            return f"their judges differ in {name}, {values[0]} in the first and {values[1]} in the second"
    return None
