"""What a Hugging Face Inference Endpoint calls: a question about media as JSON, answered or refused in a sentence."""

import tempfile
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.errors import UserError, first_fault
from videopath_hf.evaluation.answering import Answerer
from videopath_hf.modeling.loading import load_model
from videopath_hf.serving.ask import DEFAULT_QUESTION
from videopath_hf.serving.media import Kind, MediaLimits, Medium, fetch_media, named
from videopath_hf.video.fetch import is_address

_MOST_FRAMES = 128
_MOST_TOKENS = 4096


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Inputs(_Part):
    """What is asked.

    Args:
        video (`str` or `list[str]`, *optional*): web addresses, or contents in base64, with or without `data:...,`.
        image (`str` or `list[str]`, *optional*): the same; images are shown after videos.
        question (`str`): the best diagnosis is asked for if omitted.
    """

    video: str | list[str] | None = None
    image: str | list[str] | None = None
    question: Annotated[str, Field(min_length=1)] = DEFAULT_QUESTION

    def media(self) -> list[Medium]:
        """Videos, then images."""
        given: tuple[tuple[Kind, Any], ...] = (("video", self.video), ("image", self.image))
        return [
            Medium(kind, _address(item))
            for kind, items in given
            for item in ([items] if isinstance(items, str) else items or [])
        ]


class Parameters(_Part):
    """How it is answered: as by `videopath ask`, which has the same options and defaults."""

    max_new_tokens: Annotated[int, Field(ge=1, le=_MOST_TOKENS)] = 1024
    frames: Annotated[int, Field(ge=1, le=_MOST_FRAMES)] = 32
    sampling: Literal["uniform", "fps"] = "uniform"


class _Request(_Part):
    inputs: Inputs
    parameters: Parameters | None = None


class EndpointHandler:
    """Answers requests `{"inputs": {"video": ..., "question": ...}, "parameters": {...}}` with a model.

    Args:
        path (`str`): folder of the checkpoint, as the endpoint has downloaded it.
        limits ([`MediaLimits`], *optional*): of the media of a request.
    """

    def __init__(self, path: str = ".", limits: MediaLimits | None = None) -> None:
        self.limits = limits or MediaLimits()
        self._answerer = Answerer(*load_model(path, "auto", "auto"), Path(path).resolve().name)
        self._lock = Lock()  # one model, one question at a time

    def __call__(self, data: Any) -> dict[str, Any]:
        """Answer one request.

        Returns:
            `dict`: `answer`, its `description` and `diagnosis` (null where none is named), `frame_times` in seconds
            of the frames that were seen, `tokens`, and the research-only `notice`; or `error`, a sentence.
        """
        try:
            return self._answer(_read(data))
        except UserError as error:
            return {"error": str(error), "notice": RESEARCH_NOTICE}

    def _answer(self, request: _Request) -> dict[str, Any]:
        inputs, parameters = request.inputs, request.parameters or Parameters()
        if not (media := inputs.media()):
            raise UserError("inputs: there is neither a video nor an image; give an address or its content in base64")
        with tempfile.TemporaryDirectory(prefix="videopath_") as folder:
            fetched = fetch_media(media, Path(folder), self.limits)
            with self._lock:
                video = self._answerer.processor.video_processor
                video.num_frames, video.sampling = parameters.frames, parameters.sampling
                try:
                    answer = self._answerer.ask(
                        [medium.path for medium in fetched],
                        inputs.question,
                        max_new_tokens=parameters.max_new_tokens,
                    )
                except UserError as error:
                    raise UserError(named(str(error), fetched)) from None
        shown = answer.model_dump(include={"question", "answer", "description", "diagnosis", "frame_times", "tokens"})
        return {**shown, "notice": RESEARCH_NOTICE}


def _address(text: str) -> str:
    """A medium's address; content in base64 becomes one."""
    return text if is_address(text) or "://" in text[:20] else f"data:;base64,{''.join(text.split())}"


def _read(data: Any) -> _Request:
    if not isinstance(data, dict):
        raise UserError('the request must be a JSON object with "inputs"')
    try:
        return _Request.model_validate(data)
    except ValidationError as error:
        field, why = first_fault(error)
        if why == "Extra inputs are not permitted":
            why = f"it is not known; accepted are {_accepted(field)}"
        raise UserError(f"{field}: {why}") from None


def _accepted(field: str) -> str:
    parts: dict[str, type[BaseModel]] = {"inputs": Inputs, "parameters": Parameters}
    model = parts.get(field.rpartition(".")[0], _Request)
    return ", ".join(model.model_fields)
