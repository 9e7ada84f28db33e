"""The models of the app: each looks at a video once, answers questions about it, and shows what an answer rests on."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from videopath_hf.errors import UserError
from videopath_hf.instructions.answers import parse_answer
from videopath_hf.modeling.evidence import Evidence, occlude
from videopath_hf.modeling.session import Reply, VideoSession
from videopath_hf.records import Answer
from videopath_hf.serving.app.settings import AppSettings
from videopath_hf.serving.app.visits import Case, Said

if TYPE_CHECKING:
    from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration
    from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor


class Reader:
    """One model and the videos that it has in mind.

    Args:
        name (`str`): what it is called.
        model (`VideoPathLlavaForConditionalGeneration`): where and in the precision it is to run.
        processor (`VideoPathLlavaProcessor`): its own; how frames are chosen is set here.
        settings (`AppSettings`): see there.
    """

    def __init__(
        self,
        name: str,
        model: "VideoPathLlavaForConditionalGeneration",
        processor: "VideoPathLlavaProcessor",
        settings: AppSettings,
    ) -> None:
        self.name = name
        self.model = model
        self.processor = processor
        self.settings = settings
        processor.video_processor.num_frames = settings.frames
        processor.video_processor.sampling = settings.sampling
        self._sessions: OrderedDict[str, VideoSession] = OrderedDict()

    @property
    def revision(self) -> str | None:
        """Commit of a model of the Hub."""
        revision: str | None = getattr(self.model.config, "_commit_hash", None)
        return revision

    def ask(self, case: Case, question: str, on_text: Callable[[str], None]) -> tuple[Answer, list[int]]:
        """Answer a question about a case's medium, and give the answer's tokens too.

        Raises:
            UserError: the medium cannot be read, or the question holds a placeholder.
        """
        session = self._session(case)
        try:
            reply = session.ask(question, self.settings.max_new_tokens, on_text)
        except ValueError as error:
            raise UserError(f"the question cannot be asked: {error}") from None
        return self._answer(case, session, question, reply), reply.tokens

    def evidence(self, case: Case, question: str, said: Said, target: slice) -> Iterator[Evidence]:
        """What an answer of this model rests on, ever more of it, until all is measured or the time is up."""
        settings = self.settings
        return occlude(
            self._session(case),
            question,
            said.tokens,
            target,
            top=settings.evidence_frames,
            grid=settings.evidence_grid,
            max_seconds=settings.limits.evidence_seconds,
        )

    def target(self, said: Said, whole: bool) -> tuple[slice, str]:
        """Which tokens of an answer are its diagnosis, and their words; of an answer without one, all of them."""
        assert said.answer is not None
        decode = self.processor.tokenizer.decode
        lengths = [len(decode(said.tokens[:end], skip_special_tokens=True)) for end in range(len(said.tokens) + 1)]
        text = decode(said.tokens, skip_special_tokens=True)
        words = said.answer.diagnosis
        begin = -1 if whole or words is None else text.rfind(words)
        if begin < 0 or words is None:
            # Without the token that ends the message, which says nothing about the tissue.
            return slice(0, max(1, lengths.index(len(text)))), text.strip()
        first = max(end for end, length in enumerate(lengths) if length <= begin)
        last = next(end for end, length in enumerate(lengths) if length >= begin + len(words))
        return slice(first, last), words

    def forget(self, case: str) -> None:
        """Let go of the video of a case."""
        self._sessions.pop(case, None)

    def _session(self, case: Case) -> VideoSession:
        session = self._sessions.pop(case.id, None)
        if session is None:
            while len(self._sessions) >= self.settings.limits.kept_videos:
                self._sessions.popitem(last=False)
            path = str(case.folder / case.medium.file)
            try:
                session = VideoSession(self.model, self.processor, [path], keep_shown=True)
            except UserError as error:
                raise UserError(str(error).replace(f"video {path}", case.name).replace(path, case.name)) from None
            except ValueError as error:
                raise UserError(str(error).replace(path, case.name)) from None
        self._sessions[case.id] = session
        return session

    def _answer(self, case: Case, session: VideoSession, question: str, reply: Reply) -> Answer:
        parsed = parse_answer(reply.text)
        return Answer(
            id="",
            question=question,
            answer=reply.text,
            description=parsed.description,
            diagnosis=parsed.diagnosis,
            media=[case.name],
            frame_times=session.frame_times,
            model=self.name,
            revision=self.revision,
            tokens=len(reply.tokens),
            seconds=reply.seconds,
        )
