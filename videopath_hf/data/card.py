"""The dataset's card: the README that tells people and `load_dataset` what a folder or a repository holds."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import yaml

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.data.census import Census
from videopath_hf.data.folder import MEDIA_FOLDERS
from videopath_hf.data.licences import read_licence
from videopath_hf.files import write_text
from videopath_hf.records import InstructionKind, InstructionRecord, Split

if TYPE_CHECKING:
    import jinja2

MARK = "videopath_hf"
"""The tag by which our own cards are known."""

TEMPLATES = Path(__file__).parent / "templates"
_SHOWN_SOURCES = 20
_EXAMPLE_LINES, _EXAMPLE_LINE = 8, 500
_MARKUP = re.compile(r"([\\`*\[\]|])")
_KINDS = {
    "caption": "key frame and one descriptive sentence, no question (stage 0)",
    "image": "key frame, question and answer (stage 1)",
    "clip": "clip, request for a description and answer (stage 2, ClipPath-Instruct)",
    "video": "clip, diagnostic question and answer (stage 3, ViDRiP-Instruct)",
}
_TASKS = {"video": "video-text-to-text", "image": "image-text-to-text"}
_WRITERS = {"template", "clippath", "vidrip"}
_SUMMARIES = {
    "video": "Clips from pathology lectures, each with diagnostic questions and answers that describe first and then "
    "name a diagnosis: video instructions of the ViDRiP-Instruct kind.",
    "clip": "Clips from pathology lectures, each with a request for a description and an answer: video instructions "
    "of the ClipPath-Instruct kind.",
}
_SUMMARY = "Questions and answers about clips from pathology lectures and about their key frames."
COLUMNS = {
    "video": "the clip: mp4 without sound",
    "image": "the key frame, or a picture of the source",
    "id": "unique name of the record",
    "kind": "what the record is for, as in the table above",
    "question, answer": "as shown to a model and as it should answer",
    "description, diagnosis": "the two parts of the answer; `diagnosis` is null where none was named",
    "organ": "as the lecture names it, or null",
    "grounding": "which words each sentence of the answer rests on: `source` (`transcript` or `text`), `start` and "
    "`end` in seconds of the lecture, with some writers `magnification` and `quote`; empty where not known",
    "messages": "question and answer in chat form: roles and typed content blocks; `path` is the medium's name in the "
    "dataset",
    "clip_id, video_id": "the clip, and the lecture it was cut from",
    "source, start, end": "the lecture's file and the clip's seconds in it",
    "licence": "of the source",
    "writer, prompt_hash": "who wrote the answer, and with which prompts",
}
"""What the columns of published rows mean, in groups."""


class Published(NamedTuple):
    """What the card of a repository says beyond that of a folder.

    Args:
        repo (`str`): `owner/name`.
        layout (`str`): `"parquet"` or `"folder"`.
        info (`Mapping[str, Any]`): features, splits and sizes by configuration, as `dataset_info` in YAML.
        bytes (`int`): of all data files.
        files (`int`): number of data files.
    """

    repo: str
    layout: Literal["parquet", "folder"]
    info: Sequence[Mapping[str, Any]]
    bytes: int
    files: int


def write_card(out: Path, records: Iterable[InstructionRecord], notes: Sequence[str]) -> None:
    """Write `README.md` with the data files `datasets` reads and what a reader must know.

    Args:
        out (`Path`): the dataset folder.
        records (`Iterable[InstructionRecord]`): all of them.
        notes (`Sequence[str]`): sentences about how this dataset was made.
    """
    census = Census()
    splits: dict[str, set[Split]] = {"video": set(), "image": set()}
    for record in records:
        census.add(record)
        if len(record.media) == 1:  # `load_dataset` lists no others
            splits[record.media[0].type].add(record.split)
    write_text(out / "README.md", render_card(census, splits, notes))


def render_card(
    census: Census, splits: Mapping[str, set[Split]], notes: Sequence[str], published: Published | None = None
) -> str:
    """The card as Markdown.

    Args:
        census (`Census`): what the dataset holds.
        splits (`Mapping[str, set[str]]`): which splits there are of `"video"` and of `"image"` records.
        notes (`Sequence[str]`): sentences about how it was made.
        published (`Published`, *optional*): where, for the card of a repository.
    """
    kinds = _kinds_of(census)
    layout = published.layout if published else "folder"
    header = yaml.safe_dump(_header(census, splits, kinds, published), sort_keys=False, allow_unicode=True, width=1000)
    template = markdown_environment(TEMPLATES).get_template("dataset_card.md")
    return template.render(
        header=header,
        title=published.repo.split("/")[-1] if published else "Pathology video instructions",
        summary=summary_of(census),
        notice=RESEARCH_NOTICE,
        kinds=[(kind, census.records[kind, "train"], census.records[kind, "test"], _KINDS[kind]) for kind in kinds],
        example=_example(census.examples[kinds[-1]]) if kinds else [],
        census=census,
        diagnostic=bool(census.diagnoses),
        size=f"{published.files} data files, {_size(published.bytes)}." if published else "",
        place=published.repo if published else "FOLDER",
        published=published is not None,
        layout=layout,
        videos=bool(splits["video"]),
        images=bool(splits["image"]),
        images_argument='"images"' if layout == "parquet" else 'data_dir="images"',
        split="train" if any("train" in names for names in splits.values()) else "test",
        columns=[(name, what) for name, what in COLUMNS.items() if splits.get(name, True)],
        made_here={name.split(":")[0] for name, _ in census.writers} <= _WRITERS,
        diagnoses=[(cell(name), *counts) for name, *counts in census.named(census.diagnoses)],
        organs=[(cell(name), *counts) for name, *counts in census.named(census.organs)],
        writers=[(count, cell(name), cell(prompt)) for (name, prompt), count in sorted(census.writers.items())],
        notes=[cell(note[:1].upper() + note[1:]).rstrip(".") for note in notes],
        sources=[
            (cell(name), count, cell(licence)) for (name, licence), count in census.sources.most_common(_SHOWN_SOURCES)
        ],
        more_sources=max(0, len(census.sources) - _SHOWN_SOURCES),
        licences=[(cell(name), read_licence(name).url, count) for name, count in sorted(census.licences.items())],
    )


def markdown_environment(folder: Path) -> "jinja2.Environment":
    """Templates of a folder that become Markdown; a value that a template names and nobody gives is an error."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )


def _kinds_of(census: Census) -> list[str]:
    return [kind for kind in get_args(InstructionKind) if any(census.records[kind, s] for s in get_args(Split))]


def summary_of(census: Census) -> str:
    """One sentence about what the dataset holds."""
    of_clips = [kind for kind in _kinds_of(census) if kind in _SUMMARIES]
    return _SUMMARIES[of_clips[0]] if len(of_clips) == 1 else _SUMMARY


def _header(
    census: Census, splits: Mapping[str, set[Split]], kinds: Sequence[str], published: Published | None
) -> dict[str, Any]:
    layout = published.layout if published else "folder"
    total = census.records.total()
    header: dict[str, Any] = {
        **hub_licence(census.licences),
        "language": ["en"],
        "task_categories": [_TASKS[media_type] for media_type in _TASKS if splits[media_type]],
        "size_categories": [_size_category(total)],
        "tags": ["pathology", "medical", *(media_type for media_type in _TASKS if splits[media_type]), MARK],
    }
    if published:
        header = {"pretty_name": published.repo.split("/")[-1], **header}
    header["configs"] = configs(splits, layout)
    if published:
        info = [dict(part) for part in published.info]
        header["dataset_info"] = info if len(info) > 1 else info[0]
    return header


def configs(splits: Mapping[str, set[Split]], layout: str) -> list[dict[str, Any]]:
    """The configurations as card YAML: which files each split reads.

    In the folder layout images are no configuration of their own: `datasets` opens all configurations with the
    builder that fits the first. They are read with `data_dir="images"`.
    """
    found = []
    for name, media_type, folder in (("default", "video", "data"), ("images", "image", "images")):
        names = [split for split in get_args(Split) if split in splits[media_type]]
        if layout == "parquet" and names:
            files = [{"split": split, "path": f"{folder}/{split}-*.parquet"} for split in names]
            found.append({"config_name": name, "data_files": files})
        elif layout == "folder" and names and not found:
            files = [{"split": split, "path": f"{MEDIA_FOLDERS[media_type]}/{split}/**"} for split in names]
            found.append({"config_name": "default", "data_files": files})
    return found


def hub_licence(licences: Iterable[str]) -> dict[str, str]:
    """The card's licence: the one that all records have, or that each has its own."""
    names = {read_licence(text).hub for text in licences}
    if len(names) == 1 and names != {"other"}:
        return {"license": names.pop()}
    return {"license": "other", "license_name": "see-licence-column"}


def _size_category(records: int) -> str:
    for bound, name in ((1000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")):
        if records < bound:
            return name
    return "100K<n<1M"


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"


def _example(record: InstructionRecord) -> list[tuple[str, str]]:
    """What one record says, for a table of fields."""
    rests = [
        f"{item.start:.1f} to {item.end:.1f} s, {'shown' if item.source == 'text' else 'said'}: {item.text}"
        for item in record.grounding
    ]
    values = {"question": [record.question], "answer": record.answer.splitlines(), "grounding": rests}
    shown = {name: [line for line in lines if line.strip()][:_EXAMPLE_LINES] for name, lines in values.items()}
    return [
        (name, "<br>".join(cell(shorten(line, _EXAMPLE_LINE, placeholder=" …")) for line in lines))
        for name, lines in shown.items()
        if lines
    ]


def cell(text: str) -> str:
    """Words of the data as they stand in a card: never markup, whatever they hold."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;")
