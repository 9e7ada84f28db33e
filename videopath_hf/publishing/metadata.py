"""The metadata of a model's card, as huggingface_hub checks it."""

from typing import TYPE_CHECKING, Any

from videopath_hf.data.card import MARK
from videopath_hf.evaluation.columns import is_judged, label
from videopath_hf.publishing.facts import EXAMPLE, Facts
from videopath_hf.serving.ask import DEFAULT_QUESTION

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

TASK = "image-text-to-text"
"""`pipeline()` has no task for videos: by this name the Hub's and transformers' own inference find the model."""

_TAGS = ("pathology", "histopathology", "medical", "video", "video-text-to-text", "llava-onevision")


def card_data(facts: Facts) -> "ModelCardData":
    """The card's metadata, as huggingface_hub checks it."""
    from huggingface_hub import ModelCardData

    adapter = facts.checkpoint.kind == "adapter"
    licence = facts.licence
    known = licence.hub != "other"
    more: dict[str, Any] = {"base_model_relation": "adapter" if adapter else "finetune"} if facts.base else {}
    if not adapter:
        more["widget"] = [
            {"text": DEFAULT_QUESTION, "src": f"{facts.url}/resolve/main/{EXAMPLE}", "example_title": "Colonic mucosa"}
        ]
    return ModelCardData(
        language="en",
        license=licence.hub,
        license_name=None if known else "see-card",
        license_link=None if known else licence.url,
        library_name="peft" if adapter else "transformers",
        pipeline_tag=TASK,
        base_model=list(facts.base) or None,
        datasets=list(facts.datasets) or None,
        tags=[*_TAGS, *(["lora"] if adapter else []), "research-only", MARK],
        model_name=facts.repo.split("/")[-1],
        eval_results=_eval_results(facts) or None,
        **more,
    )


def _eval_results(facts: Facts) -> "list[EvalResult]":
    from huggingface_hub import EvalResult

    if facts.results is None:
        return []
    judge = facts.results.judge
    by = f" (judge {judge.model}, protocol {judge.protocol} {judge.protocol_hash})" if judge else ""
    name = str(facts.test_set)
    return [
        EvalResult(
            task_type=TASK,
            task_name="Diagnostic questions about pathology video",
            dataset_type=name if name.count("/") == 1 else "videopath_hf",
            dataset_name=name,
            dataset_split=facts.results.data.split,
            metric_type=metric,
            metric_name=label(metric) + (by if is_judged(metric) else ""),
            metric_value=round(column.value, 4),
        )
        for metric, column in facts.results.variants["full"].columns.items()
        if column.value is not None
    ]
