"""The four stages on clips of real slides: does the machinery teach a model to see, and what does each stage give?

Five models are trained from one start for each tower and seed: by the full method (stages 0, 1, 2 and 3); without
stage 2; with as many steps on stills in its place, so that only its clips are missing; with its clips and its steps in
stage 3, so that only a stage of its own is missing; and from scratch (stage 3 alone, the decoder tuned in full, since
adapters on random weights learn little). They are asked about clips from the other side of the same slides; the full
one also with black frames.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from training_slides import QUESTIONS, write_slides_dataset
from training_tables import print_rows

from videopath_hf.data.folder import INSTRUCTIONS, read_instructions
from videopath_hf.evaluation.answering import Answerer
from videopath_hf.evaluation.metrics import diagnosis_match, majority_accuracy
from videopath_hf.files import atomic_dir, content_hash, file_sha256, read_records
from videopath_hf.modeling.assembly import assemble_model
from videopath_hf.modeling.configuration_videopath_llava import VideoPathLlavaConfig
from videopath_hf.modeling.hashes import model_hash
from videopath_hf.modeling.loading import load_model, quiet_transformers
from videopath_hf.modeling.processing_videopath_llava import VideoPathLlavaProcessor
from videopath_hf.modeling.templates import CHATML_TEMPLATE
from videopath_hf.modeling.tiny import random_model, save_checkpoint, tiny_config, train_tokenizer
from videopath_hf.progress import note
from videopath_hf.records import InstructionRecord
from videopath_hf.runs import Steps
from videopath_hf.settings import load_settings
from videopath_hf.training.recipe import Recipe
from videopath_hf.training.stages import run_stage

RECIPES = Path(__file__).parents[1] / "recipes" / "tiny" / "tissue"
STAGES = ("stage0_alignment", "stage1_image_sft", "stage2_hybrid_sft", "stage3_video_sft")
TOWERS = ("siglip", "dinov2")
ARMS = (
    "full method",
    "without stage 2",
    "stage 1 again in place of stage 2",
    "without stage 2, its clips and steps in stage 3",
    "from scratch",
    "full method, blind",
)
TILE = 112
LAYERS = 6
"""Of DINOv2's twelve: what comes out of the sixth tells tissue apart best."""
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
MAX_NEW_TOKENS = 60

Figures = dict[str, Any]


def learn(slides: Path, out: Path, seeds: Sequence[int], towers: Sequence[str], offline: Path | None) -> None:
    """Train and ask all models that are still missing in `out`, and print the tables of what is there.

    Args:
        slides (`Path`): folder of slides as [`write_slides_dataset`] reads it.
        out (`Path`): keeps data, models, features and figures; the same call goes on where a killed one stopped.
        seeds (`Sequence[int]`): of first weights and order. Data are the same for all.
        towers (`Sequence[str]`): of `siglip` (small, random) and `dinov2` (pretrained, frozen, features kept).
        offline (`Path`, *optional*): folder that holds `dinov2-small`.
    """
    torch.set_num_threads(1)  # these operations are too small to share
    data = write_slides_dataset(slides, out / "data")
    frozen = {"": ("trainable.vision_tower=false", f"cache_features={out / 'dinov2_features'}")}
    found: dict[str, list[Figures]] = {tower: [] for tower in towers}
    for seed in seeds:
        for tower in towers:
            if tower == "siglip":
                one = Pass(f"siglip_{seed}", seed, data, out, partial(start_siglip, seed=seed), {})
            elif (pretrained := offline_model(offline, "dinov2-small")) is not None:
                start = partial(start_dinov2, pretrained=pretrained, seed=seed)
                one = Pass(f"dinov2_{seed}", seed, data, out, start, frozen)
            else:
                continue
            found[tower].append(run_arms(one))
    _print(found, data)


def offline_model(offline: Path | None, name: str) -> Path | None:
    """The folder of pretrained weights of a name; None, and a word about it, where there is none."""
    if offline is None or not (offline / name).is_dir():
        note(f"VIDEOPATH_OFFLINE_MODELS names no folder that holds {name}: what needs it is left out")
        return None
    return offline / name


class Pass:
    """Models trained by the recipes of the tissue and asked, of one start and seed; nothing is done twice.

    Args:
        name (`str`): of this pass, and of its folder in `out`.
        start (`Callable[[Any, Path], None]`): writes the model that training starts from, given a tokenizer of the
            data's words.
        changes (`Mapping[str, Sequence[str]]`): overrides of the recipes, by stage; those under `""` are of all.
    """

    def __init__(
        self,
        name: str,
        seed: int,
        data: Path,
        out: Path,
        start: Callable[[Any, Path], None],
        changes: Mapping[str, Sequence[str]],
    ) -> None:
        self.name, self.seed, self.data, self.changes = name, seed, data, changes
        self.root = out / name
        self.write_start = start
        self.steps = Steps(out / ".steps")
        self.data_key = file_sha256(data / INSTRUCTIONS)
        self.recipes = content_hash([(RECIPES / f"{stage}.yaml").read_text(encoding="utf-8") for stage in STAGES])

    def once(self, name: str, key: str, work: Callable[[], Any]) -> Figures:
        """Run something once; its result, and the seconds of processor time that it took."""

        def timed() -> Figures:
            start = time.process_time()
            result = work()
            return {**result, "seconds": round(time.process_time() - start, 1)}

        result: Figures = self.steps.run(f"{self.name}_{name}", content_hash(key, self.data_key, self.seed), timed)
        return result

    def start(self) -> Path:
        """The model that training starts from."""
        out = self.root / "start"

        def write() -> Figures:
            records = read_records(self.data / INSTRUCTIONS, InstructionRecord)
            texts = [text for one in records if one.split == "train" for text in (one.question, one.answer)]
            with quiet_transformers():
                self.write_start(train_tokenizer([*texts, *QUESTIONS]), out)
            return {}

        self.once("start", self.recipes, write)
        return out

    def train(self, name: str, stage: str, model: Path, *changes: str) -> tuple[Path, float]:
        """Train a stage from a model; its model, and seconds."""
        out = self.root / name
        overrides = [f"model={model}", f"data.path={self.data}", f"out={out}", f"optimisation.seed={self.seed}"]
        overrides += [*self.changes.get("", ()), *self.changes.get(stage, ()), *changes]
        recipe = load_settings(Recipe, RECIPES / f"{stage}.yaml", overrides)
        key = content_hash(recipe.settings_hash(), model_hash(str(model)))
        result = self.once(name, key, lambda: {"model": str(run_stage(recipe).model.relative_to(self.root))})
        return self.root / result["model"], result["seconds"]

    def ask(self, folder: Path, blind: bool = False) -> Figures:
        """Ask a model about all held-out clips."""
        name = f"ask_{folder.relative_to(self.root).as_posix().replace('/', '_')}{'_blind' if blind else ''}"
        return self.once(name, model_hash(str(folder)), lambda: ask(folder, self.data, blind))

    def full_method(self) -> tuple[list[Path], dict[str, float]]:
        """The four stages, each from the last one's model: all models, the start first, and seconds by stage."""
        models, seconds = [self.start()], {}
        for stage in STAGES:
            model, seconds[stage] = self.train(stage, stage, models[-1])
            models.append(model)
        return models, seconds


def run_arms(one: Pass) -> Figures:
    """Train and ask all arms of a pass."""
    (start, _, stage1, _, full), seconds = one.full_method()
    without, _ = one.train("stage3_without_stage2", STAGES[3], stage1)
    again, _ = one.train("stage1_again", STAGES[1], stage1, f"optimisation.max_steps={_steps(STAGES[2])}")
    stills, _ = one.train("stage3_after_stage1_again", STAGES[3], again)
    longer = f"optimisation.max_steps={_steps(STAGES[2]) + _steps(STAGES[3])}"
    joined, _ = one.train("stage3_with_clips", STAGES[3], stage1, "data.kinds=[clip,video]", longer)
    scratch, _ = one.train("stage3_from_scratch", STAGES[3], start, "trainable.language_model=full")
    asked = {name: one.ask(model) for name, model in zip(ARMS, (full, without, stills, joined, scratch), strict=False)}
    asked[ARMS[-1]] = one.ask(full, blind=True)
    return {
        "seed": one.seed,
        "accuracy": {name: figures["accuracy"] for name, figures in asked.items()},
        "seconds": {**seconds, "asking": asked[ARMS[0]]["seconds"]},
    }


def _steps(stage: str) -> int:
    """Optimizer steps of a stage's recipe."""
    steps = load_settings(Recipe, RECIPES / f"{stage}.yaml").optimisation.max_steps
    assert steps is not None
    return steps


def small_config(tokenizer: Any) -> VideoPathLlavaConfig:
    """The demo's tiny model with inputs of 112 pixels and a smaller decoder, which has little to say here."""
    tiny = tiny_config(tokenizer)
    text = {key: value for key, value in tiny.text_config.to_dict().items() if key != "layer_types"}
    return tiny_config(
        tokenizer,
        vision_config={**tiny.vision_config.to_dict(), "image_size": TILE},
        text_config={**text, "num_hidden_layers": 2, "intermediate_size": 256},
        vision_aspect_ratio="square",
        image_grid_pinpoints=[[TILE, TILE]],
    )


def start_siglip(tokenizer: Any, out: Path, seed: int) -> None:
    """Random tower (0.4 million weights), projector and decoder."""
    config = small_config(tokenizer)
    with atomic_dir(out) as folder:
        processor = VideoPathLlavaProcessor.from_config(config, tokenizer, CHATML_TEMPLATE)
        save_checkpoint(random_model(config, tokenizer, seed), processor, folder)


def start_dinov2(tokenizer: Any, out: Path, pretrained: Path, seed: int) -> None:
    """The pretrained tower's first layers at 112 pixels, before a random projector and decoder."""
    from transformers import Qwen2ForCausalLM

    out.parent.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]), atomic_dir(out.parent / ".decoder") as folder:
        torch.manual_seed(seed)
        Qwen2ForCausalLM(small_config(tokenizer).text_config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    join_dinov2(pretrained, out.parent / ".decoder", out, seed)


def join_dinov2(pretrained: Path, decoder: Path, out: Path, seed: int) -> None:
    """The pretrained tower's first layers at 112 pixels, before a random projector and a given decoder."""
    from transformers import Dinov2Config, Dinov2Model

    whole = Dinov2Config.from_pretrained(pretrained).to_dict()
    kept = {name: value for name, value in whole.items() if name not in ("out_features", "out_indices", "stage_names")}
    config = Dinov2Config(**{**kept, "num_hidden_layers": LAYERS})
    tower = Dinov2Model.from_pretrained(pretrained, config=config)
    side = TILE // tower.config.patch_size
    with torch.no_grad():
        seen = torch.zeros(1, 1 + side * side, tower.config.hidden_size)
        positions = tower.embeddings.interpolate_pos_encoding(seen, TILE, TILE)
    tower.embeddings.position_embeddings = torch.nn.Parameter(positions)
    tower.config.image_size = TILE
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_dir(out.parent / ".tower") as folder:
        tower.save_pretrained(folder)
    assemble_model(
        out.parent / ".tower",
        decoder,
        out,
        seed=seed,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        vision_aspect_ratio="square",
        image_grid_pinpoints=[[TILE, TILE]],
    )
    processor = load_model(out)[1]
    for part in (processor.image_processor, processor.video_processor):
        part.image_mean, part.image_std = IMAGENET
    processor.save_pretrained(out)


def ask(folder: Path, data: Path, blind: bool) -> Figures:
    """Ask a model about all held-out clips; the share of right diagnoses."""
    model, processor = load_model(folder)
    processor.video_processor.num_frames = load_settings(Recipe, RECIPES / f"{STAGES[3]}.yaml").frames.num_frames
    answerer = Answerer(model, processor, folder.name)
    scores = []
    for record in read_instructions(data, ["video"], "test"):
        answer = answerer.ask(
            [data / record.media[0].path],
            record.question,
            id=record.id,
            zero_frames=blind,
            max_new_tokens=MAX_NEW_TOKENS,
        )
        scores.append(diagnosis_match(record.id, answer.answer, record.diagnosis).value or 0.0)
    return {"accuracy": fmean(scores), "clips": len(scores)}


def majority(data: Path) -> float:
    """Accuracy of naming the commonest diagnosis of the held-out clips for each of them."""
    records = read_instructions(data, ["video"], "test")
    return majority_accuracy([record.diagnosis for record in records])


def _print(found: dict[str, list[Figures]], data: Path) -> None:
    records = read_instructions(data, ["video"], "test")
    for tower, seeds in found.items():
        if not seeds:
            continue
        rows = []
        for name in ARMS:
            values = [figures["accuracy"][name] for figures in seeds]
            rows.append([name, *(f"{value:.3f}" for value in values), *_spread(values)])
        rows.append(["majority class", *["" for _ in seeds], f"{majority(data):.3f}", ""])
        heads = ["diagnosis accuracy", *(f"seed {figures['seed']}" for figures in seeds), "mean", "spread"]
        cases = len({record.diagnosis for record in records})
        print_rows(f"{tower}: {len(records)} held-out clips, {cases} diagnoses", heads, rows)
        spent = [[part, f"{fmean(f['seconds'][part] for f in seeds):.0f}"] for part in seeds[0]["seconds"]]
        total = fmean(sum(figures["seconds"].values()) for figures in seeds)
        heads = ["full method, one pass", "processor seconds"]
        print_rows(f"{tower}: processor time, mean over seeds", heads, [*spent, ["all", f"{total:.0f}"]])


def _spread(values: Sequence[float]) -> list[str]:
    return [f"{fmean(values):.3f}", f"{stdev(values):.3f}" if len(values) > 1 else ""]
