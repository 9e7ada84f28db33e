"""From clips to descriptions by a writer: the offline `template`, or a language model behind a server."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from videopath_hf.errors import UserError
from videopath_hf.files import content_hash, write_records
from videopath_hf.instructions.clippath import ClipPathRoute
from videopath_hf.instructions.describe import Described, describe_clips, diagnosis_key, reject, with_words
from videopath_hf.instructions.material import words_of
from videopath_hf.instructions.questions import load_wordings, templates_hash
from videopath_hf.instructions.routes import Dropped, Route, WrittenClip
from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.instructions.template import WRITER, Description
from videopath_hf.instructions.vidrip import VidripRoute
from videopath_hf.llm.chat import LoggedChat, usage_of
from videopath_hf.llm.client import NoReplyError
from videopath_hf.llm.dry import DryChat, Estimate
from videopath_hf.llm.pool import run_all, run_coroutine
from videopath_hf.llm.structured import UnusableReplyError
from videopath_hf.progress import track
from videopath_hf.records import ClipRecord, Reject

REPLIES = "replies.jsonl"
WRITTEN = "written.jsonl"


class ServerFigures(BaseModel):
    """What a server was asked: requests sent (every try counted), replies there are by now and their tokens as the
    server counted them, what they cost where prices are set; statements kept in answers, those of them that had cited
    other seconds than those of the words they rest on, and those removed, by reason."""

    requests_sent: int
    replies: int
    tokens_in: int
    tokens_out: int
    cost: float | None
    statements: int
    misdated: int
    removed: dict[str, int]


@dataclass
class Writing:
    """What a writer made: descriptions and rejects in the order of the clips.

    `unanswered` clips got no reply and may get one in another run; `stopped` says what ended the run early, if
    anything did.
    """

    described: list[Described]
    rejects: list[Reject]
    writer: str
    prompt_hash: str
    server: ServerFigures | None = None
    unanswered: int = 0
    stopped: UserError | None = None


@dataclass
class _Outcome:
    written: WrittenClip | None = None
    reject: Reject | None = None
    answered: bool = True


def prompt_hash(settings: InstructSettings) -> str:
    """Hash of everything a record is written from beside its clip: prompts, wordings, settings, model.

    Raises:
        UserError: a file of prompts or wordings cannot be used.
    """
    prompts = None if settings.writer == "template" else _route(settings, frozenset()).prompts.hash
    wordings = templates_hash(load_wordings(settings.questions))
    return content_hash(settings.writer, prompts, wordings, settings.identity())


def prompt_versions(settings: InstructSettings) -> dict[str, int]:
    """The versions that the files of prompts and wordings in use say they have."""
    versions = {"questions": load_wordings(settings.questions).version}
    return (
        versions
        if settings.writer == "template"
        else {settings.writer: _route(settings, frozenset()).prompts.version, **versions}
    )


def write_descriptions(curated: Path, out: Path, clips: Sequence[ClipRecord], settings: InstructSettings) -> Writing:
    """Describe clips as `settings.writer` says.

    A server's replies are kept in `replies.jsonl` as they come, so that a run that goes on asks for the rest only;
    `written.jsonl` holds what was made of them, sentence by sentence.

    Args:
        curated (`Path`): folder the clips' paths are relative to.
        out (`Path`): folder for the two files.
        clips (`Sequence[ClipRecord]`): the clips.
        settings (`InstructSettings`): how.
    """
    if settings.writer == "template":
        described, rejects = describe_clips(clips, settings)
        return Writing(described, rejects, WRITER, prompt_hash(settings))
    return _ServerWriter(curated, clips, settings).write(out)


def estimate_writing(curated: Path, out: Path, clips: Sequence[ClipRecord], settings: InstructSettings) -> Estimate:
    """What writing would cost at most, without sending anything; replies that are in `out` already cost nothing.

    Raises:
        UserError: the writer asks no server.
    """
    if settings.server is None or settings.writer == "template":
        raise UserError("writer=template asks no server: there is nothing to estimate; set writer=clippath or vidrip")
    writer = _ServerWriter(curated, clips, settings)
    chat = DryChat(settings.server, out / REPLIES, writer.route.stand_ins)

    async def ask() -> Estimate:
        for clip in writer.clips:
            await writer.outcome(chat, clip)
        return chat.estimate()

    return run_coroutine(ask)


def _route(settings: InstructSettings, diagnoses: frozenset[str]) -> Route:
    model = settings.server.model if settings.server else ""
    make = ClipPathRoute if settings.writer == "clippath" else VidripRoute
    return make(settings, diagnoses, f"{settings.writer}:{model}")


class _ServerWriter:
    def __init__(self, curated: Path, clips: Sequence[ClipRecord], settings: InstructSettings) -> None:
        self.curated, self.settings = curated, settings
        self.clips, self.rejects = with_words(clips)
        self.route = _route(settings, frozenset(key for clip in clips if (key := diagnosis_key(clip))))
        self.route.prompt_hash = prompt_hash(settings)

    async def outcome(self, chat: LoggedChat | DryChat, clip: ClipRecord) -> _Outcome:
        """What becomes of one clip."""
        try:
            written = await self.route.write(chat, self.curated, clip, words_of(clip))
        except Dropped as error:
            return _Outcome(error.written, reject(clip, str(error), error.figures))
        except UnusableReplyError as error:
            return _Outcome(reject=reject(clip, f"unusable reply: {error}"))
        except NoReplyError as error:
            return _Outcome(reject=reject(clip, f"no reply: {error}"), answered=False)
        return _Outcome(written)

    def write(self, out: Path) -> Writing:
        server = self.settings.server
        assert server is not None
        outcomes: dict[str, _Outcome] = {}

        async def ask() -> tuple[UserError | None, LoggedChat]:
            async with LoggedChat(server, out / REPLIES) as chat:

                async def work(clip: ClipRecord) -> None:
                    outcomes[clip.clip_id] = await self.outcome(chat, clip)

                clips = track(self.clips, f"writing ({self.settings.writer})", total=len(self.clips))
                return await run_all(clips, work, server.begun), chat

        stopped, chat = run_coroutine(ask)
        done = [(clip, outcomes[clip.clip_id]) for clip in self.clips if clip.clip_id in outcomes]
        written = [outcome.written for _, outcome in done if outcome.written is not None]
        if written:
            write_records(out / WRITTEN, written)
        return Writing(
            described=[
                _described(clip, outcome.written)
                for clip, outcome in done
                if outcome.written is not None and outcome.reject is None
            ],
            rejects=self.rejects + [outcome.reject for _, outcome in done if outcome.reject is not None],
            writer=self.route.writer,
            prompt_hash=self.route.prompt_hash,
            server=self._figures(chat, written),
            unanswered=len(self.clips) - sum(outcome.answered for _, outcome in done),
            stopped=stopped,
        )

    def _figures(self, chat: LoggedChat, written: Sequence[WrittenClip]) -> ServerFigures:
        statements = [statement for clip in written for statement in clip.statements]
        return ServerFigures(
            requests_sent=chat.sent,
            **usage_of(chat.replies, chat.settings)._asdict(),
            statements=sum(statement.removed is None for statement in statements),
            misdated=sum(statement.misdated and statement.removed is None for statement in statements),
            removed=dict(Counter(statement.removed for statement in statements if statement.removed is not None)),
        )


def _described(clip: ClipRecord, written: WrittenClip) -> Described:
    if written.diagnosis is not None:
        clip = clip.model_copy(update={"diagnosis": written.diagnosis})
    grounding = tuple(written.grounding)
    return Described(clip, Description(tuple(written.kept), "written", written.reasoning, grounding))
