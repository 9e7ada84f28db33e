"""What a client may ask of the server: the part of OpenAI's chat completions that a model of videos can answer."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from videopath_hf.errors import UserError, first_fault
from videopath_hf.serving.media import Medium


class Refused(UserError):
    """A request that is not answered, with the HTTP status and the code that clients see."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Url(_Part):
    url: str
    detail: str | None = None  # of OpenAI's images; every image is seen whole


class _Text(_Part):
    type: Literal["text"]
    text: str


class _Image(_Part):
    type: Literal["image_url"]
    image_url: _Url


class _Video(_Part):
    type: Literal["video_url"]
    video_url: _Url


class _Message(_Part):
    role: Literal["system", "user", "assistant"]
    content: str | list[Annotated[_Text | _Image | _Video, Field(discriminator="type")]]
    name: str | None = None


class _Options(_Part):
    include_usage: bool | None = None  # it is in the last chunk always
    include_obfuscation: bool | None = None


class ChatRequest(_Part):
    """The body of `/v1/chat/completions`. Fields that would change an answer and are not known here are refused.

    Args:
        model (`str`, *optional*): the one that is served, under its name.
        messages (`list`): of roles system, user and assistant; text, or blocks `text`, `image_url`, `video_url`.
        stream (`bool`, *optional*): the answer as server-sent events.
        max_tokens, max_completion_tokens (`int`, *optional*): longest answer.
        temperature, top_p, seed: sampling; without them answers are greedy, as those of `videopath ask`.
        repetition_penalty (`float`, *optional*): instead of the model's own; it sees generated words only.
        stop (`str` or `list[str]`, *optional*): words that end the answer.
    """

    messages: Annotated[list[_Message], Field(min_length=1)]
    model: str | None = None
    stream: bool | None = None
    stream_options: _Options | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=2)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    n: Literal[1] | None = None
    presence_penalty: Literal[0] | None = None
    frequency_penalty: Literal[0] | None = None
    # These say nothing about the answer.
    user: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None

    def media(self) -> list[Medium]:
        """Images and videos in the order of the messages."""
        found = []
        for message in self.messages:
            for block in message.content if isinstance(message.content, list) else ():
                if isinstance(block, _Image):
                    found.append(Medium("image", block.image_url.url))
                elif isinstance(block, _Video):
                    found.append(Medium("video", block.video_url.url))
        return found

    def template_messages(self, media: list[Any]) -> list[dict[str, Any]]:
        """The messages as a processor's chat template takes them, with these decoded media in their places."""
        waiting = iter(media)
        return [
            {"role": message.role, "content": [self._block(block, waiting) for block in _blocks(message)]}
            for message in self.messages
        ]

    @staticmethod
    def _block(block: _Text | _Image | _Video, waiting: Any) -> dict[str, Any]:
        if isinstance(block, _Text):
            return {"type": "text", "text": block.text}
        kind = "image" if isinstance(block, _Image) else "video"
        return {"type": kind, kind: next(waiting)}

    def engine_body(self, messages: list[dict[str, Any]], max_new_tokens: int) -> dict[str, Any]:
        """The request for the engine, with a longest answer of at most `max_new_tokens`."""
        wanted = self.max_completion_tokens or self.max_tokens or max_new_tokens
        body = self.model_dump(
            include={"model", "stream", "temperature", "top_p", "seed", "repetition_penalty", "stop"},
            exclude_none=True,
        )
        return {**body, "messages": messages, "max_tokens": min(wanted, max_new_tokens)}


def _blocks(message: _Message) -> list[Any]:
    content = message.content
    return [_Text(type="text", text=content)] if isinstance(content, str) else content


def read_request(body: dict[str, Any], served: str, placeholders: tuple[str, ...]) -> ChatRequest:
    """The request in a body.

    Args:
        body (`dict`): JSON as it came.
        served (`str`): the model's name.
        placeholders (`tuple[str, ...]`): what the chat template writes for media; no text may hold them.

    Raises:
        Refused: another model, or anything that is not as [`ChatRequest`] says.
    """
    try:
        request = ChatRequest.model_validate(body)
    except ValidationError as error:
        field, why = first_fault(error)
        if why == "Extra inputs are not permitted":
            why = "this server does not know it; leave it out"
        raise Refused(400, "invalid_request", f"{field or 'the request'}: {why}") from None
    if request.model not in (None, served):
        raise Refused(
            404, "model_not_found", f"model {request.model!r} is not served here; this server has {served!r}"
        )
    texts = [block.text for message in request.messages for block in _blocks(message) if isinstance(block, _Text)]
    for token in placeholders:
        if any(token in text for text in texts):
            raise Refused(400, "invalid_request", f"a text holds the placeholder {token}; give media as blocks")
    return request
