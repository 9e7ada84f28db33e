"""Which probes are run: every kind of them, and how strongly."""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, field_validator

from videopath_hf.records import InstructionKind, Split
from videopath_hf.settings import Settings

Kind = Literal["plain", "frames", "black", "no_frames", "shuffled", "reversed", "needle"]
Share = Annotated[float, Field(ge=0, le=1)]


class Probe(NamedTuple):
    """One way of showing a clip; `amount` is a number of frames, a share of them, or a needle's place in the clip."""

    kind: Kind
    amount: float | None = None

    def __str__(self) -> str:
        return self.kind if self.amount is None else f"{self.kind} {self.amount:g}"


class ProbeSettings(Settings):
    """Settings of `videopath probe`.

    Args:
        frames (`tuple[int, ...]`, defaults to `(1, 4, 8, 16, 32)`): numbers of evenly spaced frames; a clip of fewer
            gives all of its own.
        black (`tuple[float, ...]`, defaults to `(0.25, 0.5, 0.75, 1.0)`): shares of the frames that are black; those
            of a smaller share are among those of a greater one.
        shuffled (`tuple[float, ...]`, defaults to `(0.5, 1.0)`): shares of the frames that change places.
        reversed (`bool`, defaults to `True`): whether the clip is shown backwards.
        no_frames (`bool`, defaults to `True`): whether the question is asked without any media.
        needle (`tuple[float, ...]`, defaults to `(0.0, 0.5, 1.0)`): places in the clip, from start to end, of one
            frame of another tissue with a yellow border.
        kinds (`tuple[str, ...]`, defaults to `("video",)`): of `"clip"` and `"video"`.
        split (`str`, defaults to `"test"`): which records.
        limit (`int`, *optional*): at most so many records, chosen by the seed.
        seed (`int`, defaults to 0): of every choice.
        num_frames (`int`, defaults to 32): most frames of a clip that is shown as it is; the paper's setting.
        sampling (`str`, defaults to `"uniform"`): `"uniform"`: evenly spaced, the paper's; `"fps"`: one a second up to
            `num_frames`.
        max_new_tokens (`int`, defaults to 1024): longest answer; the paper's setting.
        dtype (`str`, defaults to `"auto"`): `"auto"`, `"float32"`, `"bfloat16"` or `"float16"`.
        device (`str`, defaults to `"auto"`): `"auto"`, `"cpu"`, `"cuda"` or `"cuda:N"`.
        synonyms (`Path`, *optional*): further names of diseases that mean the same.
        min_coverage (`float`, defaults to 1.0): least share of the answers that must be had; below it the command
            fails, after everything was written.
    """

    frames: tuple[Annotated[int, Field(ge=1)], ...] = (1, 4, 8, 16, 32)
    black: tuple[Share, ...] = (0.25, 0.5, 0.75, 1.0)
    shuffled: tuple[Share, ...] = (0.5, 1.0)
    reversed: bool = True
    no_frames: bool = True
    needle: tuple[Share, ...] = (0.0, 0.5, 1.0)
    kinds: Annotated[tuple[InstructionKind, ...], Field(min_length=1)] = ("video",)
    split: Split = "test"
    limit: Annotated[int, Field(ge=1)] | None = None
    seed: int = 0
    num_frames: Annotated[int, Field(ge=1)] = 32
    sampling: Literal["uniform", "fps"] = "uniform"
    max_new_tokens: Annotated[int, Field(ge=1)] = 1024
    dtype: str = "auto"
    device: str = "auto"
    synonyms: Path | None = None
    min_coverage: Share = 1.0

    @field_validator("kinds")
    @classmethod
    def _of_videos(cls, kinds: tuple[InstructionKind, ...]) -> tuple[InstructionKind, ...]:
        if set(kinds) - {"clip", "video"}:
            raise ValueError("probes change the frames of videos; known kinds: clip, video")
        return kinds

    def probes(self) -> list[Probe]:
        """All of them, the unchanged clip first."""
        return [
            Probe("plain"),
            *(Probe("frames", float(count)) for count in self.frames),
            *(Probe("black", share) for share in self.black),
            *([Probe("no_frames")] if self.no_frames else []),
            *(Probe("shuffled", share) for share in self.shuffled),
            *([Probe("reversed")] if self.reversed else []),
            *(Probe("needle", place) for place in self.needle),
        ]
