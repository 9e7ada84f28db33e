"""The metric as a Space: one answer is judged. Which judge is the Space's own setting, and so is who pays."""

from pathlib import Path
from typing import Any

import evaluate
import gradio as gr

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.errors import UserError

LONGEST = 8000
metric = evaluate.load(str(Path(__file__).with_name("videopath_judge.py")))


def score(question: str, reference: str, answer: str) -> dict[str, Any]:
    """The metric of one answer."""
    try:
        result: dict[str, Any] = metric.compute(predictions=[answer], references=[reference], questions=[question])
    except UserError as error:
        raise gr.Error(str(error)) from None
    return result


page = gr.Interface(
    score,
    [
        gr.Textbox(label="Question", lines=2, max_length=LONGEST),
        gr.Textbox(label="Reference answer", lines=5, max_length=LONGEST),
        gr.Textbox(label="Answer to be judged", lines=5, max_length=LONGEST),
    ],
    gr.JSON(label="Scores"),
    title="videopath_judge",
    description=f"{metric.info.description}\n\n{RESEARCH_NOTICE}",
    flagging_mode="never",
)

if __name__ == "__main__":
    page.launch()
