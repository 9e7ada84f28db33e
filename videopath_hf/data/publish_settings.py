"""What a user can set about publishing, and what a run tells of itself."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from videopath_hf.records import InstructionKind
from videopath_hf.settings import Settings


class PublishSettings(Settings):
    """Settings of `videopath push dataset`.

    Args:
        layout (`str`, defaults to `"parquet"`): `"parquet"` shards with embedded media, or a `"folder"` of media with
            `metadata.parquet`.
        private (`bool`, defaults to `False`): make the repository private.
        kinds (`tuple[str, ...]`): kinds of records to publish; all if omitted.
        licence (`str`, *optional*): licence of the records whose own is unknown, stated by whoever holds the rights.
        shard_mb (`float`, defaults to 500.0): megabytes of media after which a shard ends.
        group_mb (`float`, defaults to 32.0): megabytes of media in a row group; the Hub's viewer reads at most 300.
        timeout (`float`, defaults to 60.0): seconds to wait for any answer of the Hub.
        patience (`float`, defaults to 900.0): seconds for which a Hub that fails or limits is tried again.
    """

    layout: Literal["parquet", "folder"] = "parquet"
    private: bool = False
    kinds: Annotated[tuple[InstructionKind, ...], Field(min_length=1)] = ("caption", "image", "clip", "video")
    licence: str | None = None
    shard_mb: Annotated[float, Field(gt=0)] = 500.0
    group_mb: Annotated[float, Field(gt=0, le=300)] = 32.0
    timeout: Annotated[float, Field(gt=0)] = 60.0
    patience: Annotated[float, Field(ge=0)] = 900.0


class PublishSummary(BaseModel):
    """What a run of `videopath push dataset` did.

    `files` counts data files, `written` those whose bytes had to be made or looked at, `sent` those that the
    repository did not show yet, `removed` those of an earlier state; `changed` says whether a commit was made.
    """

    repo: str
    url: str
    layout: str
    records: dict[str, dict[str, int]]
    files: int
    bytes: int
    written: int
    sent: int
    removed: int
    changed: bool
    notes: list[str]
