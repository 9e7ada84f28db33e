"""Models behind an OpenAI-compatible address: frames are sent as JPEG images, every reply is kept, none paid twice."""

import asyncio
import base64
import io
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple

from PIL import Image

from videopath_hf.errors import UserError
from videopath_hf.evaluation.identity import ModelIdentity
from videopath_hf.evaluation.predictors.base import Ask, Failed, Pixels, Said, look
from videopath_hf.evaluation.settings import PredictorServer
from videopath_hf.llm.chat import LoggedChat, LoggedReply
from videopath_hf.llm.client import NoReplyError
from videopath_hf.llm.pool import run_all, run_coroutine
from videopath_hf.video.sampling import Strategy

_Answered = tuple[Ask, "Said | Failed"]


class ServerPredictor:
    """Asks an address, several questions at once.

    A message holds the pictures in order, then the question, and nothing else.

    Args:
        settings (`PredictorServer`): which address and model, and how pictures are sent.
        identity (`ModelIdentity`): which model it is.
        replies (`Path`): file that keeps the replies.
        num_frames (`int`), sampling (`str`): which frames are taken of a video.
    """

    def __init__(
        self, settings: PredictorServer, identity: ModelIdentity, replies: Path, num_frames: int, sampling: Strategy
    ) -> None:
        self.settings, self.identity, self.replies = settings, identity, replies
        self.num_frames, self.sampling = num_frames, sampling

    def answer(self, asks: Iterable[Ask]) -> Iterator[_Answered]:
        """Answer in the order in which the replies come."""
        answered: Queue[_Answered | None] = Queue()
        stop = threading.Event()
        with ThreadPoolExecutor(1) as thread:
            run = thread.submit(run_coroutine, lambda: self._answer_all(asks, answered, stop))
            run.add_done_callback(lambda _: answered.put(None))
            try:
                while (item := answered.get()) is not None:
                    yield item
            finally:
                stop.set()
            if (stopped := run.result()) is not None:
                raise stopped

    async def _answer_all(
        self, asks: Iterable[Ask], answered: "Queue[_Answered | None]", stop: threading.Event
    ) -> UserError | None:
        async with LoggedChat(self.settings, self.replies) as chat:

            async def work(ask: Ask) -> None:
                if not stop.is_set():
                    answered.put((ask, await self._ask(chat, ask)))

            return await run_all(asks, work, self.settings.concurrency)

    async def _ask(self, chat: LoggedChat, ask: Ask) -> Said | Failed:
        try:
            pictures = await asyncio.to_thread(self._look, ask)
        except UserError as error:
            return Failed(str(error))
        start = time.perf_counter()
        content = [*pictures.blocks, {"type": "text", "text": ask.question}]
        request = self.settings.chat_request([{"role": "user", "content": content}])
        try:
            reply = await chat.ask(request, {"id": ask.id, "blind": str(ask.blind)})
        except NoReplyError as error:
            return Failed(str(error))
        return _said(reply, pictures, time.perf_counter() - start)

    def _look(self, ask: Ask) -> "_Pictures":
        shown = look(ask, self.num_frames, self.sampling)
        videos, images = iter(shown.videos), iter(shown.images)
        pictures: list[Pixels] = []
        for kind in shown.order:
            pictures += [next(images)] if kind == "image" else list(next(videos).frames)
        blocks = [{"type": "image_url", "image_url": {"url": self._data_url(picture)}} for picture in pictures]
        return _Pictures(blocks, shown.frame_times, shown.seconds)

    def _data_url(self, picture: Pixels) -> str:
        image = Image.fromarray(picture)
        image.thumbnail((self.settings.longest_side, self.settings.longest_side), Image.Resampling.BICUBIC)
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=self.settings.jpeg_quality)
        return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


class _Pictures(NamedTuple):
    """What is sent of a record's media, when its frames are shown, and the seconds it took to read them."""

    blocks: list[dict[str, Any]]
    times: list[float]
    seconds: float


def _said(reply: LoggedReply, pictures: _Pictures, seconds: float) -> Said | Failed:
    if reply.fault is not None:
        return Failed(reply.fault)
    text = reply.text.strip()
    if not text and reply.finish == "length":
        return Failed("the reply was cut off at its longest length before its first word; raise max_new_tokens")
    return Said(
        text=text,
        frame_times=pictures.times,
        frames=len(pictures.blocks),
        tokens=reply.tokens_out,
        tokens_in=reply.tokens_in,
        cut=reply.finish == "length",
        seconds={"decode": round(pictures.seconds, 4), "request": round(seconds, 4)},
    )
