"""What is to be published, known before the Hub is asked for anything."""

from pathlib import Path
from typing import NamedTuple

from videopath_hf.errors import UserError
from videopath_hf.evaluation.identity import Hashes, checkpoint_key
from videopath_hf.evaluation.results import EvaluationResult
from videopath_hf.files import read_json
from videopath_hf.modeling.checks_videopath_llava import CheckpointError
from videopath_hf.publishing.base import check_base
from videopath_hf.publishing.checkpoint import Checkpoint, open_checkpoint
from videopath_hf.publishing.facts import OWN_BRANCH
from videopath_hf.publishing.licences import ModelLicence, inherited_licence
from videopath_hf.publishing.provenance import Provenance, trace
from videopath_hf.publishing.settings import PublishModelSettings


class Plan(NamedTuple):
    """What is to be published.

    Args:
        checkpoint ([`Checkpoint`]): the folder.
        provenance ([`Provenance`]): how it was made.
        licence ([`ModelLicence`]): what it is published under.
        branches (`dict[str, str]`): the layout of each branch.
        stock_fault (`str`, *optional*): why there is no plain llava_onevision.
        results ([`EvaluationResult`], *optional*): what an evaluation found.
        base (`tuple[str, ...]`): ids of base models.
    """

    checkpoint: Checkpoint
    provenance: Provenance
    licence: ModelLicence
    branches: dict[str, str]
    stock_fault: str | None
    results: EvaluationResult | None
    base: tuple[str, ...]


def make_plan(folder: Path, settings: PublishModelSettings) -> Plan:
    """Look through everything that is to be published.

    Raises:
        UserError: anything wrong with the folder, its licences or its results.
    """
    checkpoint = open_checkpoint(folder)
    provenance = trace(folder)
    base = check_base(checkpoint, settings) if checkpoint.kind == "adapter" else settings.base_model
    if not base and provenance.base is not None:
        base = (provenance.base,)
    known, unknown = provenance.licences()
    if provenance.gap and not settings.base_model:
        unknown.append(f"{provenance.gap} (a base model is named with --base-model)")
    licence = inherited_licence(known, unknown, settings.licence, settings.permission)
    branches, fault = _branches(checkpoint, settings)
    return Plan(checkpoint, provenance, licence, branches, fault, _results(settings, provenance), base)


def _branches(checkpoint: Checkpoint, settings: PublishModelSettings) -> tuple[dict[str, str], str | None]:
    """The layout of each branch, and why there is no plain llava_onevision."""
    if checkpoint.kind == "adapter":
        return {"main": "adapter"}, None
    fault = None
    if checkpoint.layout == "videopath":
        fault = _stock_fault(checkpoint)
    if settings.layout == "llava_onevision" and fault is not None:
        raise UserError(f"--layout llava_onevision is not possible: {checkpoint.folder} has {fault}")
    if settings.layout == "videopath":
        return {"main": "videopath"}, fault or "it was not asked for"
    if settings.layout == "llava_onevision":
        return {"main": "llava_onevision"}, None
    return ({"main": "videopath"}, fault) if fault else ({"main": "llava_onevision", OWN_BRANCH: "videopath"}, None)


def _stock_fault(checkpoint: Checkpoint) -> str | None:
    from videopath_hf.modeling.stock_settings import stock_config

    assert checkpoint.config is not None
    try:
        stock_config("", checkpoint.config)
    except CheckpointError as error:
        return str(error).removeprefix(" has ").partition(", which plain")[0]
    return None


def _results(settings: PublishModelSettings, provenance: Provenance) -> EvaluationResult | None:
    if settings.results is None:
        return None
    path = settings.results / "results.json" if settings.results.is_dir() else settings.results
    try:
        results = EvaluationResult.model_validate(read_json(path))
    except ValueError:
        raise UserError(f"{path} is not what `videopath evaluate` writes; give its folder with --results") from None
    if settings.test_set is None:
        raise UserError("results need --test-set: what they are about, such as the id of a dataset on the Hub")
    hashes = Hashes()
    keys = [checkpoint_key(str(folder), None, hashes)[0] for folder in provenance.folders if folder.is_dir()]
    if results.model.key not in keys:
        shown = ", ".join(map(str, provenance.folders))
        raise UserError(f"{path} is about {results.model.name}, not about the model to be published ({shown})")
    return results


def notes_about(plan: Plan, settings: PublishModelSettings) -> list[str]:
    """Sentences for whoever publishes."""
    notes = [f"not known: {plan.provenance.gap}"] if plan.provenance.gap and not settings.base_model else []
    if plan.checkpoint.left:
        notes.append(f"not published: {', '.join(plan.checkpoint.left)}")
    if plan.stock_fault and settings.layout == "both":
        notes.append(f"no plain llava_onevision, and no inference by the Hub: the model has {plan.stock_fault}")
    if not plan.base:
        notes.append("the card names no base model; give its id with --base-model")
    if plan.results is None:
        notes.append("the card has no results; give what `videopath evaluate` wrote with --results")
    return [*notes, *plan.licence.notes]
