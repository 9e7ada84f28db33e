"""Figures that need no judge, each named as what it is; they are never mixed with a judge's scores."""

from videopath_hf.evaluation.metrics.diagnosis import DIAGNOSIS, DIAGNOSIS_SYNONYM, diagnosis_match
from videopath_hf.evaluation.metrics.overlap import BLEU, ROUGE_L, bleu, rouge_l
from videopath_hf.evaluation.metrics.scoring import MetricSettings, describe_metrics, score_without_judge
from videopath_hf.evaluation.metrics.summary import Aggregate, aggregate, majority_accuracy

__all__ = [
    "BLEU",
    "DIAGNOSIS",
    "DIAGNOSIS_SYNONYM",
    "ROUGE_L",
    "Aggregate",
    "MetricSettings",
    "aggregate",
    "bleu",
    "describe_metrics",
    "diagnosis_match",
    "majority_accuracy",
    "rouge_l",
    "score_without_judge",
]
