"""Questions to a model that is still learning, scored by the diagnosis it names: training's examiner."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videopath_hf.data.media import media_paths
from videopath_hf.evaluation.answering import Answerer
from videopath_hf.evaluation.metrics import diagnosis_match
from videopath_hf.records import Answer, InstructionRecord, Score


def examine(
    model: Any, processor: Any, records: Sequence[InstructionRecord], root: Path, max_new_tokens: int
) -> list[tuple[Answer, Score]]:
    """Ask every record's question and compare the diagnosis; one answer and one score a record, in order.

    Args:
        model ([`VideoPathLlavaForConditionalGeneration`]): in evaluation mode; nothing of it is changed.
        root (`Path`): folder that the records' media paths are relative to.

    Raises:
        UserError: a medium cannot be decoded.
    """
    answerer = Answerer(model, processor, "in training")
    found = []
    for record in records:
        answer = answerer.ask(
            media_paths(root, record),
            record.question,
            id=record.id,
            max_new_tokens=max_new_tokens,
            reference=record.answer,
            reference_diagnosis=record.diagnosis,
        )
        found.append((answer, diagnosis_match(record.id, answer.answer, record.diagnosis)))
    return found
