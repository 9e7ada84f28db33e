"""One training stage as data: what is trained, on what, how, from which model, into which folder."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from videopath_hf.errors import UserError
from videopath_hf.files import content_hash
from videopath_hf.records import InstructionKind, Split
from videopath_hf.settings import Settings

LANGUAGE_MODEL_LINEARS = (
    r".*language_model\.layers\.\d+\.(self_attn\.(q_proj|k_proj|v_proj|o_proj)|mlp\.(gate_proj|up_proj|down_proj))"
)
"""Every linear layer of the decoder's blocks, nothing else: a suffix such as `q_proj` would hit the vision tower."""

Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class DataSettings(Settings):
    """Which records a stage learns from.

    Args:
        path (`Path`, *optional*): the folder that `videopath instruct` wrote, or anything else that `videopath data`
            reads: a file of records, or a mixture of files; may be left for the command line.
        media (`Path`, *optional*): folder of the media of a file of records; the file's own if omitted.
        kinds (`list[str]`): kinds of records, of `caption`, `image`, `clip`, `video`.
        split (`str`, defaults to `"train"`): `train` or `test`.
        fraction (`float`, defaults to 1.0): share of the records, chosen by a seeded hash of their ids, so that a
            smaller share is part of every larger one.
        max_dropped (`float`, defaults to 0.05): share of the records that may be left out because a medium is broken
            or the sample is longer than `max_length`, or, of a file of records, because an entry makes no record; the
            run stops if there are more.
        cache_mb (`int`, defaults to 0): memory, in megabytes, for samples that come again in a later epoch.
    """

    path: Path | None = None
    media: Path | None = None
    kinds: Annotated[tuple[InstructionKind, ...], Field(min_length=1)]
    split: Split = "train"
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_dropped: Fraction = 0.05
    cache_mb: Annotated[int, Field(ge=0)] = 0


class TrainableSettings(Settings):
    """Which parts of the model learn. `language_model` is `full`, `lora` (base frozen) or `none`.

    The image newline belongs to the language model, as in the published training.
    """

    projector: bool = False
    vision_tower: bool = False
    language_model: Literal["full", "lora", "none"] = "none"


class LoraSettings(Settings):
    """Low-rank adapters of the decoder; defaults are those of the paper's stage 3 (arXiv 2505.04192).

    Args:
        r (`int`, defaults to 128): rank.
        alpha (`int`, defaults to 256): scale; the update is alpha / r times B A.
        dropout (`float`, defaults to 0.05): dropout before A.
        targets (`str`): regular expression that the full module name must match; it may reach into the language
            model only.
        base (`str`, defaults to `"float32"`): what weights that do not learn are held in: `float32`, `bfloat16`, or
            `8bit` and `4bit` (the language model through bitsandbytes, the rest in bfloat16). What learns is float32
            always; anything but `float32` trains under bfloat16 autocast.
    """

    r: Positive = 128
    alpha: Positive = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    targets: str = LANGUAGE_MODEL_LINEARS
    base: Literal["float32", "bfloat16", "8bit", "4bit"] = "float32"


class FrameSettings(Settings):
    """How frames are taken from a clip.

    Args:
        num_frames (`int`, defaults to 32): at most so many frames.
        strategy (`str`, defaults to `"uniform"`): `uniform` (evenly spaced) or `fps` (`video_fps` a second, evenly
            spaced above `num_frames`: the published training).
        video_fps (`float`, defaults to 1.0): frames a second with `fps`.
        time_sentence (`bool`, defaults to `False`): say after each clip how long it is and when its frames stand.
    """

    num_frames: Positive = 32
    strategy: Literal["uniform", "fps"] = "uniform"
    video_fps: Rate = 1.0
    time_sentence: bool = False


class VisualSettings(Settings):
    """How visual features become tokens; every value left out stays as the model's configuration has it.

    The names are those of [`VideoPathLlavaConfig`]; the trained checkpoint keeps the values.

    Args:
        video_newline_position (`str`, *optional*): newline tokens in videos: `grid`, `frame`, `one_token` or
            `no_token`.
        image_aspect_ratio (`str`, *optional*): `anyres`, `anyres_max_N`, `pad` or `square`.
        patch_merge_type (`str`, *optional*): `spatial_unpad`, or `flat` (no newline tokens in images).
        image_grid_pinpoints (`str`, *optional*): canvases of `anyres`, spelled as the authors do.
    """

    video_newline_position: Literal["grid", "frame", "one_token", "no_token"] | None = None
    image_aspect_ratio: Annotated[str, Field(pattern=r"^(anyres(_max_\d+)?|pad|square)$")] | None = None
    patch_merge_type: Literal["spatial_unpad", "flat"] | None = None
    image_grid_pinpoints: str | None = None


class OptimisationSettings(Settings):
    """Optimiser and schedule; AdamW throughout.

    Args:
        epochs (`float`, defaults to 1.0): passes over the data.
        max_steps (`int`, *optional*): optimiser steps; wins over `epochs`.
        learning_rate (`float`): of everything that learns.
        vision_learning_rate (`float`, *optional*): of the vision tower; `learning_rate` where left out.
        batch_size (`int`): samples a forward pass and process.
        global_batch (`int`, *optional*): samples an optimiser step over all processes; together with `batch_size` it
            decides `accumulation`, so that one recipe makes the same steps on one GPU and on eight.
        accumulation (`int`, *optional*): forward passes an optimiser step; where left out, what `global_batch` takes,
            or 1.
        drop_last (`bool`, defaults to `False`): leave out the last, short batch of an epoch.
        group_by_length (`bool`, defaults to `True`): batches of samples of like length, in random order all the same.
        warmup_ratio (`float`, defaults to 0.03): share of the steps over which the rate rises.
        scheduler (`str`, defaults to `"cosine"`): how it falls afterwards.
        weight_decay (`float`, defaults to 0.0), max_grad_norm (`float`, defaults to 1.0): as in AdamW and clipping.
        save_steps (`int`, defaults to 500): a checkpoint to resume from every so many steps.
        seed (`int`, defaults to 0): of adapters, dropout and data order.
        bf16 (`"auto"`, `True` or `False`, defaults to `"auto"`): bfloat16 autocast; `auto` is on exactly where a GPU
            can do it.
        gradient_checkpointing (`bool`, defaults to `False`): less memory, more time.
        workers (`int`, defaults to 0): processes that decode ahead; 0 decodes in the training process.
    """

    epochs: Rate = 1.0
    max_steps: Positive | None = None
    learning_rate: Rate
    vision_learning_rate: Rate | None = None
    batch_size: Positive
    global_batch: Positive | None = None
    accumulation: Positive | None = None
    drop_last: bool = False
    group_by_length: bool = True
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.03
    scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "cosine"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Rate = 1.0
    save_steps: Positive = 500
    seed: Annotated[int, Field(ge=0)] = 0
    bf16: bool | Literal["auto"] = "auto"
    gradient_checkpointing: bool = False
    workers: Annotated[int, Field(ge=0)] = 0

    def passes(self, processes: int) -> int:
        """Forward passes an optimiser step on so many processes.

        Raises:
            UserError: no number of them makes `global_batch` samples.
        """
        if self.global_batch is None:
            return self.accumulation or 1
        samples = self.batch_size * processes
        passes = self.accumulation or max(1, self.global_batch // samples)
        if passes * samples != self.global_batch:
            raise UserError(
                f"batch_size {self.batch_size} x accumulation {passes} x {processes} processes are "
                f"{passes * samples} samples a step, optimisation.global_batch is {self.global_batch}: change "
                f"batch_size or accumulation, or say optimisation.global_batch={passes * samples}"
            )
        return passes


class EvaluationSettings(Settings):
    """Questions asked of the model while it trains, about records it does not learn from.

    Args:
        every (`int`): optimiser steps between two rounds of questions; the last step always has one.
        samples (`int`, defaults to 32): at most so many records, chosen by a seeded hash of their ids.
        kinds (`list[str]`, defaults to `["video"]`): kinds of records that are asked about.
        split (`str`, defaults to `"test"`): the split they are of.
        max_new_tokens (`int`, defaults to 256): longest answer.
        patience (`int`, *optional*): stop after so many rounds without a better score.
        keep_best (`bool`, defaults to `False`): the stage ends with the weights of the best round instead of the last.
    """

    every: Positive
    samples: Positive = 32
    kinds: Annotated[tuple[InstructionKind, ...], Field(min_length=1)] = ("video",)
    split: Split = "test"
    max_new_tokens: Positive = 256
    patience: Positive | None = None
    keep_best: bool = False

    @property
    def decides(self) -> bool:
        """Whether the answers decide which weights the stage ends with."""
        return self.patience is not None or self.keep_best


Tracker = Literal["trackio", "tensorboard", "wandb"]


class Recipe(Settings):
    """One stage of training, read from YAML with `load_settings(Recipe, path, overrides)`.

    Args:
        stage (`int`): 0 alignment, 1 image SFT, 2 hybrid SFT, 3 video SFT.
        name (`str`): short name of the stage, for logs and reports.
        model (`Path` or `str`, *optional*): checkpoint to start from; may be left for the command line.
        out (`Path`, *optional*): output folder; may be left for the command line.
        template (`str`, defaults to `"chat"`): `chat` (the processor's ChatML) or `plain` (image, caption, line
            break: the published stage 0).
        label_mask (`str`, defaults to `"assistant"`): `assistant` trains on the assistant's words and their end token;
            `reference` on what the published training does: its header, and line breaks and marks everywhere, too.
        several_images (`str`, defaults to `"anyres"`): how each image of a sample of several is cut: `anyres` (as the
            only image of a sample would be, and as in answering) or `pad` (one tile each: the published training).
        max_length (`int`, defaults to 32768): longest sample in tokens, visual tokens included; a longer one is never
            cut.
        over_budget (`str`, defaults to `"drop"`): what becomes of a longer one: `drop` leaves it out whole;
            `fewer_frames` takes as many frames of its clips as fit, at least one, and leaves it out where none do.
            `run.json` names every such sample.
        evaluation (`EvaluationSettings`, *optional*): questions asked while the stage trains.
        report_to (`list[str]`, defaults to none): where curves go besides `log.jsonl` and `training.html`, of
            `trackio`, `tensorboard` and `wandb`.
        cache_features (`Path`, *optional*): folder in which the features of a frozen vision tower are kept, so that
            it sees each medium once; several stages, and runs, of one tower may share it. Not for a tower that learns.
    """

    stage: Annotated[int, Field(ge=0, le=3)]
    name: str
    model: str | None = None
    out: Path | None = None
    data: DataSettings
    trainable: TrainableSettings
    template: Literal["chat", "plain"] = "chat"
    label_mask: Literal["assistant", "reference"] = "assistant"
    several_images: Literal["anyres", "pad"] = "anyres"
    max_length: Positive = 32768
    over_budget: Literal["drop", "fewer_frames"] = "drop"
    cache_features: Path | None = None
    frames: FrameSettings = FrameSettings()
    visual: VisualSettings = VisualSettings()
    lora: LoraSettings = LoraSettings()
    optimisation: OptimisationSettings
    evaluation: EvaluationSettings | None = None
    report_to: tuple[Tracker, ...] = ()

    @field_validator("report_to", mode="before")
    @classmethod
    def _one_tracker(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _base_is_frozen(self) -> "Recipe":
        if self.lora.base != "float32" and self.trainable.language_model != "lora":
            raise ValueError(
                f"lora.base = {self.lora.base!r} is for adapters on a frozen language model: set "
                "trainable.language_model: lora, or leave lora.base out"
            )
        return self

    @model_validator(mode="after")
    def _features_stay(self) -> "Recipe":
        if self.cache_features is not None and self.trainable.vision_tower:
            raise ValueError(
                f"cache_features = {self.cache_features} with trainable.vision_tower = true: features of a tower that "
                "learns change at every step; set trainable.vision_tower=false or leave cache_features out"
            )
        return self

    @model_validator(mode="after")
    def _held_out(self) -> "Recipe":
        if self.evaluation is not None and self.evaluation.split == self.data.split:
            raise ValueError(
                f"evaluation.split = {self.evaluation.split!r} is what is trained on: name the other split"
            )
        return self

    @property
    def label(self) -> str:
        """How the stage is called in messages, e.g. `stage 1 (image_sft)`."""
        return f"stage {self.stage} ({self.name})"

    def places(self) -> tuple[str, Path, Path]:
        """Model, data folder and output folder; raises `UserError` that names what is still missing."""
        wanted = {"model": self.model, "data.path": self.data.path, "out": self.out}
        missing = [key for key, value in wanted.items() if value is None]
        if self.model is None or self.data.path is None or self.out is None:
            example = " ".join(f"{key}=..." for key in missing)
            raise UserError(f"recipe of {self.label} does not say {', '.join(missing)}: add {example} to the command")
        return self.model, self.data.path, self.out

    def decisive(self) -> dict[str, Any]:
        """Everything that decides the trained weights; the places are known by their content instead."""
        beside: Any = {
            "model": True,
            "out": True,
            "cache_features": True,
            "data": {"path", "media", "max_dropped", "cache_mb"},
            "optimisation": {"save_steps", "workers"},
            "report_to": True,
        }
        if self.evaluation is None or not self.evaluation.decides:
            beside["evaluation"] = True
        return self.model_dump(mode="json", exclude=beside)

    def settings_hash(self) -> str:
        """Hash of everything that decides the trained weights."""
        return content_hash(self.decisive())
