"""One question to one model, and everything about how the answer came to be."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videopath_hf.errors import UserError
from videopath_hf.instructions.answers import parse_answer
from videopath_hf.modeling.session import VideoSession
from videopath_hf.records import Answer

if TYPE_CHECKING:
    from videopath_hf.modeling.modeling_videopath_llava import VideoPathLlavaForConditionalGeneration
    from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor


class Answerer:
    """Asks one model.

    Args:
        model (`VideoPathLlavaForConditionalGeneration`): the model, where and in the precision it is to run.
        processor (`VideoPathLlavaProcessor`): its processor; its video processor says which frames are taken.
        name (`str`): what answers call the model.
    """

    def __init__(
        self, model: "VideoPathLlavaForConditionalGeneration", processor: "VideoPathLlavaProcessor", name: str
    ) -> None:
        self.model = model
        self.processor = processor
        self.name = name
        self._last: tuple[Any, VideoSession] | None = None

    def ask(
        self,
        media: Sequence[Any],
        question: str,
        *,
        id: str = "",
        zero_frames: bool = False,
        max_new_tokens: int = 1024,
        reference: str | None = None,
        reference_diagnosis: str | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        """Ask one question about media, greedily decoded.

        Questions about the same media, one after the other, share a [`VideoSession`].

        Args:
            media (`Sequence`): files and web addresses of videos and images (told apart by suffix), or what else a
                [`VideoSession`] shows, before the question, in order.
            question (`str`): the question.
            id (`str`, *optional*): id of the record, for the answer.
            zero_frames (`bool`, defaults to `False`): show as many black pictures of the same size in their place:
                what the model answers from words alone.
            max_new_tokens (`int`, defaults to 1024): longest answer; the paper's setting.
            reference (`str`, *optional*): the right answer, kept beside the model's.
            reference_diagnosis (`str`, *optional*): the right diagnosis.
            on_text (`Callable[[str], None]`, *optional*): given the answer piece by piece as it is generated.

        Returns:
            `Answer`: with the seconds in the video of every frame shown, tokens generated and seconds by step; a step
            that an earlier question about the same media has paid for costs 0.

        Raises:
            UserError: a medium is missing or cannot be decoded, or the question holds a placeholder.
        """
        session = self._session(media, zero_frames)
        try:
            reply = session.ask(question, max_new_tokens, on_text)
        except ValueError as error:
            raise UserError(f"the question cannot be asked: {error}") from None
        text = reply.text
        parsed = parse_answer(text)
        return Answer(
            id=id,
            question=question,
            answer=text,
            description=parsed.description,
            diagnosis=parsed.diagnosis,
            reference=reference,
            reference_diagnosis=reference_diagnosis,
            media=[str(medium) if isinstance(medium, (str, Path)) else type(medium).__name__ for medium in media],
            frame_times=session.frame_times,
            frames_zeroed=zero_frames,
            model=self.name,
            revision=getattr(self.model.config, "_commit_hash", None),
            tokens=len(reply.tokens),
            seconds=reply.seconds,
        )

    def _session(self, media: Sequence[Any], blind: bool) -> VideoSession:
        """The last session if it is about the same media, shown the same way, else a new one."""
        video = self.processor.video_processor
        shown = (video.num_frames, video.sampling, video.fps, video.decoder, video.time_sentence)
        key = (tuple(_identity(medium) for medium in media), blind, shown)
        if self._last is None or self._last[0] != key:
            self._last = None  # frees its cache before the next one is made
            try:
                session = VideoSession(self.model, self.processor, media, blind)
            except ValueError as error:
                raise UserError(str(error)) from None
            self._last = (key, session)
        return self._last[1]


def _identity(medium: Any) -> tuple[Any, ...]:
    """What a medium is known by: a file that was written anew is another one, and so are pixels each time."""
    if not isinstance(medium, (str, Path)):
        return (object(),)
    path = Path(medium)
    if not path.is_file():
        return (str(medium),)
    stat = path.stat()
    return str(medium), stat.st_size, stat.st_mtime_ns
