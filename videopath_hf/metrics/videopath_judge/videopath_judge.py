"""The `videopath` judge for `evaluate`; all that it does is in `videopath_hf.evaluation.judge`."""

from pathlib import Path
from typing import Any

import datasets
import evaluate

from videopath_hf.evaluation.judge import Judge, JudgeSample, JudgeSettings
from videopath_hf.settings import load_settings

_ABSENT = "\ue000no prediction\ue000"  # evaluate's columns take no None

_DESCRIPTION = """\
A language model scores answers about pathology videos against references, on correctness, detail and context, each
0 to 5. A score that cannot be had is left out and lowers the coverage; it never counts as 0.
"""
_INPUTS = """\
Args:
    predictions (`list[str]`): answers; None for one that does not exist (`compute` only). An empty one is judged.
    references (`list[str]`): reference answers.
    questions (`list[str]`): the questions they answer.
    base_url (`str`): an OpenAI-compatible address, up to and including `/v1`.
    model (`str`): name of the judge there.
    log (`str`, *optional*): file that keeps the replies, so that no request is paid twice.
    **settings: the other fields of `videopath_hf.evaluation.judge.JudgeSettings`.
Returns:
    `dict`: Context, Correctness, Detail, Avg, Norm-Avg (20 x Avg before rounding; null where an aspect has no score),
    coverage (share of the scores that could be had), judge, protocol and protocol_hash.
"""


class VideoPathJudge(evaluate.Metric):
    """See `evaluate.load(videopath_hf.metrics.judge_metric_path())`."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="arXiv:2505.04192 (the aspects and columns; the prompts are this package's own)",
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": text, "references": text, "questions": text}),
        )

    def compute(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> Any:
        """As `evaluate.Metric.compute`; predictions may be None."""
        if predictions is not None:
            predictions = [_ABSENT if prediction is None else prediction for prediction in predictions]
        return super().compute(predictions=predictions, references=references, **kwargs)

    def _compute(
        self,
        predictions: list[str],
        references: list[str],
        questions: list[str],
        log: str | None = None,
        **settings: Any,
    ) -> dict[str, Any]:
        judge = Judge(load_settings(JudgeSettings, **settings), Path(log) if log else None)
        samples = [
            JudgeSample(str(index), question, reference, None if prediction == _ABSENT else prediction)
            for index, (prediction, reference, question) in enumerate(
                zip(predictions, references, questions, strict=True)
            )
        ]
        summary = judge.summarise(judge.score(samples))
        return {
            "Context": summary.context,
            "Correctness": summary.correctness,
            "Detail": summary.detail,
            "Avg": summary.avg,
            "Norm-Avg": summary.norm_avg,
            "coverage": summary.coverage,
            "judge": summary.judge,
            "protocol": summary.protocol,
            "protocol_hash": summary.protocol_hash,
        }
