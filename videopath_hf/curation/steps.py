"""Curation as datatrove pipeline steps: one lecture a task, and the putting together of them all at the end."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from videopath_hf.curation.inputs import Lecture
from videopath_hf.curation.pipeline import curate_one, finish
from videopath_hf.curation.settings import CurateSettings


class CurateLectures(PipelineStep):
    """Curates the lectures of a task and passes on their clips, so that steps of one's own can follow.

    A clip comes as a datatrove `Document`: its transcript as the text, its id, its record as the metadata. A lecture
    that cannot be curated is no error: its result, which the last step reads, says why.

    Args:
        lectures (`Sequence[Lecture]`): all lectures of the run, as `prepare` returned them; task `rank` of
            `world_size` takes every `world_size`-th of them.
        out (`Path`): the output folder that was prepared, seen by all workers.
        settings (`CurateSettings`): the settings it was prepared with.
    """

    type = "CURATE"
    name = "lectures to clips"

    def __init__(self, lectures: Sequence[Lecture], out: Path, settings: CurateSettings) -> None:
        super().__init__()
        self.lectures = [lecture._replace(path=lecture.path.absolute()) for lecture in lectures]
        self.out = out.absolute()
        self.settings = settings

    def run(self, data: Iterable[Document] | None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Curate, lecture by lecture."""
        yield from data or ()
        for lecture in self.lectures[rank::world_size]:
            with self.track_time("lecture"):
                result = curate_one(lecture, self.out, self.settings)
            self.stat_update("clips", value=len(result.clips), unit="lecture")
            self.stat_update("rejects", value=len(result.rejects), unit="lecture")
            self.stat_update("failed", value=int(result.failed is not None), unit="lecture")
            for clip in result.clips:
                metadata: dict[str, Any] = clip.model_dump(mode="json", exclude={"text"})
                yield Document(text=clip.text, id=clip.clip_id, metadata=metadata)


class FinishRun(PipelineStep):
    """Puts a run together once all its lectures are curated.

    Args:
        out (`Path`): the output folder that was prepared.
    """

    type = "CURATE"
    name = "records and report"

    def __init__(self, out: Path) -> None:
        super().__init__()
        self.out = out.absolute()

    def run(self, data: Iterable[Document] | None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Write `clips.jsonl`, `rejects.jsonl`, the report and the rest."""
        yield from data or ()
        summary = finish(self.out)
        self.stat_update("clips", value=summary.clips, unit="run")
        self.stat_update("failed", value=summary.failed, unit="run")
