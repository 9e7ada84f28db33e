"""From a curated folder to a dataset folder: describe, part, ask, write."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel

from videopath_hf import __version__
from videopath_hf.data.card import write_card
from videopath_hf.data.folder import media_path, write_folder
from videopath_hf.data.splits import SplitItem, check_no_leak, read_split_list, split_by_lists, split_clips
from videopath_hf.errors import TooManyRejectsError, UserError
from videopath_hf.files import content_hash, file_sha256, read_records, resolve_inside, write_json, write_records
from videopath_hf.instructions.build import RecordBuilder
from videopath_hf.instructions.describe import diagnosis_key, organ_key, organ_tells, spellings
from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.instructions.writing import (
    ServerFigures,
    Writing,
    estimate_writing,
    prompt_hash,
    prompt_versions,
    write_descriptions,
)
from videopath_hf.llm.dry import Estimate
from videopath_hf.progress import note
from videopath_hf.records import ClipRecord, InstructionRecord, Reject, Split
from videopath_hf.runs import Steps, claim_output


class InstructSummary(BaseModel):
    """What a run of `videopath instruct` made.

    `records` counts by kind and split, `diagnoses` the clips by diagnosis and split, `described_from` the clips by
    where their description came from, `rejects` the clips left out by reason, `prompts` the versions of the files of
    prompts and question wordings, `server` what a server was asked.
    """

    writer: str
    prompts: dict[str, int]
    clips: int
    records: dict[str, dict[str, int]]
    diagnoses: dict[str, dict[str, int]]
    described_from: dict[str, int]
    rejects: dict[str, int]
    organ_named: bool
    server: ServerFigures | None
    notes: list[str]
    seconds: float


def write_instructions(curated: Path, out: Path, settings: InstructSettings) -> InstructSummary:
    """Write a dataset folder (see `videopath_hf.data.folder`) about the clips of a curated folder.

    Args:
        curated (`Path`): output of `videopath curate`.
        out (`Path`): the dataset folder; finished work is not done again.
        settings (`InstructSettings`): how.

    Returns:
        `InstructSummary`: counts and notes, also in `run.json`; what was left out is in `rejects.jsonl`.

    Raises:
        UserError: `curated` is not a curated folder, misses files or cannot be parted as asked; no clip can be
            described; `out` cannot be used; a server refuses all requests or the budget is used up: what was written
            until then is in `out`, and the same call goes on.
        TooManyRejectsError: a server answered for fewer clips than `min_coverage`; the same call asks for the rest.
    """
    curated, out = Path(curated), Path(out)
    clips = _read_clips(curated)
    _parted(clips, clips, settings)  # what cannot be parted is refused before the folder is claimed or a server paid
    lists = [file_sha256(path) for path in (settings.train_list, settings.test_list) if path and path.is_file()]
    key = content_hash(file_sha256(curated / "clips.jsonl"), prompt_hash(settings), __version__, *lists)
    with claim_output(out, key, "instruct"):
        steps = Steps(out / ".steps")
        result = steps.run("write", key, lambda: _write(curated, out, clips, settings))
        summary = InstructSummary(**result, seconds=steps.seconds["write"])
        if not (out / "run.json").exists():
            versions = {"videopath-hf": __version__}
            data = {"versions": versions, "key": key, "settings": settings.model_dump(mode="json")}
            write_json(out / "run.json", {**data, **summary.model_dump(mode="json")})
    for text in summary.notes:
        note(text)
    return summary


def estimate_instructions(curated: Path, out: Path, settings: InstructSettings) -> Estimate:
    """What `write_instructions` would ask a server for, at most; nothing is sent and nothing written.

    Raises:
        UserError: `curated` is not a curated folder, or the writer asks no server.
    """
    return estimate_writing(Path(curated), Path(out), _read_clips(Path(curated)), settings)


def _write(curated: Path, out: Path, clips: Sequence[ClipRecord], settings: InstructSettings) -> dict[str, Any]:
    writing = write_descriptions(curated, out, clips, settings)
    if not writing.described and writing.stopped is not None:
        raise writing.stopped
    write_records(out / "rejects.jsonl", writing.rejects)
    if not writing.described:
        _check_finished(out, writing, len(clips), settings)
        raise UserError(
            f"none of the {len(clips)} clips of {curated} can be described ({_counted(writing.rejects)}); curate the "
            "lectures with a transcript or with OCR"
        )
    try:
        result = _write_dataset(curated, out, clips, writing, settings)
    except UserError as error:
        raise writing.stopped or error from None
    _check_finished(out, writing, len(clips), settings)
    return result


def _write_dataset(
    curated: Path, out: Path, clips: Sequence[ClipRecord], writing: Writing, settings: InstructSettings
) -> dict[str, Any]:
    described, rejects = writing.described, writing.rejects
    kept = [item.clip for item in described]
    splits = _parted(clips, kept, settings)
    organ_named = settings.name_organ == "always" or (settings.name_organ == "auto" and not organ_tells(kept))
    builder = RecordBuilder(settings, spellings(kept), organ_named, writing.writer, writing.prompt_hash)
    records: list[InstructionRecord] = []
    for item in described:
        split = splits[item.clip.clip_id]
        paths = _video_path(item.clip, split), _image_paths(item.clip, split)
        records += builder.build(item.clip, item.description, split, *paths)
    check_no_leak(records, "video" if settings.split_by == "video" else "clip")
    sources = _media_sources(curated, kept, splits)
    origins = Counter(item.description.source for item in described)
    notes = _notes(settings, kept, splits, organ_named, origins["case"], rejects)
    write_folder(out, records, sources)
    write_card(out, records, notes)
    return {
        "writer": writing.writer,
        "prompts": prompt_versions(settings),
        "clips": len(kept),
        "records": _by_split((record.kind, record.split) for record in records),
        "diagnoses": _by_split(
            (builder.spellings[key], splits[clip.clip_id]) for clip in kept if (key := diagnosis_key(clip))
        ),
        "described_from": dict(origins),
        "rejects": dict(Counter(_kind(reject) for reject in rejects)),
        "organ_named": organ_named,
        "server": writing.server.model_dump(mode="json") if writing.server else None,
        "notes": notes,
    }


def _parted(clips: Sequence[ClipRecord], kept: Sequence[ClipRecord], settings: InstructSettings) -> dict[str, Split]:
    if settings.split_by != "lists":
        return split_clips(_split_items(kept), settings.split_by, settings.test_fraction, settings.seed)
    train, test = (
        None if path is None else read_split_list(path) for path in (settings.train_list, settings.test_list)
    )
    # Lists may name clips that could not be described.
    return split_by_lists(_split_items(clips), train, test)


def _split_items(clips: Sequence[ClipRecord]) -> list[SplitItem]:
    return [SplitItem(clip.clip_id, clip.video_id, diagnosis_key(clip), organ_key(clip)) for clip in clips]


def _check_finished(out: Path, writing: Writing, clips: int, settings: InstructSettings) -> None:
    """Raise where a server left too much open; the step then counts as not done, and the next run goes on with it."""
    if writing.stopped is not None:
        raise type(writing.stopped)(
            f"{writing.stopped}; {out} holds what is written so far, {len(writing.described)} of {clips} clips"
        )
    coverage = 1 - writing.unanswered / clips
    if coverage < settings.min_coverage:
        raise TooManyRejectsError(
            f"the server did not answer for {writing.unanswered} of {clips} clips (min_coverage is "
            f"{settings.min_coverage:.1%}); {out} holds the rest, and rejects.jsonl why; run again to ask for them"
        )


def _kind(reject: Reject) -> str:
    return reject.reason.split(":")[0]


def _counted(rejects: Sequence[Reject]) -> str:
    counts = Counter(_kind(reject) for reject in rejects)
    return ", ".join(f"{reason}: {count}" for reason, count in counts.items())


def _video_path(clip: ClipRecord, split: Split) -> str:
    return media_path("video", split, clip.clip_id + PurePosixPath(clip.clip).suffix.lower())


def _image_paths(clip: ClipRecord, split: Split) -> list[str]:
    return [
        media_path("image", split, f"{clip.clip_id}_k{number}{PurePosixPath(name).suffix.lower()}")
        for number, name in enumerate(clip.keyframes)
    ]


def _media_sources(curated: Path, clips: Sequence[ClipRecord], splits: dict[str, Split]) -> dict[str, Path]:
    sources: dict[str, Path] = {}
    for clip in clips:
        split = splits[clip.clip_id]
        sources[_video_path(clip, split)] = _present(curated, clip, clip.clip)
        if file_sha256(curated / clip.clip) != clip.sha256:
            raise UserError(
                f"clip {curated / clip.clip} is not the file that clips.jsonl describes (its SHA-256 differs); "
                "curate the lecture again"
            )
        for keyframe, path in zip(clip.keyframes, _image_paths(clip, split), strict=True):
            sources[path] = _present(curated, clip, keyframe)
    return sources


def _present(curated: Path, clip: ClipRecord, relative: str) -> Path:
    path = resolve_inside(curated, relative)
    if not path.is_file():
        raise UserError(f"{path} of clip {clip.clip_id} is missing; curate the lecture again")
    return path


def _read_clips(curated: Path) -> list[ClipRecord]:
    path = curated / "clips.jsonl"
    if not path.is_file():
        raise UserError(f"{curated} is not a curated folder: it has no clips.jsonl; make one with `videopath curate`")
    clips = read_records(path, ClipRecord)
    _check_clips(path, clips)
    return clips


def _check_clips(path: Path, clips: Sequence[ClipRecord]) -> None:
    if not clips:
        raise UserError(f"{path} holds no clips; see rejects.jsonl beside it for why")
    for clip_id, count in Counter(clip.clip_id for clip in clips).items():
        if count > 1:
            raise UserError(f"{path}: clip_id {clip_id!r} stands there {count} times; ids must be unique")
        if not re.fullmatch(r"\w[\w.-]*", clip_id):
            raise UserError(
                f"{path}: clip_id {clip_id!r} cannot name a file; use letters, digits, dots, dashes and underscores"
            )


def _by_split(pairs: Iterable[tuple[str, Split]]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for name, split in pairs:
        counts.setdefault(name, {"train": 0, "test": 0})[split] += 1
    return counts


def _notes(
    settings: InstructSettings,
    clips: Sequence[ClipRecord],
    splits: dict[str, Split],
    organ_named: bool,
    borrowed: int,
    rejects: Sequence[Reject],
) -> list[str]:
    notes = []
    if settings.name_organ == "auto" and not organ_named:
        notes.append("questions leave the organ out: here it alone tells the diagnosis (name_organ=auto)")
    elif organ_named and organ_tells(clips):
        notes.append("questions name the organ, and here it alone tells the diagnosis: compare with the blind model")
    if settings.split_by == "video" and "test" in splits.values():
        notes.append("parted by source video: no lecture is in both train and test")
    if settings.split_by == "clip" and "test" in splits.values():
        notes.append("parted by clip: train and test hold different clips of the same lectures and slides")
    by_split = {
        split: {clip.video_id for clip in clips if splits[clip.clip_id] == split} for split in ("train", "test")
    }
    if settings.split_by == "lists" and (both := by_split["train"] & by_split["test"]):
        notes.append(f"parted by lists, which have clips of {len(both)} source videos in both train and test")
    if "test" not in splits.values():
        notes.append("no test part" + (" (test_fraction=0)" if settings.split_by != "lists" else ""))
    tested = {diagnosis_key(clip) for clip in clips if splits[clip.clip_id] == "test"}
    if "test" in splits.values() and (
        absent := sorted({key for clip in clips if (key := diagnosis_key(clip))} - tested)
    ):
        notes.append(f"diagnoses in train only, with too few clips or lectures to part: {', '.join(absent)}")
    if unnamed := sum(1 for clip in clips if diagnosis_key(clip) is None):
        notes.append(f"clips without a diagnosis, with caption and clip records only: {unnamed}")
    if borrowed:
        notes.append(f"clips described by what was said or shown about their case elsewhere: {borrowed}")
    if rejects:
        notes.append(f"clips left out, see rejects.jsonl: {len(rejects)}")
    return notes
