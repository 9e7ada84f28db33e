"""A language model as judge: a server, a provider of the Hub or a local model; nothing paid twice, null on failure."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel

from videopath_hf.errors import UserError
from videopath_hf.evaluation.judging.marks import read_mark
from videopath_hf.evaluation.judging.protocol import PAPER_ASPECTS, Aspect, JudgeProtocol, JudgeSample, load_protocol
from videopath_hf.evaluation.judging.settings import JudgeSettings
from videopath_hf.evaluation.metrics import aggregate
from videopath_hf.llm.chat import Client, LoggedChat, LoggedReply, Usage, usage_of
from videopath_hf.llm.client import NoReplyError
from videopath_hf.llm.dry import DryChat, Estimate
from videopath_hf.llm.pool import run_all, run_coroutine
from videopath_hf.llm.structured import Chat
from videopath_hf.progress import counter
from videopath_hf.records import Score

__all__ = ["Judge", "JudgeSample", "JudgeSettings", "JudgeSummary"]


class JudgeSummary(BaseModel):
    """Scores of one set of answers, named as the paper's columns; null where an aspect has none or was not asked for.

    `avg` is the mean of the means of the paper's three aspects, null unless all three are there; `norm_avg` is 20
    times it, before rounding. `coverage` is the share of the scores asked for that could be had. `judge` is the model
    that was asked, `judge_version` the one that answered as its server names it, `dates` the days (UTC) on which.
    """

    context: float | None
    correctness: float | None
    detail: float | None
    temporal: float | None = None
    consistency: float | None = None
    avg: float | None
    norm_avg: float | None
    n: int
    coverage: float
    judge: str
    judge_version: str | None = None
    protocol: str
    protocol_hash: str
    protocol_source: str | None = None
    dates: list[str] = []


class Judge:
    """Scores answers on the aspects of its settings, each 0 to 5.

    Args:
        settings (`JudgeSettings`): which judge, by which protocol.
        log (`Path`, *optional*): file that keeps every reply; a request that was answered before is not sent again.

    Raises:
        UserError: the protocol cannot be used, or does not have an aspect that is asked for.
    """

    def __init__(self, settings: JudgeSettings, log: Path | None = None) -> None:
        self.settings = settings
        self.protocol: JudgeProtocol = load_protocol(settings.protocol)
        self.log = log
        self._known: dict[str, LoggedReply] = {}
        self._used: dict[str, LoggedReply] = {}
        settings.check_protocol(self.protocol)

    def score(self, samples: Sequence[JudgeSample]) -> list[Score]:
        """Judge all samples: a score for each aspect, in their order. Works inside a running event loop as well.

        Raises:
            UserError: two samples have one id, the log is in use, the address refuses the key or does not know the
                model, cannot be reached at all, fails again and again, or the budget is used up. What was answered
                until then is in the log.
        """
        with counter(f"judging ({self.settings.label})", len(samples) * len(self.settings.aspects)) as done:
            return run_coroutine(lambda: self.score_async(samples, done))

    async def score_async(self, samples: Sequence[JudgeSample], done: Callable[[], None] | None = None) -> list[Score]:
        """As `score`, for callers that await; `done` is called after each score."""
        with _held(self.log):
            async with LoggedChat(self.settings, self.log, self._known, self._client) as chat:
                scores = await self._judge_all(chat, samples, self._used, done)
        return list(_of_one_version(scores))

    def estimate(self, samples: Sequence[JudgeSample]) -> Estimate:
        """What judging would ask for at most, and its price where prices are set; nothing is sent."""
        stand_ins: dict[str, Any] = {aspect: {"reason": "", "score": 0} for aspect in self.settings.aspects}
        chat = DryChat(self.settings, self.log, stand_ins)
        run_coroutine(lambda: self._judge_all(chat, samples, {}))
        return chat.estimate()

    @property
    def usage(self) -> Usage:
        """What the replies behind all scores so far took, those of earlier runs included, each counted once."""
        return usage_of(self._used.values(), self.settings)

    @cached_property
    def _client(self) -> Client | None:
        if self.settings.backend != "transformers":
            return None
        from videopath_hf.evaluation.judging.local import LocalModel

        return LocalModel(self.settings)

    async def _judge_all(
        self,
        chat: Chat,
        samples: Sequence[JudgeSample],
        used: dict[str, LoggedReply],
        done: Callable[[], None] | None = None,
    ) -> list[Score]:
        if twice := [name for name, count in Counter(sample.id for sample in samples).items() if count > 1]:
            raise UserError(f"two answers to be judged have the id {twice[0]!r}; ids must differ")
        wanted = [(sample, aspect) for sample in samples for aspect in self.settings.aspects]
        scores: dict[int, Score] = {}

        async def judge(index: int) -> None:
            scores[index] = await self._judge(chat, *wanted[index], used)
            if done is not None:
                done()

        stopped = await run_all(range(len(wanted)), judge, self.settings.begun)
        if stopped is not None:
            raise stopped
        return [scores[index] for index in range(len(wanted))]

    async def _judge(self, chat: Chat, sample: JudgeSample, aspect: Aspect, used: dict[str, LoggedReply]) -> Score:
        empty = Score(
            id=sample.id,
            metric=f"judge_{aspect}",
            value=None,
            judge=self.settings.label,
            protocol=self.protocol.name,
            protocol_hash=self.protocol.hash,
        )
        if missing := sample.missing(aspect):
            return empty.model_copy(update={"reason": missing})
        messages = self.protocol.messages(aspect, sample)
        request = self.settings.chat_request(messages, self.protocol.response_format)
        about = {"protocol_hash": self.protocol.hash, "id": sample.id, "turn": aspect}
        try:
            reply = await chat.ask(request, about, sample.repeat)
        except NoReplyError as error:
            return empty.model_copy(update={"reason": str(error)})
        used[reply.key] = reply
        given = {"judge_version": reply.served_by, "date": reply.date}
        if reply.fault is not None:
            return empty.model_copy(update={**given, "reason": reply.fault})
        judged = f"{sample.prediction}\n{sample.second_prediction or ''}"
        mark = read_mark(reply.text, cut=reply.finish == "length", judged=judged)
        return empty.model_copy(update={**given, "value": mark.score, "reason": mark.reason})

    def summarise(self, scores: Sequence[Score]) -> JudgeSummary:
        """The paper's columns out of the scores of one set of answers.

        Raises:
            UserError: they are of another judge or protocol, or of several.
        """
        self._check_own(scores)
        means = {
            aspect: aggregate(score for score in scores if score.metric == f"judge_{aspect}")
            for aspect in self.settings.aspects
        }
        known = {aspect: mean.value for aspect, mean in means.items()}
        paper = [value for aspect in PAPER_ASPECTS if (value := known.get(aspect)) is not None]
        average = sum(paper) / len(paper) if len(paper) == len(PAPER_ASPECTS) else None
        return JudgeSummary(
            **{aspect: known.get(aspect) for aspect in (*PAPER_ASPECTS, "temporal", "consistency")},
            avg=average,
            norm_avg=None if average is None else 20 * average,
            n=max(mean.n for mean in means.values()),
            coverage=aggregate(scores).coverage,
            judge=self.settings.label,
            judge_version=next((score.judge_version for score in scores if score.value is not None), None),
            protocol=self.protocol.name,
            protocol_hash=self.protocol.hash,
            protocol_source=self.protocol.source,
            dates=sorted({score.date[:10] for score in scores if score.date}),
        )

    def _check_own(self, scores: Iterable[Score]) -> None:
        own = (self.settings.label, self.protocol.hash)
        for score in scores:
            if (score.judge, score.protocol_hash) != own:
                raise UserError(
                    f"the score {score.metric} of {score.id} is by {score.judge} (protocol {score.protocol_hash}) and "
                    f"not by {own[0]} ({own[1]}): scores of different judges or protocols have no common mean"
                )


def _of_one_version(scores: Sequence[Score]) -> Iterator[Score]:
    """Scores as they are, but null where another model answered than the one that gave most of them: behind one name
    a server may put a newer model from one day to the next."""
    versions = Counter(score.judge_version for score in scores if score.value is not None and score.judge_version)
    main = versions.most_common(1)[0][0] if versions else None
    for score in scores:
        if score.value is None or score.judge_version in (None, main):
            yield score
            continue
        reason = (
            f"{score.judge_version} answered, and {main} to most others: two judges; name one version as `model`, "
            "or start with another log"
        )
        yield score.model_copy(update={"value": None, "reason": reason})


@contextmanager
def _held(log: Path | None) -> Iterator[None]:
    """Keep other runs from the log: of two that write to one, both would pay."""
    if log is None:
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(log.with_name(f".{log.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"the judge's log {log} is in use by another run; wait for it or give each its own") from None
    try:
        yield
    finally:
        lock.release()
