"""Checkpoints that this package opens, asked one question at a time; questions about one video share a session."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack

import torch

from videopath_hf.errors import UserError
from videopath_hf.evaluation.answering import Answerer
from videopath_hf.evaluation.identity import ModelIdentity
from videopath_hf.evaluation.predictors.base import Ask, Failed, Said, as_files, out_of_memory


class OwnPredictor:
    """As `videopath ask` answers.

    Args:
        answerer (`Answerer`): the model.
        identity (`ModelIdentity`): which one it is.
        max_new_tokens (`int`): longest answer.
    """

    def __init__(self, answerer: Answerer, identity: ModelIdentity, max_new_tokens: int) -> None:
        self.answerer = answerer
        self.identity = identity
        self.max_new_tokens = max_new_tokens

    def answer(self, asks: Iterable[Ask]) -> Iterator[tuple[Ask, Said | Failed]]:
        """Answer one after the other."""
        for ask in asks:
            said: Said | Failed
            try:
                said = self._answer(ask)
            except torch.OutOfMemoryError as error:
                raise out_of_memory(ask, error) from None
            except UserError as error:
                said = Failed(str(error))
            yield ask, said

    def _answer(self, ask: Ask) -> Said:
        with ExitStack() as stack:
            answer = self.answerer.ask(
                as_files(ask, stack),
                ask.question,
                id=ask.id,
                zero_frames=ask.blind,
                max_new_tokens=self.max_new_tokens,
            )
        images = sum(kind == "image" for kind, _ in ask.media)
        return Said(
            text=answer.answer,
            frame_times=answer.frame_times,
            frames=len(answer.frame_times) + images,
            tokens=answer.tokens,
            tokens_in=None,
            cut=answer.tokens >= self.max_new_tokens,
            seconds=answer.seconds,
        )
