"""What a user can set about an evaluation."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from videopath_hf.evaluation.judge import JudgeSettings
from videopath_hf.evaluation.metrics import MetricSettings, describe_metrics
from videopath_hf.llm.settings import ServerSettings
from videopath_hf.records import InstructionKind, Split
from videopath_hf.settings import Settings

Variant = Literal["full", "blind"]

_ANSWERS = frozenset({"predictor", "num_frames", "sampling", "max_new_tokens", "blind", "processor"})
_RECORDS = frozenset({"split", "kinds", "limit"})
_FIGURES = frozenset({"resamples", "seed"})


class PredictorServer(ServerSettings):
    """The server that answers where the model is an address: the fields of `ServerSettings`, with `model` from the
    environment variable `VIDEOPATH_PREDICTOR_MODEL` if omitted; `base_url` is the address given as the model.

    Args:
        api_key_env (`str`, defaults to `"VIDEOPATH_PREDICTOR_API_KEY"`): environment variable that holds the key.
        longest_side (`int`, defaults to 768): pixels to which frames are scaled down before they are sent as JPEG.
        jpeg_quality (`int`, defaults to 90): 1 to 95.
    """

    environment: ClassVar[str] = "VIDEOPATH_PREDICTOR"
    api_key_env: str = "VIDEOPATH_PREDICTOR_API_KEY"
    longest_side: Annotated[int, Field(ge=28)] = 768
    jpeg_quality: Annotated[int, Field(ge=1, le=95)] = 90

    @model_validator(mode="after")
    def _length_is_set_elsewhere(self) -> "PredictorServer":
        if "max_tokens" in self.model_fields_set:
            raise ValueError("the longest answer is set by max_new_tokens; leave server.max_tokens out")
        return self


class ScoreSettings(Settings):
    """Settings of `videopath score`.

    Args:
        split (`str`, defaults to `"test"`): which records are evaluated: `"test"` or `"train"`.
        kinds (`tuple[str, ...]`, defaults to `("video",)`): of `"image"`, `"clip"` and `"video"`.
        limit (`int`, *optional*): only so many records, the first ones: for trying out.
        data_revision (`str`, *optional*): branch, tag or commit of data on the Hub.
        min_coverage (`float`, defaults to 1.0): the least share of the records that must be answered and scored, in
            every column; below it the command fails, after everything was written.
        resamples (`int`, defaults to 5000): of the bootstrap behind the 95% intervals.
        seed (`int`, defaults to 0): of the bootstrap, and of the choice of a second wording where the judge looks at
            consistency.
        metrics (`MetricSettings`): encoder and synonyms of the scores without a judge.
        judge (`JudgeSettings`, *optional*): which judge to ask; none by default.
    """

    split: Split = "test"
    kinds: Annotated[tuple[InstructionKind, ...], Field(min_length=1)] = ("video",)
    limit: Annotated[int, Field(ge=1)] | None = None
    data_revision: str | None = None
    min_coverage: Annotated[float, Field(ge=0, le=1)] = 1.0
    resamples: Annotated[int, Field(ge=100)] = 5000
    seed: int = 0
    metrics: MetricSettings = MetricSettings()
    judge: JudgeSettings | None = None

    def identity(self) -> dict[str, Any]:
        """What decides the result; the rest is only how it is come by."""
        return {
            "settings": self.model_dump(mode="json", include=set(_RECORDS | _FIGURES)),
            "metrics": describe_metrics(self.metrics),
            "judge": self.judge.identity() if self.judge else None,
        }

    @field_validator("kinds")
    @classmethod
    def _asked(cls, kinds: tuple[InstructionKind, ...]) -> tuple[InstructionKind, ...]:
        if "caption" in kinds:
            raise ValueError("records of kind caption ask no question; known: image, clip, video")
        return kinds


class EvaluateSettings(ScoreSettings):
    """Settings of `videopath evaluate`: those of `ScoreSettings`, and how the model is asked.

    Args:
        predictor (`str`, defaults to `"auto"`): how a checkpoint is opened: `"videopath"` by this package, in any of
            its layouts; `"transformers"` as any image-text-to-text model; `"auto"`: by this package if it can.
        revision (`str`, *optional*): branch, tag or commit of a model on the Hub.
        num_frames (`int`, defaults to 32): most frames taken of a video; the paper's setting.
        sampling (`str`, defaults to `"uniform"`): `"uniform"`: evenly spaced, the paper's; `"fps"`: one a second up to
            `num_frames`.
        batch_size (`int`, defaults to 1): questions answered together by a model on this machine. What does not fit
            into the GPU's memory is halved. In half precision a batch may answer in other words than one by one.
        max_new_tokens (`int`, defaults to 1024): longest answer; the paper's setting.
        blind (`bool`, defaults to `False`): ask every question a second time over black frames, to see what the
            words alone give away.
        dtype (`str`, defaults to `"auto"`): `"auto"`, `"float32"`, `"bfloat16"` or `"float16"`.
        device (`str`, defaults to `"auto"`): `"auto"`, `"cpu"`, `"cuda"` or `"cuda:N"`.
        trust_remote_code (`bool`, defaults to `False`): let a checkpoint of another family run its own code.
        processor (`dict`, *optional*): options of another family's processor, e.g. `{max_pixels: 200704}`.
        server (`PredictorServer`, *optional*): how an address is asked.
    """

    predictor: Literal["auto", "videopath", "transformers"] = "auto"
    revision: str | None = None
    num_frames: Annotated[int, Field(ge=1)] = 32
    sampling: Literal["uniform", "fps"] = "uniform"
    batch_size: Annotated[int, Field(ge=1)] = 1
    max_new_tokens: Annotated[int, Field(ge=1)] = 1024
    blind: bool = False
    dtype: str = "auto"
    device: str = "auto"
    trust_remote_code: bool = False
    processor: dict[str, Any] = Field(default_factory=dict)
    server: PredictorServer | None = None

    def identity(self) -> dict[str, Any]:
        """What decides the result, batches not counted: one that did not fit is made smaller on the way."""
        return {
            **super().identity(),
            "answers": self.model_dump(mode="json", include=set(_ANSWERS)),
            "server": self.server.identity() if self.server else None,
        }

    @property
    def variants(self) -> tuple[Variant, ...]:
        """What is asked: with frames, and blind if wanted."""
        return ("full", "blind") if self.blind else ("full",)
