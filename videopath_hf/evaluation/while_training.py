"""Questions to a model that is still learning, scored by the diagnosis it names: training's examiner."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videopath_hf.data.media import media_paths
from videopath_hf.errors import UserError
from videopath_hf.evaluation.answering import Answerer
from videopath_hf.evaluation.metrics import DIAGNOSIS, diagnosis_match
from videopath_hf.records import InstructionRecord, Score


def examine(
    model: Any, processor: Any, records: Sequence[InstructionRecord], root: Path, max_new_tokens: int
) -> list[tuple[str | None, Score]]:
    """Ask every record's question and compare the diagnosis; one answer and one score a record, in order.

    A record whose medium cannot be decoded has neither: None, and a null score that says why.

    Args:
        model ([`VideoPathLlavaForConditionalGeneration`]): in evaluation mode; nothing of it is changed.
        root (`Path`): folder that the records' media paths are relative to.
    """
    answerer = Answerer(model, processor, "in training")
    found: list[tuple[str | None, Score]] = []
    for record in records:
        try:
            answer = answerer.ask(
                media_paths(root, record), record.question, id=record.id, max_new_tokens=max_new_tokens
            )
        except UserError as error:
            found.append((None, Score(id=record.id, metric=DIAGNOSIS, value=None, reason=str(error))))
            continue
        found.append((answer.answer, diagnosis_match(record.id, answer.answer, record.diagnosis)))
    return found
