"""What the app does, without a page: files are taken in, questions asked, evidence measured."""

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from videopath_hf.errors import UserError
from videopath_hf.modeling.evidence import Evidence
from videopath_hf.records import Answer
from videopath_hf.serving.app.engine import Engine, Job, JobStopped, Waiting
from videopath_hf.serving.app.examples import Example
from videopath_hf.serving.app.intake import Intake
from videopath_hf.serving.app.readers import Reader
from videopath_hf.serving.app.settings import AppSettings
from videopath_hf.serving.app.storage import Storage
from videopath_hf.serving.app.visits import Case, Measured, Said, Turn, Visit, Visits

_UPDATE_SECONDS = 0.1  # at least between two updates of a page while an answer comes in
_log = logging.getLogger(__name__)

Status = str
"""What a visitor is told while something goes on."""


class _Piece(NamedTuple):
    side: int
    text: str


class _Begun(NamedTuple):
    side: int


class _Answered(NamedTuple):
    side: int
    answer: Answer
    tokens: list[int]


class Desk:
    """Everything between the page and the models.

    Args:
        readers (`Sequence[Reader]`): one model, or two to compare.
        settings (`AppSettings`): see there.
        storage (`Storage`): where files lie.
        examples (`Sequence[Example]`): what may be tried.
    """

    def __init__(
        self, readers: Sequence[Reader], settings: AppSettings, storage: Storage, examples: Sequence[Example]
    ) -> None:
        self.readers = list(readers)
        self.settings = settings
        self.storage = storage
        self.limits = settings.limits
        self.visits = Visits(storage, settings.limits, self._forget)
        self.engine = Engine(settings.limits.queue)
        for reader in self.readers:
            self.engine.watch(reader.model)
        self.intake = Intake(self.visits, settings, examples)
        self._jobs: dict[str, Job] = {}

    def clear(self, visit: Visit) -> None:
        """Delete the visit's case."""
        self.visits.put(visit, None)

    def ask(self, visit: Visit, question: str) -> Iterator[Status]:
        """Ask all models one question about the visit's case; the answers grow in its last turn.

        Raises:
            UserError: there is nothing to ask about, the question is not one, or there is no room for it.
        """
        case = _case(visit)
        question = question.strip()
        self._check_question(case, question)
        turn = Turn(question, [Said(reader.name) for reader in self.readers])

        def work(job: Job) -> None:
            for side, reader in enumerate(self.readers):
                job.say(_Begun(side))
                answer, tokens = reader.ask(case, question, lambda text, side=side: job.say(_Piece(side, text)))  # type: ignore[misc]
                job.say(_Answered(side, answer, tokens))

        with self._job(visit, case, work, self.limits.answer_seconds) as job:
            case.turns.append(turn)
            try:
                yield from self._follow(job, partial(self._apply, case, turn))
            except UserError:
                case.turns.remove(turn)
                raise
            except JobStopped as stopped:
                _mark_unfinished(turn, str(stopped))
            except Exception:
                _log.exception("a question failed")
                _mark_unfinished(turn, "the model failed here; the server's log says why")
        yield ""

    def measure(self, visit: Visit, turn: int, side: int, whole: bool) -> Iterator[Status]:
        """Measure what an answer rests on; the figures grow in the last of the case's `measured`.

        Args:
            turn (`int`): number of the question.
            side (`int`): number of the model.
            whole (`bool`): of the whole answer, not of its diagnosis.

        Raises:
            UserError: there is no such answer, or it is not complete.
        """
        case = _case(visit)
        if not 0 <= turn < len(case.turns) or not 0 <= side < len(self.readers):
            raise UserError("there is no such answer")
        said, reader = case.turns[turn].said[side], self.readers[side]
        if said.answer is None or not said.text.strip():
            raise UserError("evidence can be measured of a complete answer only")
        target, words = reader.target(said, whole)
        measured = Measured(turn, side, words, whole or words != said.answer.diagnosis)

        def work(job: Job) -> None:
            for found in reader.evidence(case, case.turns[turn].question, said, target):
                job.say(found)

        def apply(found: Evidence) -> Status:
            measured.evidence = found
            return f"{found.measured} of {found.total} parts measured"

        seconds = self.limits.evidence_seconds + self.limits.answer_seconds
        with self._job(visit, case, work, seconds) as job:
            case.add(measured)
            try:
                yield from self._follow(job, apply)
                if measured.evidence is not None and not measured.evidence.complete:
                    measured.stopped = f"time was up after {self.limits.evidence_seconds:g} s"
            except JobStopped as stopped:
                measured.stopped = str(stopped)
            except Exception:
                _log.exception("measuring evidence failed")
                measured.stopped = "measuring failed here; the server's log says why"
        yield ""

    def stop(self, visit: Visit) -> bool:
        """End what the visitor has running, in whichever page; says whether there was anything."""
        job = self.engine.of(visit.user)
        if job is not None:
            self.engine.stop(job, "stopped")
        return job is not None

    def close(self) -> None:
        """End all work and delete all files."""
        self.visits.close()
        self.engine.close()
        self.storage.close()

    def _check_question(self, case: Case, question: str) -> None:
        if not question:
            raise UserError("the question is blank; write one or pick one")
        if len(question) > self.limits.question_characters:
            raise UserError(
                f"the question has {len(question)} characters; {self.limits.question_characters} are accepted"
            )
        if len(case.turns) >= self.limits.questions:
            raise UserError(
                f"{self.limits.questions} questions were asked about this file, and there is room for no more; "
                "bring it again"
            )

    @contextmanager
    def _job(
        self, visit: Visit, case: Case, work: Callable[[Job], None], seconds: float
    ) -> Generator[Job, None, None]:
        job = self.engine.submit(visit.user, work, seconds)
        self._jobs[case.id] = job
        try:
            yield job
        finally:  # whoever stops following, a page that was closed for one, stops the work
            self.engine.stop(job, "the page was closed")
            if self._jobs.get(case.id) is job:
                del self._jobs[case.id]

    def _follow(self, job: Job, apply: Callable[[Any], Status]) -> Iterator[Status]:
        """A status whenever there is something new, but not for every word."""
        updated = 0.0
        yield "waiting for a place in the queue"
        for what in job.follow(self.engine.before):
            if isinstance(what, Waiting):
                yield f"in the queue, {what:d} before you" if what else "it is your turn"
                continue
            status = apply(what)
            if not isinstance(what, _Piece) or time.monotonic() - updated >= _UPDATE_SECONDS:
                updated = time.monotonic()
                yield status

    def _apply(self, case: Case, turn: Turn, what: Any) -> Status:
        said = turn.said[what.side]
        name = f"{said.model} " if len(turn.said) > 1 else ""
        if isinstance(what, _Begun):
            looked = any(earlier.said[what.side].answer is not None for earlier in case.turns)
            return f"{name}reads the question" if looked else f"{name}looks at the {case.medium.kind}"
        if isinstance(what, _Piece):
            said.text += what.text
        if isinstance(what, _Answered):
            said.answer, said.tokens, said.text = what.answer, what.tokens, what.answer.answer
        return f"{name}answers"

    def _forget(self, case: str) -> None:
        job = self._jobs.get(case)
        if job is not None:
            self.engine.stop(job, "the file was taken away")
        for reader in self.readers:
            reader.forget(case)


def _case(visit: Visit) -> Case:
    if visit.case is None:
        raise UserError("there is nothing to ask about yet; bring a video or an image, or pick an example")
    return visit.case


def _mark_unfinished(turn: Turn, why: str) -> None:
    for said in turn.said:
        if said.answer is None:
            said.stopped = why
