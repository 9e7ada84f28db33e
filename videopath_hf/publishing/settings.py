"""Settings of publishing a model, and what a run tells of itself."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from videopath_hf.settings import Settings


class PublishModelSettings(Settings):
    """Settings of `videopath push model`.

    Args:
        private (`bool`, defaults to `False`): make the repository private.
        layout (`str`, defaults to `"both"`): `"both"` where possible, or one of `"videopath"` and `"llava_onevision"`.
        licence (`str`, *optional*): the model's licence; by default what its data's licences ask for together.
        permission (`str`, *optional*): what allows publishing a model made from data whose licence does not.
        results (`Path`, *optional*): what `videopath evaluate` wrote about this model: its folder or results.json.
        test_set (`str`, *optional*): what the results are about, as readers can find it, e.g. a dataset's id.
        base_model (`tuple[str, ...]`): ids on the Hub of what the first stage started from, or of an adapter's base.
        base_revision (`str`, *optional*): of an adapter's base: branch, tag or commit.
        datasets (`tuple[str, ...]`): ids on the Hub of the data it was trained on.
        timeout (`float`, defaults to 60.0): seconds to wait for any answer of the Hub.
        patience (`float`, defaults to 900.0): seconds for which a Hub that fails or limits is tried again.
    """

    private: bool = False
    layout: Literal["both", "videopath", "llava_onevision"] = "both"
    licence: str | None = None
    permission: str | None = None
    results: Path | None = None
    test_set: str | None = None
    base_model: tuple[str, ...] = ()
    base_revision: str | None = None
    datasets: tuple[str, ...] = ()
    timeout: Annotated[float, Field(gt=0)] = 60.0
    patience: Annotated[float, Field(ge=0)] = 900.0


class PublishModelSummary(BaseModel):
    """What a run of `videopath push model` did.

    Args:
        revisions (`dict[str, str]`): layout of each branch, or `"adapter"`.
        files, bytes (`int`): in all branches.
        sent (`int`): files that the repository did not show yet.
        removed (`int`): files of an earlier state.
        changed (`bool`): whether a commit was made.
    """

    repo: str
    url: str
    kind: str
    licence: str
    revisions: dict[str, str]
    files: int
    bytes: int
    sent: int
    removed: int
    changed: bool
    notes: list[str]
