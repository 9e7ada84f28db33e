"""Everything that a model's card tells."""

from typing import NamedTuple

from videopath_hf.evaluation.runner import EvaluationResult
from videopath_hf.publishing.checkpoint import Checkpoint
from videopath_hf.publishing.licences import ModelLicence
from videopath_hf.publishing.provenance import Provenance

EXAMPLE = "example.jpg"
"""Path in the repository of the widget's picture."""

OWN_BRANCH = "videopath"
"""The branch with our layout, where `main` has plain llava_onevision: two folders of one revision would be downloaded
together by whoever takes a snapshot, and code below a subfolder is not found by `trust_remote_code`."""


class Facts(NamedTuple):
    """What the card tells.

    Args:
        repo (`str`): `owner/name`.
        url (`str`): where people look at it.
        checkpoint ([`Checkpoint`]): what is published.
        branches (`dict[str, str]`): layout of each branch.
        stock_fault (`str`, *optional*): why there is no plain llava_onevision.
        provenance ([`Provenance`]): how it was made.
        licence ([`ModelLicence`]): the model's.
        base (`tuple[str, ...]`): ids of base models.
        base_revision (`str`, *optional*): of an adapter's base.
        datasets (`tuple[str, ...]`): ids of training data.
        results ([`EvaluationResult`], *optional*): what an evaluation found.
        test_set (`str`, *optional*): on what.
    """

    repo: str
    url: str
    checkpoint: Checkpoint
    branches: dict[str, str]
    stock_fault: str | None
    provenance: Provenance
    licence: ModelLicence
    base: tuple[str, ...]
    base_revision: str | None
    datasets: tuple[str, ...]
    results: EvaluationResult | None
    test_set: str | None
