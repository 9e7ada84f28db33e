"""Rows to train on: from a dataset folder, or from what was published on the Hub, in either layout."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from videopath_hf.data.folder import INSTRUCTIONS, check_choice, read_instructions
from videopath_hf.data.media import media_paths
from videopath_hf.errors import UserError

_KINDS = {"video": ("clip", "video"), "image": ("caption", "image")}


def load_instruct(
    source: str | Path,
    split: str = "train",
    kinds: Sequence[str] = ("caption", "image", "clip", "video"),
    revision: str | None = None,
) -> Iterator[dict[str, Any]]:
    """Rows of an instruction dataset whose `messages` a processor's `apply_chat_template` takes as they are.

    Nothing is decoded and only what is read is downloaded: FFmpeg is not needed.

    Args:
        source (`str` or `Path`): a dataset folder, a folder that holds what was published, or a repository
            `owner/name` on the Hub.
        split (`str`, defaults to `"train"`): `"train"` or `"test"`.
        kinds (`Sequence[str]`): of `"caption"`, `"image"`, `"clip"`, `"video"`; all if omitted.
        revision (`str`, *optional*): branch, tag or commit of the repository.

    Returns:
        `Iterator[dict]`: the columns of the dataset, with `messages` whose media blocks hold the medium: a `path` on
        this machine, or `video` or `image` with the bytes of its file, which `apply_chat_template` takes as well.

    Raises:
        UserError: an unknown kind or split, no such folder or repository, a dataset without the columns of ours.
    """
    check_choice(kinds, split)
    if (Path(source) / INSTRUCTIONS).is_file():
        return _some(_from_folder(Path(source), split, kinds), source, split, kinds)
    return _some(_from_published(str(source), split, kinds, revision), source, split, kinds)


def _some(
    rows: Iterator[dict[str, Any]], source: str | Path, split: str, kinds: Sequence[str]
) -> Iterator[dict[str, Any]]:
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise UserError(f"{source} holds no record of kind {', '.join(kinds)} in split {split}")


def _from_folder(root: Path, split: str, kinds: Sequence[str]) -> Iterator[dict[str, Any]]:
    from videopath_hf.data.table import row

    for record in read_instructions(root, kinds, split):
        contents = [{"path": str(path)} for path in media_paths(root, record)]
        yield {**row(record), "messages": _filled(record.messages, contents)}


def _from_published(source: str, split: str, kinds: Sequence[str], revision: str | None) -> Iterator[dict[str, Any]]:
    from videopath_hf.data.table import JSON_COLUMNS

    for media_type, of_type in _KINDS.items():
        if not set(of_type) & set(kinds):
            continue
        for row in _rows(source, media_type, split, revision):
            if row["kind"] in kinds:
                content = _content(media_type, row.pop(media_type))
                objects = {name: [_object(item) for item in row[name]] for name in JSON_COLUMNS if name in row}
                yield {**row, **objects, "messages": _filled(objects["messages"], [content])}


def _rows(source: str, media_type: str, split: str, revision: str | None) -> Iterable[dict[str, Any]]:
    """The published rows that show a type of medium, streamed and undecoded."""
    from datasets import get_dataset_config_names, load_dataset

    try:
        configurations = get_dataset_config_names(source, revision=revision)
    except Exception as error:  # of many kinds: the Hub's, the network's, and those of a file that is no dataset
        raise UserError(f"{source!r} cannot be opened: {_line(error)}; give a dataset folder or OWNER/NAME") from None
    name = "images" if media_type == "image" else "default"
    # Of the folder layout, images are no configuration.
    chosen = {"name": name} if name in configurations else {"data_dir": "images"}
    try:
        splits = load_dataset(source, **chosen, revision=revision, streaming=True)
    except FileNotFoundError:
        return []
    rows = splits.get(split)
    if rows is None or media_type not in rows.features:
        return []
    if missing := {"kind", "messages"} - set(rows.features):
        raise UserError(f"{source!r} has no column {sorted(missing)[0]!r}: it was not published by `videopath push`")
    return rows.decode(False)


def _content(media_type: str, medium: dict[str, Any]) -> dict[str, Any]:
    if medium["bytes"] is not None:
        return {media_type: medium["bytes"]}
    path = medium["path"]
    if path.startswith("hf://"):
        from huggingface_hub import HfFileSystem, hf_hub_download

        place: Any = HfFileSystem().resolve_path(path)
        path = hf_hub_download(place.repo_id, place.path_in_repo, repo_type=place.repo_type, revision=place.revision)
    return {"path": path}


def _filled(messages: Sequence[dict[str, Any]], contents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with what each media block shows, in order."""
    left = iter(contents)

    def fill(block: dict[str, Any]) -> dict[str, Any]:
        return {"type": block["type"], **next(left)} if block["type"] in _KINDS else block

    return [
        {**message, "content": [fill(block) for block in message["content"]]}
        if isinstance(message["content"], list)
        else message
        for message in messages
    ]


def _object(item: Any) -> Any:
    """An item of a JSON column, which `decode(False)` leaves as text."""
    return json.loads(item) if isinstance(item, str) else item


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]
