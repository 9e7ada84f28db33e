"""The judge of pathology answers for `evaluate`; all that it does is in `videopath_hf.evaluation.judge`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import evaluate

from videopath_hf.evaluation.judge import Judge, JudgeSample, JudgeSettings
from videopath_hf.evaluation.judging.protocol import PAPER_ASPECTS
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
    base_url (`str`, *optional*): an OpenAI-compatible address, up to and including `/v1`; by default that of
        $VIDEOPATH_JUDGE_BASE_URL.
    model (`str`, *optional*): name of the judge there; by default that of $VIDEOPATH_JUDGE_MODEL.
    log (`str`, *optional*): file that keeps the replies, so that no request is paid twice.
    second_questions, second_predictions (`list[str]`, *optional*): the questions in other words and their answers,
        for the aspect `consistency`.
    **settings: the other fields of `videopath_hf.evaluation.judging.settings.JudgeSettings`: protocol, aspects,
        backend, concurrency, budget and others.
Returns:
    `dict`: Context, Correctness, Detail, Avg, Norm-Avg (20 x Avg before rounding; None where an aspect has no score),
    further aspects by their names where they are asked for, n, coverage (share of the scores that could be had),
    unscored (how many could not, by reason), judge, judge_version (as the server names it), protocol, protocol_hash
    and dates.
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
        second_questions: Sequence[str | None] | None = None,
        second_predictions: Sequence[str | None] | None = None,
        **settings: Any,
    ) -> dict[str, Any]:
        judge = Judge(load_settings(JudgeSettings, **settings), Path(log) if log else None)
        none = [None] * len(predictions)
        columns = [predictions, references, questions, second_questions or none, second_predictions or none]
        samples = [
            JudgeSample(str(index), question, reference, None if said == _ABSENT else said, *second)
            for index, (said, reference, question, *second) in enumerate(zip(*columns, strict=True))
        ]
        scores = judge.score(samples)
        summary = judge.summarise(scores)
        further = [aspect for aspect in judge.settings.aspects if aspect not in PAPER_ASPECTS]
        return {
            "Context": summary.context,
            "Correctness": summary.correctness,
            "Detail": summary.detail,
            **{aspect.title(): getattr(summary, aspect) for aspect in further},
            "Avg": summary.avg,
            "Norm-Avg": summary.norm_avg,
            "n": summary.n,
            "coverage": summary.coverage,
            "unscored": dict(Counter(score.reason for score in scores if score.value is None)),
            "judge": summary.judge,
            "judge_version": summary.judge_version,
            "protocol": summary.protocol,
            "protocol_hash": summary.protocol_hash,
            "dates": summary.dates,
        }
