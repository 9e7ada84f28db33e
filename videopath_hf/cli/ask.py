"""`videopath ask`: questions about a clip, answered with a description and a diagnosis."""

from enum import Enum
from typing import Annotated

import typer

from videopath_hf.cli.options import JsonOption
from videopath_hf.errors import UserError

EXAMPLE = 'Example: videopath ask clip.mp4 -q "What is the diagnosis?" --model merged'


class Sampling(str, Enum):
    """How frames are chosen."""

    uniform = "uniform"
    fps = "fps"


class Dtype(str, Enum):
    """Precision of the model."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Quantization(str, Enum):
    """Size of the language model's weights."""

    four = "4bit"
    eight = "8bit"

    @property
    def bits(self) -> int:
        """As a number."""
        return int(self.value[0])


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
    device: Annotated[
        str, typer.Option(help="Where the model runs: cpu, cuda, cuda:N, or auto for a GPU if there is one.")
    ] = "auto",
    dtype: Annotated[
        Dtype, typer.Option(help="Its precision; auto is float32 on the CPU and bfloat16 on a GPU.")
    ] = Dtype.auto,
    quantization: Annotated[
        Quantization | None, typer.Option(help="Fewer bits for the language model's weights (needs bitsandbytes).")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of a Hub model; answers tell the commit.")
    ] = None,
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
