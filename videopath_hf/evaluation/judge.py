"""A language model as judge, behind any OpenAI-compatible address: nothing paid twice, null on failure."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from pydantic import BaseModel

from videopath_hf.evaluation import protocol
from videopath_hf.evaluation.metrics import aggregate
from videopath_hf.evaluation.protocol import ASPECTS
from videopath_hf.llm.chat import LoggedChat, LoggedReply
from videopath_hf.llm.client import NoReplyError
from videopath_hf.llm.pool import run_all, run_coroutine
from videopath_hf.llm.settings import ServerSettings
from videopath_hf.records import Score


class JudgeSettings(ServerSettings):
    """Which judge, and how it is asked: the fields of `ServerSettings`, with `base_url` and `model` from the
    environment variables `VIDEOPATH_JUDGE_BASE_URL` and `VIDEOPATH_JUDGE_MODEL` if omitted.

    Args:
        api_key_env (`str`, defaults to `"VIDEOPATH_JUDGE_API_KEY"`): environment variable that holds the key; a
            server that wants none is asked without it.
    """

    environment: ClassVar[str] = "VIDEOPATH_JUDGE"
    api_key_env: str = "VIDEOPATH_JUDGE_API_KEY"


class JudgeSample(NamedTuple):
    """An answer to be judged; one that does not exist (`prediction` is None) scores null, an empty one is judged.

    `second_question` is the same in other words and `second_prediction` the answer to it, for consistency.
    """

    id: str
    question: str
    reference: str
    prediction: str | None
    second_question: str | None = None
    second_prediction: str | None = None


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
    """

    def __init__(self, settings: JudgeSettings, log: Path | None = None) -> None:
        self.settings = settings
        self._log_path = log
        self._known: dict[str, LoggedReply] = {}

    def score(self, samples: Sequence[JudgeSample]) -> list[Score]:
        """Judge all samples: three scores each, in their order. Works inside a running event loop as well.

        Raises:
            UserError: the address refuses the key or does not know the model, cannot be reached at all, fails again
                and again, or the budget is used up. What was answered until then is in the log.
        """
        return run_coroutine(lambda: self.score_async(samples))

    async def score_async(self, samples: Sequence[JudgeSample]) -> list[Score]:
        """As `score`, for callers that await."""
        wanted = [(sample, aspect) for sample in samples for aspect in ASPECTS]
        scores: dict[int, Score] = {}
        async with LoggedChat(self.settings, self._log_path, self._known) as chat:

            async def judge(index: int) -> None:
                scores[index] = await self._judge(chat, *wanted[index])

            stopped = await run_all(range(len(wanted)), judge, self.settings.concurrency)
        if stopped is not None:
            raise stopped
        return [scores[index] for index in range(len(wanted))]

    async def _judge(self, chat: LoggedChat, sample: JudgeSample, aspect: str) -> Score:
        metric = f"judge_{aspect}"
        if sample.prediction is None:
            return Score(id=sample.id, metric=metric, value=None, reason="there is no answer")
        messages = protocol.messages(aspect, sample.question, sample.reference, sample.prediction)
        request = self.settings.chat_request(messages, protocol.RESPONSE_FORMAT)
        about = {"protocol_hash": protocol.protocol_hash(), "id": sample.id, "aspect": aspect}
        try:
            reply = await chat.ask(request, about)
        except NoReplyError as error:
            return Score(id=sample.id, metric=metric, value=None, reason=str(error))
        if reply.fault is not None:
            return Score(id=sample.id, metric=metric, value=None, reason=reply.fault)
        mark = protocol.read_mark(reply.text)
        return Score(id=sample.id, metric=metric, value=mark.score, reason=mark.reason)

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
