"""Where a checkpoint comes from: the stages that made it, each with its recipe's figures, data and licences."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from videopath_hf.files import read_json
from videopath_hf.modeling.conversion_report import REPORT
from videopath_hf.modeling.hashes import model_hash
from videopath_hf.training.merge import MERGE
from videopath_hf.training.stages import ADAPTER, MERGED, RUN

_LONGEST = 20  # steps from one folder to the one before it


class Stage(NamedTuple):
    """One stage as its run.json tells of it; `licences` are None where an earlier version wrote it without."""

    folder: Path
    run: dict[str, Any]

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe it was trained with."""
        return dict(self.run["recipe"])

    @property
    def licences(self) -> Counter[str] | None:
        """Records by licence."""
        data = self.run.get("data")
        return Counter(data["licences"]) if data else None

    @property
    def sources(self) -> Counter[str]:
        """Records by source, the most frequent ones."""
        return Counter((self.run.get("data") or {}).get("sources", {}))


class Provenance(NamedTuple):
    """What is known of a checkpoint's making.

    Args:
        stages (`list[Stage]`): in the order they were trained.
        base (`str`, *optional*): the model of the Hub that the first of them started from.
        folders (`list[Path]`): the checkpoint and what it was merged or converted from: the same model.
        gap (`str`, *optional*): why it could not be followed back to a model of the Hub.
    """

    stages: list[Stage]
    base: str | None
    folders: list[Path]
    gap: str | None

    def licences(self) -> tuple[list[str], list[str]]:
        """Licences of all data, and sentences about data whose licence nobody wrote down."""
        known = [text for stage in self.stages for text in (stage.licences or ())]
        silent = [str(stage.run["stage"]) for stage in self.stages if stage.licences is None]
        return known, [f"run.json of stage {name} does not tell the licences of its data" for name in silent]


def trace(folder: Path) -> Provenance:
    """Follow a checkpoint back through merging, conversion and training, as far as the folders are still there.

    A folder counts as what a stage started from only if its content still has the hash that the stage wrote down.
    """
    folders = [folder.resolve(), *_same_model(folder.resolve())]
    stages: list[Stage] = []
    here = folders[-1]
    while (run := _run_of(here)) is not None and len(stages) < _LONGEST:
        stage = Stage(run.parent, read_json(run))
        stages.insert(0, stage)
        base = str(stage.recipe.get("model") or "")
        found, gap = _start_of(stage, base)
        if found is None:
            return Provenance(stages, None if gap else base, folders, gap)
        here = [found, *_same_model(found)][-1]
    return Provenance(stages, None, folders, f"no run.json tells how {here.name} was made")


def _same_model(folder: Path) -> Iterator[Path]:
    """Folders that a checkpoint was converted or merged from, one after the other."""
    for _ in range(_LONGEST):
        if _run_of(folder) is not None:
            return
        if (folder / MERGE).is_file():
            named = read_json(folder / MERGE)["result"]["adapter"]
        elif (folder / REPORT).is_file():
            report = read_json(folder / REPORT)
            named = report["adapter"] or report["source"]
        else:
            return
        found = _find(str(named), folder)
        if found is None:
            return
        folder = found
        yield folder


def _run_of(folder: Path) -> Path | None:
    """The run.json of the stage whose result a folder is."""
    places = [folder / RUN]
    if folder.name in (ADAPTER, MERGED):
        places.append(folder.parent / RUN)
    for place in places:
        if place.is_file() and "recipe" in read_json(place):
            return place
    return None


def _start_of(stage: Stage, named: str) -> tuple[Path | None, str | None]:
    """The folder that a stage started from, or why there is none; neither where it was a model of the Hub."""
    label = f"stage {stage.run['stage']} ({stage.run['name']})"
    found = _find(named, stage.folder)
    if found is None:
        gone = None if _is_hub_id(named) else f"what {label} started from, {Path(named).name}, is not there any more"
        return None, gone
    if model_hash(str(found)) != stage.run["model_hash"]:
        return None, f"{found.name} is not what {label} started from any more: its content has changed"
    return found, None


def _find(named: str, near: Path) -> Path | None:
    """A folder as a run named it: from here, or from a folder above the run's own, where it may have been started."""
    path = Path(named)
    if not named:
        return None
    places = [path] if path.is_absolute() else [path, *(above / path for above in near.resolve().parents)]
    return next((place.resolve() for place in places if place.is_dir()), None)


def _is_hub_id(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))
