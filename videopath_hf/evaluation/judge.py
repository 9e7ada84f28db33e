"""A language model as judge, behind any OpenAI-compatible address: nothing paid twice, null on failure."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, Field

from videopath_hf.evaluation import protocol
from videopath_hf.evaluation.client import ChatClient, ChatReply, NoReplyError, require_client
from videopath_hf.evaluation.log import AppendLog
from videopath_hf.evaluation.metrics import aggregate
from videopath_hf.evaluation.protocol import ASPECTS
from videopath_hf.files import content_hash
from videopath_hf.records import Record, Score
from videopath_hf.settings import Settings


class JudgeSettings(Settings):
    """Which judge, and how it is asked.

    Args:
        base_url (`str`): an OpenAI-compatible address, up to and including `/v1`.
        model (`str`): name of the model there.
        api_key_env (`str`, defaults to `"VIDEOPATH_JUDGE_API_KEY"`): environment variable that holds the key; a
            server that wants none is asked without it.
        concurrency (`int`, defaults to 8): requests under way at once.
        max_retries (`int`, defaults to 5): further tries of a request on 408, 409, 429, 5xx, timeouts and lost
            connections; a Retry-After is kept, else the waits grow exponentially.
        timeout (`float`, defaults to 120.0): longest time for one reply, in seconds.
        max_tokens (`int`, defaults to 512): longest reply.
    """

    base_url: str
    model: str
    api_key_env: str = "VIDEOPATH_JUDGE_API_KEY"
    concurrency: Annotated[int, Field(ge=1)] = 8
    max_retries: Annotated[int, Field(ge=0)] = 5
    timeout: Annotated[float, Field(gt=0)] = 120.0
    max_tokens: Annotated[int, Field(ge=1)] = 512

    def identity(self) -> tuple[str, str, str]:
        """What decides a score: address, model and protocol. The rest is only how it is fetched."""
        return self.base_url.rstrip("/"), self.model, protocol.protocol_hash()


class JudgeSample(NamedTuple):
    """An answer to be judged; one that does not exist (`prediction` is None) scores null, an empty one is judged."""

    id: str
    question: str
    reference: str
    prediction: str | None


class JudgeReply(Record):
    """A line of the log: what came back for one request, whether it could be read or not."""

    key: str
    judge: str
    protocol_hash: str
    id: str
    aspect: str
    reply: str
    tokens: int | None


class JudgeSummary(BaseModel):
    """Scores of one set of answers, named as the paper's columns; null where an aspect has none.

    `norm_avg` is 20 times the unrounded `avg`, which is the mean of the three aspects' means.
    """

    context: float | None
    correctness: float | None
    detail: float | None
    avg: float | None
    norm_avg: float | None
    n: int
    coverage: float
    judge: str
    protocol: str
    protocol_hash: str


class Judge:
    """Scores answers on correctness, detail and context, each 0 to 5.

    Args:
        settings (`JudgeSettings`): which judge.
        log (`Path`, *optional*): file that keeps every reply; a request that was answered before is not sent again.

    Raises:
        MissingExtraError: the client library is not installed.
    """

    def __init__(self, settings: JudgeSettings, log: Path | None = None) -> None:
        require_client("asking a judge")
        self.settings = settings
        self._log_path = log
        self._seen: dict[str, JudgeReply] = {}

    def score(self, samples: Sequence[JudgeSample]) -> list[Score]:
        """Judge all samples: three scores each, in their order. Works inside a running event loop as well.

        Raises:
            UserError: the address refuses the key or does not know the model, or cannot be reached at all. What was
                answered until then is in the log.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.score_async(samples))
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(self.score_async(samples))).result()

    async def score_async(self, samples: Sequence[JudgeSample]) -> list[Score]:
        """As `score`, for callers that await."""
        settings = self.settings
        with ExitStack() as stack:
            log = stack.enter_context(AppendLog(self._log_path, JudgeReply)) if self._log_path else None
            self._seen.update({entry.key: entry for entry in log.entries} if log else {})
            locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
            async with ChatClient(
                settings.base_url,
                settings.api_key_env,
                settings.concurrency,
                settings.max_retries,
                settings.timeout,
            ) as client:

                async def judge(sample: JudgeSample, aspect: str) -> Score:
                    metric = f"judge_{aspect}"
                    if sample.prediction is None:
                        return Score(id=sample.id, metric=metric, value=None, reason="there is no answer")
                    request = self._request(sample, sample.prediction, aspect)
                    key = content_hash(*settings.identity(), request)
                    # Two equal requests: the second waits and finds the first one's reply.
                    async with locks[key]:
                        if key not in self._seen:
                            try:
                                reply = await client.complete(request)
                            except NoReplyError as error:
                                return Score(id=sample.id, metric=metric, value=None, reason=str(error))
                            self._keep(key, reply, sample.id, aspect, log)
                    mark = protocol.read_mark(self._seen[key].reply)
                    return Score(id=sample.id, metric=metric, value=mark.score, reason=mark.reason)

                tasks = [asyncio.ensure_future(judge(sample, aspect)) for sample in samples for aspect in ASPECTS]
                try:
                    return list(await asyncio.gather(*tasks))
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)

    def _request(self, sample: JudgeSample, prediction: str, aspect: str) -> dict[str, Any]:
        return {
            "model": self.settings.model,
            "messages": protocol.messages(aspect, sample.question, sample.reference, prediction),
            "response_format": protocol.RESPONSE_FORMAT,
            "temperature": 0.0,
            "max_tokens": self.settings.max_tokens,
        }

    def _keep(self, key: str, reply: ChatReply, name: str, aspect: str, log: AppendLog[JudgeReply] | None) -> None:
        self._seen[key] = JudgeReply(
            key=key,
            judge=self.settings.model,
            protocol_hash=protocol.protocol_hash(),
            id=name,
            aspect=aspect,
            reply=reply.text,
            tokens=reply.tokens,
        )
        if log is not None:
            log.append(self._seen[key])

    def summarise(self, scores: Sequence[Score]) -> JudgeSummary:
        """The paper's columns out of the scores of one set of answers."""
        means = {
            aspect: aggregate(score for score in scores if score.metric == f"judge_{aspect}") for aspect in ASPECTS
        }
        values = [mean.value for mean in means.values()]
        known = [value for value in values if value is not None]
        average = sum(known) / len(known) if len(known) == len(values) else None
        total = aggregate(scores)
        return JudgeSummary(
            context=means["context"].value,
            correctness=means["correctness"].value,
            detail=means["detail"].value,
            avg=average,
            norm_avg=None if average is None else 20 * average,
            n=means["correctness"].n,
            coverage=total.coverage,
            judge=self.settings.model,
            protocol=protocol.NAME,
            protocol_hash=protocol.protocol_hash(),
        )
