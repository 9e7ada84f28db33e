"""A model's answers on held-out records, with frames and blind, and their scores; resumable."""

import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field

from videopath_hf import __version__
from videopath_hf.data.folder import INSTRUCTIONS, read_instructions
from videopath_hf.data.media import media_paths
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.evaluation.judge import Judge, JudgeSample, JudgeSettings, JudgeSummary
from videopath_hf.evaluation.metrics import aggregate, diagnosis_match, majority_accuracy, rouge_l
from videopath_hf.files import content_hash, file_sha256, read_json, write_json, write_records
from videopath_hf.llm.log import AppendLog
from videopath_hf.progress import note, track
from videopath_hf.records import Answer, InstructionRecord, Score
from videopath_hf.runs import claim_output
from videopath_hf.settings import Settings
from videopath_hf.video.container import VideoError

if TYPE_CHECKING:
    from videopath_hf.evaluation.answering import Answerer

Variant = Literal["full", "blind"]
_VARIANTS: tuple[Variant, ...] = ("full", "blind")


class EvaluateSettings(Settings):
    """Settings of `videopath evaluate`.

    Args:
        max_new_tokens (`int`, defaults to 1024): longest answer; the paper's setting.
        dtype (`str`, defaults to `"float32"`): precision of the model.
        device (`str`, defaults to `"cpu"`): where it runs.
        min_coverage (`float`, defaults to 1.0): the least share of the scores that must be had; below it the command
            fails, after everything was written.
        judge (`JudgeSettings`, *optional*): which judge to ask; none by default.
    """

    max_new_tokens: Annotated[int, Field(ge=1)] = 1024
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = "cpu"
    min_coverage: Annotated[float, Field(ge=0, le=1)] = 1.0
    judge: JudgeSettings | None = None


class VariantResult(BaseModel):
    """Figures of one variant; `diagnosis_accuracy` and `rougeL` are means over the answers that could be scored,
    `coverage` the least share of scores that could be had in any column."""

    n: int
    diagnosis_accuracy: float | None
    rougeL: float | None
    coverage: float
    judge: JudgeSummary | None


class EvaluationResult(BaseModel):
    """What an evaluation found.

    Args:
        model (`str`): the model as it was named.
        variants (`dict[str, VariantResult]`): `full` saw the frames, `blind` as many black ones.
        diagnosis_accuracy (`dict[str, float]`): share of right diagnoses by variant; None where none could be scored.
        majority_accuracy (`float`, *optional*): accuracy of the best constant answer, for comparison.
        notes (`list[str]`): what a reader must know.
        seconds (`dict[str, float]`): of the model's work by step, over all answers, and of scoring.
    """

    model: str
    variants: dict[Variant, VariantResult]
    diagnosis_accuracy: dict[Variant, float | None]
    majority_accuracy: float | None
    notes: list[str]
    seconds: dict[str, float]

    @property
    def coverage(self) -> float:
        """The least coverage of any variant."""
        return min(variant.coverage for variant in self.variants.values())


def evaluate_model(model_dir: str | Path, data: Path, out: Path, settings: EvaluateSettings) -> EvaluationResult:
    """Ask a model every test question of kind `video`, with frames and blind, and score its answers.

    Writes `predictions_<variant>.jsonl` (an `Answer` a line, as they are made; media relative to `data`),
    `scores_<variant>.jsonl` (`Score`), `judge.jsonl` (the judge's replies) and `results.json`.

    Args:
        model_dir (`str` or `Path`): checkpoint folder or Hub id.
        data (`Path`): dataset folder made by `videopath instruct`.
        out (`Path`): folder of the results; answers and replies that are there already are not made again.
        settings (`EvaluateSettings`): how.

    Raises:
        UserError: no such model or data, no test record, or a judge that can never answer.
        TooManyRejectsError: fewer scores than `min_coverage`; all files are written.
    """
    data, out = Path(data), Path(out)
    records = read_instructions(data, ["video"], "test")
    if not records:
        raise UserError(f"{data} holds no test records of kind video; write it with a test_fraction above 0")
    judge = Judge(settings.judge, out / "judge.jsonl") if settings.judge else None
    key = content_hash(
        _model_key(model_dir),
        file_sha256(data / INSTRUCTIONS),
        settings.model_dump(include={"max_new_tokens", "dtype", "device"}),
        settings.judge.identity() if settings.judge else None,
        __version__,
    )
    with claim_output(out, key, "evaluate"):
        path = out / "results.json"
        result = EvaluationResult.model_validate(read_json(path)) if path.exists() else None
        if result is None or result.coverage < 1:
            result = _Run(model_dir, data, out, records, settings, judge).evaluate()
            write_json(path, result.model_dump(mode="json"))
    for text in result.notes:
        note(text)
    if result.coverage < settings.min_coverage:
        raise TooManyRejectsError(
            f"only {result.coverage:.1%} of the scores could be had (min_coverage is {settings.min_coverage:.1%}); "
            f"{out} holds what there is, with the reason for each null in scores_*.jsonl; run again to try the rest"
        )
    return result


class _Run:
    def __init__(
        self,
        model_dir: str | Path,
        data: Path,
        out: Path,
        records: Sequence[InstructionRecord],
        settings: EvaluateSettings,
        judge: Judge | None,
    ) -> None:
        self.model_dir, self.data, self.out = model_dir, data, out
        self.records, self.settings, self.judge = records, settings, judge
        self.failures: dict[str, str] = {}

    def evaluate(self) -> EvaluationResult:
        answers = {variant: self._answer(variant) for variant in _VARIANTS}
        start = time.perf_counter()
        results = {variant: self._score(variant, answers[variant]) for variant in _VARIANTS}
        scoring = round(time.perf_counter() - start, 3)
        seconds: dict[str, float] = {}
        for answer in (answer for given in answers.values() for answer in given.values()):
            for step, value in answer.seconds.items():
                seconds[step] = round(seconds.get(step, 0.0) + value, 3)
        return EvaluationResult(
            model=str(self.model_dir),
            variants=results,
            diagnosis_accuracy={variant: result.diagnosis_accuracy for variant, result in results.items()},
            majority_accuracy=majority_accuracy([record.diagnosis for record in self.records]),
            notes=self._notes(results),
            seconds={**seconds, "score": scoring},
        )

    def _answer(self, variant: Variant) -> dict[str, Answer]:
        with AppendLog(self.out / f"predictions_{variant}.jsonl", Answer) as log:
            done = {answer.id: answer for answer in log.entries}
            missing = [record for record in self.records if record.id not in done]
            for record in track(missing, f"answers ({variant})", total=len(missing)):
                answer = self._ask(record, variant)
                if answer is not None:
                    log.append(answer)
                    done[record.id] = answer
        return done

    @cached_property
    def _answerer(self) -> "Answerer":
        from videopath_hf.evaluation.answering import Answerer
        from videopath_hf.modeling.loading import load_model

        model, processor = load_model(self.model_dir, self.settings.dtype, self.settings.device)
        return Answerer(model, processor, str(self.model_dir))

    def _ask(self, record: InstructionRecord, variant: Variant) -> Answer | None:
        try:
            answer = self._answerer.ask(
                media_paths(self.data, record),
                record.question,
                id=record.id,
                zero_frames=variant == "blind",
                max_new_tokens=self.settings.max_new_tokens,
                reference=record.answer,
                reference_diagnosis=record.diagnosis,
            )
        except VideoError as error:
            self.failures[record.id] = str(error)
            return None
        return answer.model_copy(update={"media": [media.path for media in record.media]})

    def _score(self, variant: Variant, answers: dict[str, Answer]) -> VariantResult:
        scores: dict[str, list[Score]] = {"rougeL": [], "diagnosis": []}
        samples = []
        for record in self.records:
            said = answers[record.id].answer if record.id in answers else None
            scores["rougeL"].append(rouge_l(record.id, said, record.answer))
            scores["diagnosis"].append(diagnosis_match(record.id, said, record.diagnosis))
            samples.append(JudgeSample(record.id, record.question, record.answer, said))
        judged = self.judge.score(samples) if self.judge else []
        every = [self._explained(score) for score in (*scores["rougeL"], *judged, *scores["diagnosis"])]
        write_records(self.out / f"scores_{variant}.jsonl", every)
        means = {name: aggregate(column) for name, column in scores.items()}
        summary = self.judge.summarise(judged) if self.judge else None
        coverages = [mean.coverage for mean in means.values()] + ([summary.coverage] if summary else [])
        return VariantResult(
            n=len(self.records),
            diagnosis_accuracy=means["diagnosis"].value,
            rougeL=means["rougeL"].value,
            coverage=min(coverages),
            judge=summary,
        )

    def _explained(self, score: Score) -> Score:
        if score.value is None and score.id in self.failures:
            return score.model_copy(update={"reason": f"there is no answer: {self.failures[score.id]}"})
        return score

    def _notes(self, results: dict[Variant, VariantResult]) -> list[str]:
        notes = [f"no answer to {name}: {reason}" for name, reason in self.failures.items()]
        full, blind = results["full"].diagnosis_accuracy, results["blind"].diagnosis_accuracy
        if full is not None and blind is not None and full <= blind:
            notes.append(
                f"{full:.0%} of the diagnoses are right with frames and {blind:.0%} blind: it gains nothing by seeing"
            )
        if len(self.records) < 20:
            notes.append(f"{len(self.records)} test questions only: one more right answer moves the accuracy a lot")
        for variant, result in results.items():
            if result.coverage < 1:
                notes.append(
                    f"{variant}: {result.coverage:.1%} of the scores could be had; see scores_{variant}.jsonl"
                )
        return notes


def _model_key(model_dir: str | Path) -> Any:
    """Hashes of what makes a checkpoint folder answer as it does; a Hub id stands for itself."""
    folder = Path(model_dir)
    if not folder.is_dir():
        return str(model_dir)
    patterns = ("*.safetensors", "*config.json", "tokenizer*", "vocab.json", "merges.txt", "*.jinja")
    files = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    return [(path.name, file_sha256(path)) for path in files]
