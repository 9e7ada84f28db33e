"""Modules for `evaluate.load`."""

from pathlib import Path


def judge_metric_path() -> str:
    """The folder to give to `evaluate.load` for the judge metric.

    ```python
    judge = evaluate.load(judge_metric_path())
    judge.compute(
        predictions=[...], references=[...], questions=[...], base_url="http://localhost:8000/v1", model="..."
    )
    ```
    """
    return str(Path(__file__).parent / "videopath_judge")
