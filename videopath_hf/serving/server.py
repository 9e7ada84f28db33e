"""`transformers serve`, for one model of ours: its OpenAI-compatible server with our model, frames and limits.

What it lacks for us is closed by what is registered here: our classes (grid newlines, a penalty that sees generated
words only), frames as `videopath ask` takes them, media fetched within limits, one model and no other, a queue.
"""

import asyncio
import contextlib
import json
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from transformers import GenerationConfig
from transformers.cli.serving.chat_completion import ChatCompletionHandler
from transformers.cli.serving.model_manager import ModelManager
from transformers.cli.serving.server import build_server
from transformers.cli.serving.utils import GenerationState, Modality

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.errors import UserError
from videopath_hf.serving.media import Fetched, MediaLimits, fetch_media, named
from videopath_hf.serving.server_gate import Gate, Visit, add_error_answers, current_visit
from videopath_hf.serving.server_requests import ChatRequest, Refused, read_request

T = TypeVar("T")
_ROUTES = ("/v1/chat/completions", "/v1/models", "/health")
_ERROR_CHUNK = 'data: {"error": "'


class OneModel(ModelManager):
    """A loaded model under one name; it is never unloaded, and no other is ever loaded."""

    def __init__(self, name: str, model: Any, processor: Any) -> None:
        super().__init__(device="cpu")
        self.force_model = name
        self.model, self.processor = model, processor

    @staticmethod
    def process_model_name(model_id: str) -> str:
        """The name as it is: it is neither a path nor an id of the Hub."""
        return model_id

    def load_model_and_processor(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """The model that is there."""
        return self.model, self.processor

    @staticmethod
    def get_model_modality(model: Any, processor: Any = None) -> Modality:
        """Text, images and videos."""
        return Modality.VLM

    def list_models(self, cache_dir: str | None = None) -> list[dict[str, Any]]:
        """The one model, with what everybody must know of it."""
        entry = {"id": self.force_model, "object": "model", "created": 0, "owned_by": "local"}
        return [{**entry, "status": {"value": "loaded"}, "description": RESEARCH_NOTICE}]


class ChatHandler(ChatCompletionHandler):
    """Answers chat completions one at a time, greedily unless told otherwise.

    Args:
        model_manager ([`OneModel`]): the model.
        limits ([`MediaLimits`]): of the media of a request.
        max_new_tokens (`int`): longest answer.
        waiting (`int`): requests that may wait while one is answered.
    """

    def __init__(self, model_manager: OneModel, limits: MediaLimits, max_new_tokens: int, waiting: int) -> None:
        super().__init__(model_manager, GenerationState())
        self.one, self.limits, self.max_new_tokens = model_manager, limits, max_new_tokens
        self.turn = asyncio.Semaphore(1)
        self.waiting, self.inside = waiting, 0
        # Sampling is the video processor's; the engine would set 32 frames whatever it says.
        self.chat_template_kwargs = {"num_frames": model_manager.processor.video_processor.num_frames}

    async def handle_request(self, body: dict[str, Any], request_id: str) -> Any:
        """Check a request, fetch its media, wait for its turn, and have the engine answer.

        Raises:
            Refused: it is not as it should be, or too many wait.
        """
        processor = self.one.processor
        placeholders = (processor.image_token, processor.video_token)
        request = read_request(body, str(self.one.force_model), placeholders)
        visit = current_visit()
        self._enter(visit)
        if request.stream:
            response = await self._answer(request, request_id, visit)
            response.body_iterator = _whole_stream(response.body_iterator)
            return response
        return await visit.unless_gone(self._answer(request, request_id, visit))

    def _enter(self, visit: Visit) -> None:
        if self.inside > self.waiting:
            raise Refused(429, "queue_full", f"{self.waiting} requests are waiting already; send this one again later")
        self.inside += 1
        visit.at_end.callback(self._when_idle, self._leave)

    def _leave(self) -> None:
        self.inside -= 1

    def _when_idle(self, work: Callable[[], None]) -> None:
        """Do `work` once the engine's thread is done with what it was given: it goes on after a client has gone."""
        loop = asyncio.get_running_loop()

        def call() -> None:
            with contextlib.suppress(RuntimeError):  # the server has stopped
                loop.call_soon_threadsafe(work)

        self._engine.submit(call)

    @property
    def _engine(self) -> Any:
        return self.generation_state.get_manager(str(self.one.force_model))

    async def _answer(self, request: ChatRequest, request_id: str, visit: Visit) -> Any:
        folder = Path(tempfile.mkdtemp(prefix="videopath_"))
        visit.at_end.callback(shutil.rmtree, folder, ignore_errors=True)
        media = await _in_thread(lambda: fetch_media(request.media(), folder, self.limits))
        await self.turn.acquire()
        visit.at_end.callback(self._when_idle, self.turn.release)
        try:
            shown = await _in_thread(lambda: [self._decode(medium) for medium in media])
            messages = request.template_messages(shown)
            return await super().handle_request(request.engine_body(messages, self.max_new_tokens), request_id)
        except ValueError as error:
            raise Refused(400, "invalid_request", " ".join(named(str(error), media).split())) from None

    def _decode(self, medium: Fetched) -> Any:
        """A picture, or the frames that the model sees of a video; both as small as the model sees them."""
        processor = self.one.processor
        try:
            if medium.kind == "image":
                return processor.read_images([medium.path])[0]
            return processor.video_processor.sample_video(medium.path)[0]
        except (UserError, ValueError) as error:
            raise Refused(400, "invalid_media", named(str(error), [medium])) from None

    def finish(self, seconds: float = 10.0) -> None:
        """Wait until nothing is generated any more, so that the process can end."""
        with contextlib.suppress(TimeoutError):
            self._engine.submit(lambda: None).result(seconds)

    def _validate_request(self, body: dict[str, Any]) -> None:
        """It was read already, more strictly."""

    @staticmethod
    def get_processor_inputs_from_messages(messages: list[dict[str, Any]], modality: Any) -> list[dict[str, Any]]:
        """They are a processor's already, with decoded media: nothing is fetched by the engine."""
        return messages

    def _build_generation_config(
        self, body: dict[str, Any], model_generation_config: GenerationConfig, use_cb: bool = False
    ) -> GenerationConfig:
        """The engine's; sampling only where it is asked for."""
        config: GenerationConfig = super()._build_generation_config(body, model_generation_config, use_cb)
        config.do_sample = bool(body.get("temperature", body.get("top_p", 0)))
        if body.get("repetition_penalty") is not None:
            config.repetition_penalty = body["repetition_penalty"]
        return config

    def _streaming(
        self, request_id: str, model: Any, processor: Any, model_id: str, inputs: Any, gen_config: Any, **rest: Any
    ) -> StreamingResponse:
        self._check_length(inputs, gen_config)
        return super()._streaming(request_id, model, processor.tokenizer, model_id, inputs, gen_config, **rest)

    async def _non_streaming(
        self, request_id: str, model: Any, processor: Any, model_id: str, inputs: Any, gen_config: Any, **rest: Any
    ) -> Any:
        self._check_length(inputs, gen_config)
        gone = current_visit().gone
        stopping = [lambda ids, _: torch.full((len(ids),), gone.is_set(), device=ids.device)]
        # What is among the inputs reaches `generate`. The engine passes its processor on as tokenizer, which words
        # that end an answer cannot be looked up in.
        inputs = {**inputs, "stopping_criteria": stopping}
        return await super()._non_streaming(
            request_id, model, processor.tokenizer, model_id, inputs, gen_config, **rest
        )

    def _check_length(self, inputs: Any, config: GenerationConfig) -> None:
        longest = self.one.model.config.get_text_config().max_position_embeddings
        prompt = inputs["input_ids"].shape[-1]
        if prompt + config.max_new_tokens > longest:
            raise Refused(
                400,
                "context_length_exceeded",
                f"the request has {prompt} tokens, frames and images included, and its answer up to "
                f"{config.max_new_tokens}; the model takes {longest} together: send fewer media or words",
            )


async def _in_thread(work: Callable[[], T]) -> T:
    """`work()` in a thread that nobody waits for when the server stops."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(action: Callable[[Any], None], value: Any) -> None:
        if not future.done():
            action(value)

    def run() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended in the meantime
            try:
                result = work()
            except Exception as error:
                loop.call_soon_threadsafe(settle, future.set_exception, error)
            else:
                loop.call_soon_threadsafe(settle, future.set_result, result)

    threading.Thread(target=run, daemon=True).start()
    return await future


async def _whole_stream(chunks: Any) -> AsyncIterator[str]:
    """The engine's events, errors as JSON whatever they hold, and the mark that ends OpenAI's streams."""
    async with contextlib.aclosing(chunks):
        async for chunk in chunks:
            head, mark, message = chunk.partition(_ERROR_CHUNK)
            if mark:  # the engine quotes what it is told of an error, unescaped
                error = {
                    "message": message.removesuffix('"}\n\n'),
                    "type": "server_error",
                    "code": "generation_failed",
                }
                chunk = f"{head}data: {json.dumps({'error': error})}\n\n"
            yield chunk
    yield "data: [DONE]\n\n"


def build_app(
    name: str,
    model: Any,
    processor: Any,
    *,
    limits: MediaLimits,
    max_new_tokens: int,
    waiting: int,
    max_request_bytes: int,
    api_key: str | None = None,
) -> tuple[Gate, ChatHandler]:
    """The engine's server with one model, as an ASGI application, and what answers in it.

    Args:
        name (`str`): what clients call the model.
        model ([`VideoPathLlavaForConditionalGeneration`]): loaded.
        processor ([`VideoPathLlavaProcessor`]): its processor, which says how frames are taken.
        limits ([`MediaLimits`]): of the media of a request.
        max_new_tokens (`int`): longest answer.
        waiting (`int`): requests that may wait while one is answered.
        max_request_bytes (`int`): longest body of a request.
        api_key (`str`, *optional*): what clients must send as their key.
    """
    manager = OneModel(name, model, processor)
    handler = ChatHandler(manager, limits, max_new_tokens, waiting)
    unused: Any = None  # their routes are taken out
    app: FastAPI = build_server(manager, handler, unused, unused, unused, unused, handler.generation_state)
    app.router.routes = [route for route in app.router.routes if getattr(route, "path", None) in _ROUTES]
    add_error_answers(app)
    return Gate(app, max_request_bytes, api_key), handler
