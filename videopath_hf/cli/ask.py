"""`videopath ask`: questions about a clip, answered with a description and a diagnosis."""

from pathlib import Path
from typing import Annotated

import typer

from videopath_hf.cli.options import JsonOption

EXAMPLE = 'Example: videopath ask clip.mp4 -q "What is the diagnosis?" --model merged'


def ask(
    media: Annotated[list[Path], typer.Argument(metavar="MEDIA", help="Video or image files, all shown at once.")],
    question: Annotated[list[str], typer.Option("--question", "-q", help="What to ask. Repeatable.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Checkpoint folder or Hub id.")],
    frames: Annotated[int, typer.Option(help="Frames taken from each video, evenly spaced.", min=1)] = 32,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.", min=1)] = 1024,
    as_json: JsonOption = False,
) -> None:
    """Ask a model about videos or images.

    It answers with a description, then the diagnosis. Research software, never advice for care.
    """
    from videopath_hf.serving.ask import answer_questions, print_answers

    answers = answer_questions(media, question, model, frames=frames, max_new_tokens=max_new_tokens)
    print_answers(answers, as_json)
