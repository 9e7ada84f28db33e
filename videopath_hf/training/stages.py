"""One stage from recipe to checkpoint: claimed, surveyed, trained, resumed after a kill, never done twice."""

import json
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from videopath_hf import __version__
from videopath_hf.files import content_hash, read_json, write_json
from videopath_hf.modeling.hashes import model_hash
from videopath_hf.progress import note
from videopath_hf.records import InstructionRecord
from videopath_hf.runs import Steps, claim_output
from videopath_hf.training.claims import check_begun, write_begun
from videopath_hf.training.extras import check_extras
from videopath_hf.training.quiet import quiet_libraries
from videopath_hf.training.ranks import is_main, is_sharded, world_size
from videopath_hf.training.recipe import Recipe

if TYPE_CHECKING:
    from videopath_hf.training.evaluating import Exam, Examiner

RUN = "run.json"
PREFLIGHT = "preflight.json"
QUARANTINE = "quarantine.jsonl"
ADAPTER = "adapter"
MERGED = "merged"


class StageResult(BaseModel):
    """What a stage left behind.

    Args:
        model (`Path`): complete checkpoint with its processor, for the next stage or for questions: the output folder
            itself, or `merged` in it where adapters were trained.
        adapter (`Path`, *optional*): the adapter that was merged.
        samples (`int`), dropped (`int`), quarantined (`int`): records trained on; left out before the first step; and
            of those trained on, left out because their media turned out to be broken (all named in `run.json`).
        resumed_step (`int`): steps an earlier, interrupted call had done; 0 for none.
        finished_before (`bool`): an earlier call had done it all, and nothing was done now.
    """

    stage: int
    name: str
    out: Path
    model: Path
    adapter: Path | None
    steps: int
    samples: int
    dropped: int
    quarantined: int
    first_loss: float
    last_loss: float
    seconds: float
    resumed_step: int
    finished_before: bool


class _Job(NamedTuple):
    recipe: Recipe
    model: str
    data: Path
    out: Path
    records: Sequence[InstructionRecord]
    model_hash: str
    data_hash: str
    exam: "Exam | None"

    @property
    def key(self) -> str:
        """What the stage's work is keyed by."""
        return content_hash(self.recipe.settings_hash(), self.data_hash, self.model_hash)


def run_stage(recipe: Recipe, examiner: "Examiner | None" = None) -> StageResult:
    """Train one stage, or go on where a killed run of the same recipe, data and model stopped.

    Args:
        examiner (`Examiner`, *optional*): asks the questions of the recipe's `evaluation`, see
            [`~videopath_hf.training.evaluating.Examiner`].

    Writes into the recipe's `out`: the model and its processor (with adapters: `adapter/` and `merged/` instead),
    `preflight.json` before the first step (what learns, lengths, memory, what is left out), `log.jsonl` with a line a
    step, `training.html` with its curves, `evaluations.jsonl` with answers to held-out questions, `run.json` with what
    was trained, on what, and what was left out.

    Raises:
        UserError: something is missing or wrong in the recipe, the data or the model; the folder holds another run
            (what is different is named); pixels do not reach the model; the loss is not finite; the disk is full.
        TooManyRejectsError: more samples than `data.max_dropped` are broken or too long.
    """
    from videopath_hf.training.evaluating import open_exam
    from videopath_hf.training.samples import choose_records, data_hash, media_root

    check_extras(recipe)
    recipe.optimisation.passes(world_size())
    model, path, out = recipe.places()
    records = choose_records(recipe, path)
    data = media_root(recipe, path)
    exam = open_exam(recipe, path, examiner)
    job = _Job(recipe, model, data, out, records, model_hash(model), data_hash(records, data), exam)
    check_begun(out, recipe, job.model_hash, job.data_hash)
    # Under a launcher the first rank holds the folder for all.
    with claim_output(out, job.key, "train") if is_main() else nullcontext():
        if not (out / RUN).exists():
            if is_main():
                write_begun(out, recipe, job.model_hash, job.data_hash)
            with quiet_libraries():
                _train(job)
            return _result(job, finished_before=False)
        if is_main():
            _clear(out)  # a kill may have left something
            note(f"{recipe.label}: already finished in {out}")
        return _result(job, finished_before=True)


def _result(job: _Job, finished_before: bool) -> StageResult:
    run = read_json(job.out / RUN)
    adapted = job.recipe.trainable.language_model == "lora"
    return StageResult(
        stage=job.recipe.stage,
        name=job.recipe.name,
        out=job.out,
        model=job.out / MERGED if adapted else job.out,
        adapter=job.out / ADAPTER if adapted else None,
        steps=run["steps"],
        samples=run["samples"],
        dropped=len(run["dropped"]),
        quarantined=len(run["quarantined"]),
        first_loss=run["loss"]["first"],
        last_loss=run["loss"]["last"],
        seconds=run["seconds"],
        resumed_step=run["resumed_step"],
        finished_before=finished_before,
    )


def _train(job: _Job) -> None:
    from videopath_hf.training import checkpoints
    from videopath_hf.training.build import CHECKPOINTS, make_collator, make_config, make_trainer, open_start
    from videopath_hf.training.features import store_features
    from videopath_hf.training.preflight import describe, inspect_stage
    from videopath_hf.training.quarantine import Quarantine
    from videopath_hf.training.results import keep_best, save_result
    from videopath_hf.training.saving import explain_disk
    from videopath_hf.training.visual import set_visual

    start = time.perf_counter()
    recipe, out = job.recipe, job.out
    model, processor = open_start(recipe, job.model)
    set_visual(model, processor, recipe.visual.model_dump(exclude_none=True))
    collator = make_collator(processor, recipe, job.data)
    config = make_config(recipe, out / CHECKPOINTS)
    with config.distributed_state.main_process_first():
        survey = _survey(job, collator)
    if recipe.cache_features is not None:
        collator = store_features(model, collator, job.records, survey, recipe.cache_features, config)
    checkpoint, held_out = _resume_from(job, out / CHECKPOINTS)
    resumed = checkpoints.step_of(checkpoint) if checkpoint else 0
    quarantine = Quarantine(out / QUARANTINE, survey.dropped, len(job.records), recipe.data.max_dropped)
    base = model.config
    trainer = make_trainer(model, recipe, config, job.records, survey, collator, out, resumed, held_out, quarantine)
    preflight = inspect_stage(trainer.model, base, recipe, survey, config)
    if is_main():
        _announce(job, survey, resumed)
        note(describe(preflight, recipe.max_length))
        left_out = [sample.model_dump() for sample in survey.dropped]
        write_json(out / PREFLIGHT, {"samples": len(survey.lengths), "dropped": left_out, **preflight.as_json()})
    with explain_disk("the trained model", out):
        if held_out is not None and held_out.settings.keep_best:
            held_out.keep = partial(keep_best, trainer, recipe, job.model, out)
        _run_trainer(trainer, checkpoint, held_out)
        save_result(trainer, recipe, job.model, out)
    if is_main():
        figures = {**preflight.as_json(), "quarantined": [sample.model_dump() for sample in quarantine.samples()]}
        report = {**_report(job, survey, trainer, resumed), **figures}
        write_json(out / RUN, {**report, "seconds": round(time.perf_counter() - start, 1)})
    _clear(out)
    config.distributed_state.wait_for_everyone()


def _announce(job: _Job, survey: Any, resumed: int) -> None:
    done = f", going on after step {resumed}" if resumed else ""
    fewer = f", {len(survey.fewer)} with fewer frames" if survey.fewer else ""
    note(f"{job.recipe.label}: {len(survey.lengths)} samples, {len(survey.dropped)} left out{fewer}{done}")


def _report(job: _Job, survey: Any, trainer: Any, resumed: int) -> dict[str, Any]:
    from videopath_hf.training.build import LOG
    from videopath_hf.training.curves import write_page
    from videopath_hf.training.evaluating import summarise
    from videopath_hf.training.samples import origins

    write_page(job.out, job.recipe.label)
    lines = (job.out / LOG).read_text(encoding="utf-8").splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    return {
        "stage": job.recipe.stage,
        "name": job.recipe.name,
        "recipe": job.recipe.model_dump(mode="json"),
        "model_hash": job.model_hash,
        "data_hash": job.data_hash,
        "data": origins(job.records),
        "records": len(job.records),
        "samples": len(survey.lengths),
        "dropped": [sample.model_dump() for sample in survey.dropped],
        "fewer_frames": [sample.model_dump() for sample in survey.fewer],
        "tokens": {"longest": max(survey.lengths.values()), "total": sum(survey.lengths.values())},
        "pixel_change": trainer.pixel_change,
        "steps": trainer.state.global_step,
        "resumed_step": resumed,
        "loss": {"first": losses[0], "last": losses[-1]},
        "evaluation": summarise(job.out),
        "versions": _versions(),
    }


def _survey(job: _Job, collator: Any) -> Any:
    from videopath_hf.training.samples import Survey, check_dropped, survey_samples

    recipe = job.recipe

    def work() -> dict[str, Any]:
        fewer_frames = recipe.over_budget == "fewer_frames"
        return survey_samples(job.records, collator, recipe.optimisation.workers, fewer_frames).model_dump()

    survey = Survey.model_validate(Steps(job.out / ".steps").run("survey", job.key, work))
    check_dropped(survey.dropped, len(job.records), recipe.data.max_dropped)
    return survey


def _resume_from(job: _Job, folder: Path) -> tuple[Path | None, Any]:
    """The checkpoint to go on from, and the exam as it stood there."""
    from videopath_hf.training import checkpoints

    def exam(step: int) -> Any:
        return job.exam.callback(job.data, job.out, step) if job.exam else None

    checkpoint = checkpoints.last_good(folder)
    step = checkpoints.step_of(checkpoint) if checkpoint else 0
    held_out = exam(step)
    if checkpoint is None or not (is_sharded() and _ended(checkpoint, held_out)):
        return checkpoint, held_out
    # A sharded model is put together by training only: what a kill came after is done again.
    checkpoint = checkpoints.last_good(folder, below=step)
    return checkpoint, exam(checkpoints.step_of(checkpoint) if checkpoint else 0)


def _ended(checkpoint: Path, held_out: Any) -> bool:
    """Whether there was nothing left to train: the kill came between the last step and the end."""
    state = read_json(checkpoint / "trainer_state.json")
    return state["global_step"] >= state["max_steps"] or (held_out is not None and held_out.exhausted)


def _run_trainer(trainer: Any, checkpoint: Path | None, held_out: Any) -> None:
    from videopath_hf.training.callbacks import StepBar
    from videopath_hf.training.checkpoints import step_of

    if checkpoint is not None and _ended(checkpoint, held_out):
        trainer._load_from_checkpoint(str(checkpoint))
        trainer.state.global_step = step_of(checkpoint)
        trainer.pixel_change = trainer.check_pixels()
        return
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        for callback in trainer.callback_handler.callbacks:
            if isinstance(callback, StepBar):
                callback.close()
        if "wandb" in trainer.args.report_to:  # it would go on in the next stage of this process
            import wandb

            wandb.finish()


def _clear(out: Path) -> None:
    from videopath_hf.training.build import CHECKPOINTS, sample_rows
    from videopath_hf.training.results import clear_result

    sample_rows(out).unlink(missing_ok=True)  # each rank has its own
    if is_main():
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
        clear_result(out)


def _versions() -> dict[str, str]:
    names = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")
    return {"videopath_hf": __version__, **{name: version(name) for name in names}}
