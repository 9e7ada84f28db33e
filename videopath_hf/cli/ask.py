"""`videopath ask`: questions about a clip, answered with a description and a diagnosis."""

from enum import Enum
from typing import Annotated

import typer

from videopath_hf.cli.options import (
    DeviceOption,
    Dtype,
    DtypeOption,
    JsonOption,
    QuantizationOption,
    RevisionOption,
)
from videopath_hf.errors import UserError

EXAMPLE = 'Example: videopath ask clip.mp4 -q "What is the diagnosis?" --model merged'


class Sampling(str, Enum):
    """How frames are chosen."""

    uniform = "uniform"
    fps = "fps"


def ask(
    media: Annotated[
        list[str], typer.Argument(metavar="MEDIA...", help="Video or image files or web addresses, all shown at once.")
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="Checkpoint folder or Hub id.")],
    question: Annotated[
        list[str] | None,
        typer.Option("--question", "-q", help="What to ask. Repeatable; the best diagnosis is asked for if omitted."),
    ] = None,
    frames: Annotated[int, typer.Option(help="Most frames taken from each video.", min=1)] = 32,
    sampling: Annotated[
        Sampling, typer.Option(help="Frames evenly spaced (uniform), or one a second as long as they are few (fps).")
    ] = Sampling.uniform,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.", min=1)] = 1024,
    device: DeviceOption = "auto",
    dtype: DtypeOption = Dtype.auto,
    quantization: QuantizationOption = None,
    revision: RevisionOption = None,
    stream: Annotated[bool, typer.Option("--stream", help="Print each answer while it is generated.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask a model about videos or images.

    It answers with a description, then the diagnosis. Several questions share the work of looking at the media.
    Research software, never advice for care.
    """
    if stream and as_json:
        raise UserError("--stream prints words as they come and --json one object at the end; give one of them")
    from videopath_hf import RESEARCH_NOTICE
    from videopath_hf.serving.ask import DEFAULT_QUESTION, Printer, answer_questions, print_answers

    answers = answer_questions(
        media,
        question or [DEFAULT_QUESTION],
        model,
        frames=frames,
        sampling=sampling.value,
        max_new_tokens=max_new_tokens,
        device=device,
        dtype=dtype.value,
        bits=quantization.bits if quantization else None,
        revision=revision,
        printer=Printer() if stream else None,
    )
    if stream:
        typer.echo(RESEARCH_NOTICE)
    else:
        print_answers(answers, as_json)
