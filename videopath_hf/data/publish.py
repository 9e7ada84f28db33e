"""Publishing a dataset folder: what plain `datasets` opens from the Hub without any code of ours."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from videopath_hf.data.card import MARK, Published, render_card, summary_of
from videopath_hf.data.croissant import croissant
from videopath_hf.data.hub import HubRepo
from videopath_hf.data.publish_layouts import FolderLayout, Layout, ParquetLayout
from videopath_hf.data.publish_settings import PublishSettings, PublishSummary
from videopath_hf.data.publish_survey import Survey, survey_dataset
from videopath_hf.errors import UserError
from videopath_hf.files import read_json
from videopath_hf.progress import note
from videopath_hf.records import Split
from videopath_hf.runs import installed_versions

WORK = ".publish"
"""Folder of a dataset folder that holds what is being published."""

_OURS = re.compile(r"(data|images)/(train|test)-\d{5}-of-\d{5}\.parquet|(videos|images)/(train|test)/.+")
_LARGEST_CELL = (1 << 31) - (1 << 20)


def publish_dataset(root: str | Path, repo: str, settings: PublishSettings) -> PublishSummary:
    """Publish a dataset folder, its card last; the same call goes on where a run was interrupted.

    Shards are made one at a time, stored on the Hub and shown by one commit together with the card, so nobody loads
    half a dataset. Of the folder layout, media come in commits of their own before the metadata that name them.

    Args:
        root (`str` or `Path`): a dataset folder.
        repo (`str`): `owner/name`, or `name` in one's own account.
        settings (`PublishSettings`): how.

    Raises:
        UserError: anything wrong with the folder, found before the Hub is asked for anything; licences that are
            unknown or forbid it; a repository that holds a card of someone else; no login, no right, no network.
    """
    survey = _survey(Path(root), settings)
    hub = HubRepo(repo, "dataset", settings.timeout, settings.patience)
    with claimed(survey.root) as work, hub.connected(settings.private):
        hub.check_card(before := hub.files(), MARK)
        layout = (FolderLayout if settings.layout == "folder" else ParquetLayout)(survey, hub, settings, work, before)
        layout.send_data()
        layout.additions += hub.store(_described(layout))
        removed = sorted(path for path in before if _OURS.fullmatch(path) and path not in layout.shown)
        count = survey.census.records.total()
        changed = hub.commit(layout.additions, removed, f"Publish {count} records with videopath_hf")
    for text in (notes := _notes(survey, settings)):
        note(text)
    return PublishSummary(
        repo=hub.name,
        url=hub.url,
        layout=settings.layout,
        records=_counts(survey),
        files=len(layout.shown),
        bytes=layout.bytes,
        written=layout.written,
        sent=layout.sent,
        removed=len(removed),
        changed=changed or layout.changed,
        notes=notes,
    )


def check_publishable(root: str | Path, settings: PublishSettings) -> dict[str, object]:
    """What `publish_dataset` would publish; nothing is sent and nothing written. Raises as it does."""
    survey = _survey(Path(root), settings)
    files = [part.files if settings.layout == "folder" else len(part.shards) for part in survey.parts]
    return {
        "layout": settings.layout,
        "records": _counts(survey),
        "files": sum(files),
        "bytes": sum(shard.bytes for part in survey.parts for shard in part.shards),
        "licences": dict(survey.census.licences),
        "notes": _notes(survey, settings),
    }


def _survey(root: Path, settings: PublishSettings) -> Survey:
    salt = f"{settings.group_mb}:{installed_versions(['pyarrow', 'datasets'])}"
    survey = survey_dataset(root, settings.kinds, settings.licence, int(settings.shard_mb * 1e6), salt)
    if settings.layout == "parquet" and (largest := max(part.largest for part in survey.parts)) > _LARGEST_CELL:
        raise UserError(
            f"{root} holds a clip of {largest / 1e9:.1f} GB, and a cell of a parquet file at most 2 GB; publish with "
            "--layout folder"
        )
    return survey


@contextmanager
def claimed(root: Path) -> Iterator[Path]:
    """The folder in `root` for what is made on the way, held by one run at a time."""
    work = root / WORK
    try:
        work.mkdir(exist_ok=True)
        with FileLock(work / ".lock", timeout=0):
            for left in work.glob("tmp*"):
                shutil.rmtree(left)  # a killed run was writing it
            yield work
    except Timeout:
        raise UserError(f"{root} is being published by another run; wait for it") from None


def _counts(survey: Survey) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (kind, split), number in sorted(survey.census.records.items()):
        counts.setdefault(kind, {"train": 0, "test": 0})[split] = number
    return counts


def _notes(survey: Survey, settings: PublishSettings) -> list[str]:
    notes = []
    if settings.layout == "parquet" and (large := max(part.largest for part in survey.parts)) > 300_000_000:
        notes.append(f"the largest clip has {large / 1e6:.0f} MB: the Hub's viewer shows no row groups above 300 MB")
    if survey.stated:
        notes.append(f"licence {settings.licence!r} is stated for {survey.stated} records whose own is unknown")
    return notes


def _described(layout: Layout) -> list[tuple[str, Path | bytes]]:
    """The Croissant file and the card."""
    from videopath_hf.data.card_info import COLUMN_NAMES, dataset_info

    survey, hub, name = layout.survey, layout.hub, layout.settings.layout
    splits: dict[str, set[Split]] = {"video": set(), "image": set()}
    for part in survey.parts:
        splits[part.media_type].add(part.split)
    info = dataset_info(survey.parts, name, layout.bytes)
    published = Published(hub.name, name, info, layout.bytes, len(layout.shown))
    run = survey.root / "run.json"
    notes = read_json(run).get("notes", []) if run.is_file() else []
    files, embedded = layout.patterns(), {"default": "video", "images": "image"} if name == "parquet" else {}
    summary, licences = summary_of(survey.census), list(survey.census.licences)
    described = croissant(hub.name, hub.url, summary, licences, files, COLUMN_NAMES, embedded)
    text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
    card = render_card(survey.census, splits, notes, published)
    return [("croissant.json", text.encode()), ("README.md", card.encode())]
