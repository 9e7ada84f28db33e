"""Questions about media on the command line: one model, one or more questions, answers for people or programs."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import typer

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.errors import UserError
from videopath_hf.records import Answer

DEFAULT_QUESTION = "Which diagnosis fits the tissue in this video best? Describe what can be seen first."
"""What is asked if nothing is: description first, then the diagnosis, as the model was trained to answer."""

NO_DIAGNOSIS = "(the model gave no Diagnosis: line)"


class Printer:
    """Prints answers while they are made: question, words as they come, what they lack."""

    def start(self, question: str) -> None:
        """Before the first word of an answer."""
        typer.echo(f"Question: {question}\n")

    def text(self, piece: str) -> None:
        """A piece of an answer."""
        typer.echo(piece, nl=False)

    def end(self, answer: Answer) -> None:
        """After the last word of an answer."""
        typer.echo("\n" if answer.diagnosis else f"\n\nDiagnosis: {NO_DIAGNOSIS}\n")


def answer_questions(
    media: Sequence[str],
    questions: Sequence[str],
    model: str,
    *,
    frames: int = 32,
    sampling: Literal["uniform", "fps"] = "uniform",
    max_new_tokens: int = 1024,
    device: str = "auto",
    dtype: str = "auto",
    bits: int | None = None,
    revision: str | None = None,
    printer: Printer | None = None,
) -> list[Answer]:
    """Ask every question about all of `media` together; these are decoded and encoded once.

    Args:
        media (`Sequence[str]`): video or image files or web addresses, shown in this order.
        questions (`Sequence[str]`): each is asked afresh.
        model (`str`): checkpoint folder or Hub id.
        frames (`int`, defaults to 32): most frames taken from each video; shorter clips give all of theirs.
        sampling (`str`, defaults to `"uniform"`): `"uniform"`: evenly spaced; `"fps"`: one a second up to `frames`.
        max_new_tokens (`int`, defaults to 1024): longest answer, in tokens.
        device (`str`, defaults to `"auto"`): `"auto"`, `"cpu"`, `"cuda"` or `"cuda:N"`.
        dtype (`str`, defaults to `"auto"`): `"auto"`, `"float32"`, `"bfloat16"` or `"float16"`.
        bits (`int`, *optional*): 4 or 8, to quantize the language model.
        revision (`str`, *optional*): branch, tag or commit of a model of the Hub.
        printer (`Printer`, *optional*): prints each answer while it is generated.

    Raises:
        UserError: a file is missing or cannot be decoded, a question is blank, or the model cannot be loaded.
    """
    for medium in media:
        if not _is_address(medium) and not Path(medium).is_file():
            raise UserError(f"{medium} does not exist or is not a file; give a video or image file, or its address")
    if any(not question.strip() for question in questions):
        raise UserError("a question is blank; give it some words with -q")
    from videopath_hf.evaluation.answering import Answerer
    from videopath_hf.modeling.loading import load_model

    loaded, processor = load_model(model, dtype, device, bits=bits, revision=revision)
    processor.video_processor.num_frames = frames
    processor.video_processor.sampling = sampling
    answerer = Answerer(loaded, processor, model)
    answers = []
    for question in questions:
        on_text: Callable[[str], None] | None = None
        if printer is not None:
            printer.start(question)
            on_text = printer.text
        answers.append(answerer.ask(media, question, max_new_tokens=max_new_tokens, on_text=on_text))
        if printer is not None:
            printer.end(answers[-1])
    return answers


def print_answers(answers: Sequence[Answer], as_json: bool) -> None:
    """Print answers as a JSON object on stdout, or as description and diagnosis with the research-only notice."""
    if as_json:
        data = {"notice": RESEARCH_NOTICE, "answers": [answer.model_dump(mode="json") for answer in answers]}
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    for answer in answers:
        typer.echo(f"Question: {answer.question}\n")
        typer.echo(f"{answer.description}\n")
        typer.echo(f"Diagnosis: {answer.diagnosis or NO_DIAGNOSIS}\n")
    typer.echo(RESEARCH_NOTICE)


def _is_address(medium: str) -> bool:
    return medium.startswith(("http://", "https://"))
