"""Publishing a checkpoint or an adapter: card, recipes, and each layout on a branch that is whole by itself."""

import io
import shutil
from pathlib import Path

from videopath_hf.data.hub import HubRepo
from videopath_hf.data.publish import claimed
from videopath_hf.data.publish_layouts import Ledger
from videopath_hf.errors import UserError
from videopath_hf.modeling.conversion import convert
from videopath_hf.modeling.hashes import model_hash
from videopath_hf.modeling.remote_code_videopath_llava import code_files
from videopath_hf.progress import note
from videopath_hf.publishing.base import adapter_config
from videopath_hf.publishing.card import recipe_file, recipe_text, render_model_card, template_folder
from videopath_hf.publishing.checkpoint import Checkpoint, open_checkpoint, published_text
from videopath_hf.publishing.facts import EXAMPLE, Facts
from videopath_hf.publishing.plan import Plan, make_plan, notes_about
from videopath_hf.publishing.sending import Sent, send
from videopath_hf.publishing.settings import PublishModelSettings, PublishModelSummary

_ENDPOINT = ("handler.py", "requirements.txt")


def publish_model(folder: str | Path, repo: str, settings: PublishModelSettings) -> PublishModelSummary:
    """Publish a checkpoint or an adapter; the same call goes on where a run was interrupted.

    Where plain llava_onevision can express a model, that layout is on `main`, where the Hub's inference finds it, and
    ours, with its code, on the branch `videopath`; else ours is on `main`. Each branch appears in one commit.

    Args:
        folder (`str` or `Path`): a checkpoint, or an adapter in PEFT's layout.
        repo (`str`): `owner/name`, or `name` in one's own account.
        settings (`PublishModelSettings`): how.

    Raises:
        UserError: anything wrong with the folder, its licences or its results, found before the Hub is asked for
            anything; a repository that holds a card of someone else; no login, no right, no network.
    """
    plan = make_plan(Path(folder), settings)
    hub = HubRepo(repo, "model", settings.timeout, settings.patience)
    with claimed(plan.checkpoint.folder) as work, hub.connected(settings.private):
        facts = _facts(plan, settings, hub)
        card = _checked_card(facts)
        sent = Sent()
        for branch, layout in reversed(plan.branches.items()):  # what the card on main tells of is there before it
            place = hub if branch == "main" else hub.on_branch(branch)
            files = _files(facts, _in_layout(plan.checkpoint, layout, work), branch, card)
            sent = sent.plus(send(place, files, Ledger(work / "made.jsonl")))
    notes = notes_about(plan, settings)
    for text in notes:
        note(text)
    return PublishModelSummary(
        repo=hub.name,
        url=hub.url,
        kind=plan.checkpoint.kind,
        licence=plan.licence.hub,
        revisions=plan.branches,
        notes=notes,
        **sent._asdict(),
    )


def check_model(folder: str | Path, repo: str, settings: PublishModelSettings) -> dict[str, object]:
    """What `publish_model` would publish, and its card; nothing is sent, asked of the Hub or written.

    Raises as it does.
    """
    plan = make_plan(Path(folder), settings)
    hub = HubRepo(repo, "model", settings.timeout, settings.patience)
    return {
        "kind": plan.checkpoint.kind,
        "licence": plan.licence.hub,
        "revisions": plan.branches,
        "files": [path.name for path in plan.checkpoint.files],
        "bytes": plan.checkpoint.bytes * len(plan.branches),
        "stages": [f"{stage.run['stage']} {stage.run['name']}" for stage in plan.provenance.stages],
        "notes": notes_about(plan, settings),
        "card": render_model_card(_facts(plan, settings, hub, asked=False)),
    }


def _facts(plan: Plan, settings: PublishModelSettings, hub: HubRepo, asked: bool = True) -> Facts:
    """What the card tells; with `asked` the Hub is asked which commit an adapter's base is at."""
    revision = settings.base_revision
    if plan.checkpoint.kind == "adapter" and asked:
        revision = hub.commit_of(plan.base[0], revision)
    return Facts(
        hub.name,
        hub.url,
        plan.checkpoint,
        plan.branches,
        plan.stock_fault,
        plan.provenance,
        plan.licence,
        plan.base,
        revision,
        settings.datasets,
        plan.results,
        settings.test_set,
    )


def _checked_card(facts: Facts) -> bytes:
    """The card, after the Hub has looked at its metadata."""
    from huggingface_hub import ModelCard

    text = render_model_card(facts)
    try:
        ModelCard(text).validate()
    except ValueError as error:
        raise UserError(f"the Hub refuses the card: {' '.join(str(error).split())[:300]}") from None
    return text.encode()


def _in_layout(checkpoint: Checkpoint, layout: str, work: Path) -> Path:
    """A folder of the checkpoint in a layout: its own, or a conversion that an earlier run may have made."""
    if layout in ("adapter", checkpoint.layout):
        return checkpoint.folder
    target = work / f"{layout}-{model_hash(str(checkpoint.folder))}"
    if not target.is_dir():
        for old in work.glob(f"{layout}-*"):
            shutil.rmtree(old)
        note(f"converting to {layout}, in {target} (may be deleted afterwards)")
        convert(checkpoint.folder, target, layout)  # type: ignore[arg-type]
    return target


def _files(facts: Facts, folder: Path, branch: str, card: bytes) -> dict[str, Path | bytes]:
    """What a branch is to hold, by path."""
    found: dict[str, Path | bytes] = {"README.md": card}
    checkpoint = facts.checkpoint if folder == facts.checkpoint.folder else open_checkpoint(folder)
    for path in checkpoint.files:
        found[path.name] = published_text(path) or path
    for stage in facts.provenance.stages:
        found[recipe_file(stage)] = recipe_text(stage).encode()
    if checkpoint.kind == "adapter":
        found["adapter_config.json"] = adapter_config(checkpoint, facts.base[0], facts.base_revision)
        return found
    if facts.branches[branch] == "videopath":
        found |= {name: text.encode() for name, text in code_files().items()}
    if branch == "main":
        found[EXAMPLE] = _example_image()
        found |= {name: (template_folder() / "endpoint" / name).read_bytes() for name in _ENDPOINT}
    return found


def _example_image() -> bytes:
    """A frame of the sample lecture as JPEG: the widget's picture, free to be published (samples/SOURCES.md)."""
    from PIL import Image

    from videopath_hf.samples import lecture_path
    from videopath_hf.video.decode import read_frames

    stream = io.BytesIO()
    Image.fromarray(read_frames(lecture_path(), [500])[0]).save(stream, "JPEG", quality=90)
    return stream.getvalue()
