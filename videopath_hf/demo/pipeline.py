"""The whole road on one recording: curate, instruct, train four stages, evaluate, report.

Every stop runs as a user would run its verb, on the files that the stop before it wrote.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from videopath_hf.errors import UserError
from videopath_hf.files import content_hash, file_sha256, write_json
from videopath_hf.progress import note
from videopath_hf.records import InstructionRecord
from videopath_hf.runs import Steps, claim_output, installed_versions, peak_memory
from videopath_hf.settings import load_settings
from videopath_hf.training.recipe import Recipe

STAGES = ("stage0_alignment", "stage1_image_sft", "stage2_hybrid_sft", "stage3_video_sft")
_REPORTED_PACKAGES = ("videopath-hf", "torch", "transformers", "trl", "peft", "datasets", "evaluate", "av", "rapidocr")


def recipe_path(name: str) -> Path:
    """A recipe of the demo, from the installed package or from the source tree."""
    package = Path(__file__).parents[1]
    installed = package / "recipes" / "tiny" / f"{name}.yaml"
    return installed if installed.is_file() else package.parent / "recipes" / "tiny" / f"{name}.yaml"


def run_demo(lectures: Sequence[Path] | None, out: Path, seed: int = 0) -> dict[str, Any]:
    """Run the road on `lectures` (the shipped sample by default) and return what `summary.json` holds.

    Args:
        lectures (`Sequence[Path]`, *optional*): lecture files; a subtitle file beside one is used.
        out (`Path`): folder for everything: `curated/`, `data/`, `tiny/`, one folder a stage, `evaluation/`,
            `report.html` and `summary.json`. The same call on it continues after an interruption.
        seed (`int`, defaults to 0): seed of the split, the random model and the training.

    Raises:
        UserError: a lecture is missing or holds no tissue, or `out` cannot be used.
    """
    from videopath_hf.samples import lecture_path

    inputs = [Path(path) for path in lectures] if lectures else [lecture_path()]
    for path in inputs:
        if not path.is_file():
            raise UserError(f"lecture {path} does not exist or is not a file; give a video file with --lecture")
    recipes = [recipe_path(name).read_text(encoding="utf-8") for name in ("curate", "instruct", *STAGES)]
    key = content_hash([file_sha256(path) for path in inputs], [path.name for path in inputs], recipes, seed)
    with claim_output(out, key, "demo"):
        return _Demo(inputs, out, seed, key).run()


class _Demo:
    def __init__(self, inputs: list[Path], out: Path, seed: int, key: str) -> None:
        self.inputs, self.out, self.seed, self.key = inputs, out, seed, key
        self.steps = Steps(out / ".steps")
        self.peaks: list[float] = []
        self.names = ["curate", "instruct", "tiny", *STAGES, "evaluate", "report"]

    def run(self) -> dict[str, Any]:
        curated, data = self.out / "curated", self.out / "data"
        self._step("curate", lambda: self._curate(curated))
        self._step("instruct", lambda: self._instruct(curated, data))
        self._step("tiny", lambda: self._build_tiny(data))
        model = self.out / "tiny"
        for name in STAGES:
            result = self._step(name, partial(self._train, name, model, data))
            model = self.out / result["model"]
        scores = self._step("evaluate", lambda: self._evaluate(model, data))
        from videopath_hf.demo.report import write_report

        summary = self._summary(scores)
        self._step("report", lambda: {"report": str(write_report(self.out, STAGES, summary))})
        summary["seconds"] = self.steps.seconds
        write_json(self.out / "summary.json", summary)
        return summary

    def _step(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Run one stop once; its peak memory is kept with its result, so that a continued run still knows it."""
        note(f"[{self.names.index(name) + 1}/{len(self.names)}] {name}")

        def measured() -> dict[str, Any]:
            return {**work(), "peak_memory_gb": round(peak_memory() / 1e9, 2)}

        result = self.steps.run(name, self.key, measured)
        self.peaks.append(result["peak_memory_gb"])
        return result

    def _curate(self, curated: Path) -> dict[str, Any]:
        from videopath_hf.curation.pipeline import curate
        from videopath_hf.curation.settings import CurateSettings

        return curate(self.inputs, curated, load_settings(CurateSettings, recipe_path("curate"))).model_dump(
            mode="json"
        )

    def _instruct(self, curated: Path, data: Path) -> dict[str, Any]:
        from videopath_hf.data.pipeline import write_instructions
        from videopath_hf.instructions.settings import InstructSettings

        settings = load_settings(InstructSettings, recipe_path("instruct"), seed=self.seed)
        return write_instructions(curated, data, settings).model_dump(mode="json")

    def _build_tiny(self, data: Path) -> dict[str, Any]:
        _use_one_thread()
        from videopath_hf.files import read_records
        from videopath_hf.modeling.tiny import build_tiny

        records = read_records(data / "instructions.jsonl", InstructionRecord)
        texts = [text for record in records if record.split == "train" for text in (record.question, record.answer)]
        build_tiny(texts, self.out / "tiny", self.seed)
        return {}

    def _train(self, name: str, model: Path, data: Path) -> dict[str, Any]:
        from videopath_hf.training.stages import run_stage

        _use_one_thread()
        overrides = [f"model={model}", f"data.path={data}", f"out={self.out / name}", f"optimisation.seed={self.seed}"]
        result = run_stage(load_settings(Recipe, recipe_path(name), overrides))
        return {"model": str(result.model.relative_to(self.out))}

    def _evaluate(self, model: Path, data: Path) -> dict[str, Any]:
        from videopath_hf.evaluation.metrics import DIAGNOSIS
        from videopath_hf.evaluation.runner import EvaluateSettings, evaluate_model

        _use_one_thread()
        settings = EvaluateSettings(blind=True, device="cpu", dtype="float32")
        result = evaluate_model(model, data, self.out / "evaluation", settings)
        accuracy = {name: variant.columns[DIAGNOSIS].value for name, variant in result.variants.items()}
        return {"diagnosis_accuracy": accuracy}

    def _summary(self, scores: dict[str, Any]) -> dict[str, Any]:
        from videopath_hf.demo.report import count_clips, count_rejects

        return {
            "seconds": self.steps.seconds,
            "peak_memory_gb": max(self.peaks),
            "clips": count_clips(self.out / "curated"),
            "rejects": count_rejects(self.out / "curated"),
            "diagnosis_accuracy": scores["diagnosis_accuracy"],
            "seed": self.seed,
            "versions": installed_versions(_REPORTED_PACKAGES),
        }


def _use_one_thread() -> None:
    """The tiny model's operations are too small to share, and sums over threads would tie scores to the machine."""
    import torch

    torch.set_num_threads(1)
