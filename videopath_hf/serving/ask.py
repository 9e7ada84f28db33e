"""Questions about media on the command line: one model, one or more questions, answers for people or programs."""

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.errors import UserError
from videopath_hf.records import Answer


def answer_questions(
    media: Sequence[Path], questions: Sequence[str], model: str, *, frames: int = 32, max_new_tokens: int = 1024
) -> list[Answer]:
    """Ask every question about all of `media` together.

    Args:
        media (`Sequence[Path]`): video or image files, shown in this order.
        questions (`Sequence[str]`): each is asked afresh.
        model (`str`): checkpoint folder or Hub id.
        frames (`int`, defaults to 32): evenly spaced frames taken from each video; shorter clips give all of theirs.
        max_new_tokens (`int`, defaults to 1024): longest answer, in tokens.

    Raises:
        UserError: a file is missing or cannot be decoded, a question is blank, or the model cannot be loaded.
    """
    for path in media:
        if not path.is_file():
            raise UserError(f"{path} does not exist or is not a file; give a video or image file")
    if any(not question.strip() for question in questions):
        raise UserError("a question is blank; give it some words with -q")
    from videopath_hf.evaluation.answering import Answerer
    from videopath_hf.modeling.loading import load_model

    loaded, processor = load_model(model)
    processor.video_processor.num_frames = frames
    answerer = Answerer(loaded, processor, model)
    return [answerer.ask(media, question, max_new_tokens=max_new_tokens) for question in questions]


def print_answers(answers: Sequence[Answer], as_json: bool) -> None:
    """Print answers as a JSON list on stdout, or as description and diagnosis with the research-only notice."""
    if as_json:
        data = {"notice": RESEARCH_NOTICE, "answers": [answer.model_dump(mode="json") for answer in answers]}
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    for answer in answers:
        typer.echo(f"Question: {answer.question}\n")
        typer.echo(f"{answer.description}\n")
        typer.echo(f"Diagnosis: {answer.diagnosis or '(the model gave no Diagnosis: line)'}\n")
    typer.echo(RESEARCH_NOTICE)
