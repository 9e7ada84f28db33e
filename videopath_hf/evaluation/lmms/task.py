"""Tasks of lmms-eval on this package's records, scored with its metrics that need no judge."""

from collections.abc import Sequence
from typing import Any

from datasets import Dataset, DatasetDict
from lmms_eval.api.task import ConfigurableMessagesTask

from videopath_hf.evaluation.lmms.records import read_records
from videopath_hf.evaluation.metrics import MetricSettings, score_without_judge
from videopath_hf.records import InstructionRecord

_METRICS = ("rougeL", "bleu", "diagnosis_exact", "diagnosis_synonym", "finding_recall")
_IMAGE_METRICS = ("answer_word_recall", "yes_no_accuracy", "choice_accuracy")
_SETTINGS = MetricSettings(encoder=None)  # of the scores that one environment has and another has not, none


class RecordsTask(ConfigurableMessagesTask):
    """Questions of one kind of record, `metadata.kind`, of the split `test_split`.

    Args:
        config (`dict`, *optional*): of the task's YAML file.
    """

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        own = {name: value for name, value in (config or {}).items() if name != "class"}
        metrics = _IMAGE_METRICS if own["metadata"]["kind"] == "image" else _METRICS
        super().__init__(
            config={
                **own,
                "output_type": "generate_until",
                "doc_to_visual": visuals,
                "doc_to_text": question,
                "doc_to_target": reference,
                "process_results": scores,
                "metric_list": [
                    {"metric": metric, "aggregation": mean, "higher_is_better": True} for metric in metrics
                ],
                # No string ends an answer but the model's own end; lmms-eval would cut at an empty line.
                "generation_kwargs": {"max_new_tokens": 1024, "do_sample": False, "temperature": 0, "until": []},
            }
        )

    def download(self, dataset_kwargs: dict[str, Any] | None = None) -> None:
        """Read the records where the variable `VIDEOPATH_DATA` says; nothing is downloaded but from a repository."""
        records = read_records(self.config.metadata["kind"], self.config.test_split)
        rows = [{"id": record.id, "record": record.model_dump_json()} for record in records]
        self.dataset = self.dataset_no_image = DatasetDict({self.config.test_split: Dataset.from_list(rows)})


def visuals(doc: dict[str, Any]) -> list[dict[str, str]]:
    """The media of a row, by type and path."""
    return [{"type": medium.type, "url": medium.path} for medium in _record(doc).media]


def question(doc: dict[str, Any], lmms_eval_specific_kwargs: Any = None) -> str:
    """The question of a row."""
    return _record(doc).question


def reference(doc: dict[str, Any]) -> str:
    """The right answer of a row."""
    return _record(doc).answer


def scores(doc: dict[str, Any], results: Sequence[str]) -> dict[str, float]:
    """The scores of an answer by metric, those that apply to the row."""
    record = _record(doc)
    found = score_without_judge([record], {record.id: results[0]}, _SETTINGS)
    return {score.metric: score.value for score in found if score.value is not None}


def mean(values: Sequence[float]) -> float:
    """Mean of the rows that a metric applies to."""
    return sum(values) / len(values)


def _record(doc: dict[str, Any]) -> InstructionRecord:
    return InstructionRecord.model_validate_json(doc["record"])
