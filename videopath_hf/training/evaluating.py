"""Questions while a stage trains: asked every so many steps of held-out records, scored, and heeded."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel
from transformers import TrainerCallback

from videopath_hf.errors import UserError
from videopath_hf.files import append_line, whole_lines, write_text
from videopath_hf.progress import note
from videopath_hf.records import InstructionRecord, Score
from videopath_hf.training.ranks import is_main
from videopath_hf.training.recipe import EvaluationSettings, Recipe

EVALUATIONS = "evaluations.jsonl"
ACCURACY = "eval_diagnosis_accuracy"

Examiner = Callable[[Any, Any, Sequence[InstructionRecord], Path, int], list[tuple[str | None, Score]]]
"""Asks a model (with its processor) the questions of records, whose media lie below a folder, with answers of at most
so many tokens; gives an answer and a score for each, or None and null for a record that cannot be asked about.
[`~videopath_hf.evaluation.while_training.examine`] is one."""


class Said(BaseModel):
    """What a model in training said to one record's question.

    `right` is null where there is no score, and `answer` where the question could not be asked: `reason` says why.
    """

    id: str
    question: str
    answer: str | None
    reference: str | None
    right: bool | None
    reason: str | None = None


class Round(BaseModel):
    """One round of questions: after how many steps, the share of right diagnoses, and every answer.

    The share is of the answers that have a score, and null where none has.
    """

    step: int
    accuracy: float | None
    answers: list[Said]


def read_rounds(path: Path, last_step: int | None = None) -> list[Round]:
    """The rounds of a file, up to a step; a line that a kill cut off is left out."""
    rounds = [Round.model_validate_json(line) for line in whole_lines(path)]
    return [found for found in rounds if last_step is None or found.step <= last_step]


def best_round(rounds: Sequence[Round]) -> Round | None:
    """The round with the best score; of several the last, which had learnt most."""
    scored = [(found.accuracy, found.step, found) for found in rounds if found.accuracy is not None]
    return max(scored, default=(None, 0, None))[2]


def choose_held_out(recipe: Recipe, path: Path) -> list[InstructionRecord]:
    """The records that a recipe asks about while it trains.

    Raises:
        UserError: there are none, or none that names a diagnosis.
    """
    from videopath_hf.training.samples import choose_records

    settings = recipe.evaluation
    if settings is None:
        return []
    held_out = {"kinds": settings.kinds, "split": settings.split, "fraction": 1.0}
    asked = recipe.model_copy(update={"data": recipe.data.model_copy(update=held_out)})
    try:
        records = choose_records(asked, path)
    except UserError as error:
        raise UserError(f"evaluation, which evaluation=null leaves out: {error}") from None
    named = [record for record in records if record.diagnosis]
    if not named:
        raise UserError(
            f"evaluation: no record of kind {', '.join(settings.kinds)} in split {settings.split} of {path} names a "
            "diagnosis, so no answer can be scored; evaluation=null leaves it out"
        )
    return sorted(named, key=lambda record: hashlib.sha256(record.id.encode()).hexdigest())[: settings.samples]


class Exam(NamedTuple):
    """Who asks about what while a stage trains."""

    settings: EvaluationSettings
    examiner: Examiner
    records: list[InstructionRecord]

    def callback(self, root: Path, out: Path, resumed_step: int) -> "HeldOut":
        """The callback that asks, and writes to `out`."""
        return HeldOut(self.settings, self.examiner, self.records, root, out / EVALUATIONS, resumed_step)


def open_exam(recipe: Recipe, path: Path, examiner: Examiner | None) -> Exam | None:
    """The exam of a recipe on the data at `path`; None where it asks for none.

    Raises:
        UserError: nobody is given to ask, or there is nothing to ask about.
    """
    if recipe.evaluation is None:
        return None
    if examiner is None:
        raise UserError(
            "the recipe asks for an evaluation, and no examiner is given: pass "
            "videopath_hf.evaluation.while_training.examine, or leave evaluation out"
        )
    return Exam(recipe.evaluation, examiner, choose_held_out(recipe, path))


def summarise(out: Path) -> dict[str, Any] | None:
    """What a finished run tells of its rounds; None where there were none."""
    rounds = read_rounds(out / EVALUATIONS)
    best = best_round(rounds)
    if best is None:
        return None
    last = {"last_step": rounds[-1].step, "last_accuracy": rounds[-1].accuracy}
    return {"rounds": len(rounds), "best_step": best.step, "best_accuracy": best.accuracy, **last}


class HeldOut(TrainerCallback):
    """Asks every `settings.every` steps and at the end, keeps what was said, and stops when nothing gets better.

    All ranks ask the same: a sharded model answers only with all of them.

    Args:
        examiner (`Examiner`), records (`Sequence[InstructionRecord]`), root (`Path`): who asks what about which files.
        path (`Path`): the JSONL file of rounds; those after `resumed_step` are taken out, since they come again.
        keep (`Callable[[], None]`): called after a round that none before it beats.
    """

    def __init__(
        self,
        settings: EvaluationSettings,
        examiner: Examiner,
        records: Sequence[InstructionRecord],
        root: Path,
        path: Path,
        resumed_step: int,
    ) -> None:
        self.settings, self.examiner, self.records, self.root, self.path = settings, examiner, records, root, path
        self.rounds = read_rounds(path, resumed_step)
        self.trainer: Any = None
        self.keep: Callable[[], None] | None = None
        if is_main():
            write_text(path, "".join(f"{found.model_dump_json()}\n" for found in self.rounds))

    @property
    def best(self) -> Round | None:
        """The best of the rounds so far."""
        return best_round(self.rounds)

    @property
    def exhausted(self) -> bool:
        """Whether `patience` rounds have passed without a better score."""
        if self.settings.patience is None or self.best is None:
            return False
        reached = next(index for index, found in enumerate(self.rounds) if found.accuracy == self.best.accuracy)
        return len(self.rounds) - 1 - reached >= self.settings.patience

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask, if it is time."""
        if state.global_step % self.settings.every and state.global_step < state.max_steps:
            return
        start = time.perf_counter()
        found = self._ask(state.global_step)
        self.rounds.append(found)
        if self.best is found and self.keep is not None:
            self.keep()
        if is_main():
            append_line(self.path, json.dumps(found.model_dump(mode="json"), ensure_ascii=False))
        if self.exhausted:
            control.should_training_stop = True
        self.trainer.meter.exclude(time.perf_counter() - start)

    def _tell(self, answers: Sequence[Said]) -> None:
        """Say once which questions cannot be asked."""
        missing = [said for said in answers if said.answer is None]
        if missing and len(self.rounds) == 0 and is_main():
            note(
                f"{len(missing)} of {len(answers)} held-out questions cannot be asked and count for nothing, e.g. "
                f"{missing[0].id}: {missing[0].reason}"
            )

    def _ask(self, step: int) -> Round:
        import torch

        model = self.trainer.model
        base = model.get_base_model() if hasattr(model, "peft_config") else model
        training = model.training
        model.eval()
        try:
            with torch.no_grad(), self.trainer.compute_loss_context_manager(), _newline_held(base):
                processor = self.trainer.processing_class
                given = self.examiner(base, processor, self.records, self.root, self.settings.max_new_tokens)
            answers = [_said(record, *found) for record, found in zip(self.records, given, strict=True)]
            self._tell(answers)
            right = [said.right for said in answers if said.right is not None]
            accuracy = sum(right) / len(right) if right else None
            should_log = self.trainer.control.should_log
            if accuracy is not None:
                self.trainer.log({ACCURACY: accuracy})
            self.trainer.control.should_log = should_log  # logging ticks it off: the step's own line would be lost
        finally:
            model.train(training)
        return Round(step=step, accuracy=accuracy, answers=answers)


@contextmanager
def _newline_held(model: Any) -> Iterator[None]:
    """ZeRO-3 holds a module's own weights while the module is called, and a session asks past it for features."""
    held = [parameter for name, parameter in model.named_parameters() if name.endswith("image_newline")]
    if not any(hasattr(parameter, "ds_id") for parameter in held):
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters(held):
        kept = [parameter.is_external_param for parameter in held]
        for parameter in held:
            parameter.is_external_param = True  # or the first call of the module would let go of it
        try:
            yield
        finally:
            for parameter, before in zip(held, kept, strict=True):
                parameter.is_external_param = before


def _said(record: InstructionRecord, answer: str | None, score: Score) -> Said:
    right = None if score.value is None else score.value == 1
    return Said(
        id=record.id,
        question=record.question,
        answer=answer,
        reference=record.answer,
        right=right,
        reason=score.reason if right is None else None,
    )
