"""Blocks: the steps of curation behind one interface, so that they can be swapped, left out and reordered.

A block reads some fields of a [`LectureState`], fills in others, and says how much it saw, kept and rejected. What it
finished is kept on disk under a key of the video's hash, the settings sections the block names, and the records it
worked on: other settings do again what depends on them, and nothing else.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, NamedTuple

from videopath_hf import __version__
from videopath_hf.curation.cases import Case
from videopath_hf.curation.clips import ClipFiles, ClipPlan
from videopath_hf.curation.frames import LectureFrames
from videopath_hf.curation.inputs import Lecture
from videopath_hf.curation.lecture import Listener
from videopath_hf.curation.look import Look
from videopath_hf.curation.ocr import TextReader
from videopath_hf.curation.reading import SegmentReading
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.curation.transcript import Transcript
from videopath_hf.errors import UserError
from videopath_hf.files import content_hash
from videopath_hf.records import Box, ClipRecord, Reject, Segment
from videopath_hf.runs import Steps
from videopath_hf.video.probe import VideoInfo


class Count(NamedTuple):
    """How many records a block was given, passed on and rejected."""

    seen: int
    kept: int
    rejected: int = 0


@dataclass
class LectureState:
    """Everything known about one lecture; blocks read it and fill it in.

    Args:
        lecture (`Lecture`): the input.
        out (`Path`): the run's output folder.
        settings (`CurateSettings`): all settings.
        steps (`Steps`): where finished work of this lecture is kept.
        get_reader (`Callable`): makes the reader of on-screen text, or says why there is none.
        listener (`Listener`): is told how far the work is; whoever watches this process takes a block that is
            `watched` for stuck where it says nothing for long.
    """

    lecture: Lecture
    out: Path
    settings: CurateSettings
    steps: Steps
    get_reader: Callable[[], tuple[TextReader | None, str | None]]
    listener: Listener
    info: VideoInfo | None = None
    look: Look | None = None
    transcript: Transcript | None = None
    segments: list[Segment] = field(default_factory=list)
    candidates: str | None = None
    foreign: dict[int, list[tuple[float, Box]]] = field(default_factory=dict)
    readings: dict[int, SegmentReading] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)
    plans: list[ClipPlan] = field(default_factory=list)
    files: dict[str, ClipFiles] = field(default_factory=dict)
    clips: list[ClipRecord] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    worked: dict[str, int] = field(default_factory=dict)
    frames: LectureFrames | None = None
    _lock: Lock = field(default_factory=Lock, repr=False)

    def known_info(self) -> VideoInfo:
        """What the probe found; every block after it may ask."""
        if self.info is None:
            raise UserError("blocks: no block before has probed the video; put probe first")
        return self.info

    def known_transcript(self) -> Transcript:
        """The transcript; an empty one where no block makes any."""
        return self.transcript or Transcript(
            video_id=self.lecture.video_id, backend="none", source=None, sentences=[], notes=[]
        )

    def load_ahead(self) -> None:
        """Load the reader of text, a second's work, beside other work; what fails fails again in use."""
        loader = ThreadPoolExecutor(1)
        loader.submit(self.get_reader)
        loader.shutdown(wait=False)

    def once(self, block: "Block", name: str, inputs: Sequence[Any], work: Callable[[], Any]) -> Any:
        """Return `work()`, plain JSON, or what it returned when it was last done for the same `inputs`.

        The key holds the video's hash, the block's class and settings sections, and `inputs`: records and plain
        values that the work depends on besides.
        """
        sections = [getattr(self.settings, section) for section in block.sections]
        own = self.settings.own.get(block.name)
        key = content_hash(__version__, block.identity(), self.lecture.sha256, sections, own, list(inputs))
        done = False

        def counted() -> Any:
            nonlocal done
            done = True
            return work()

        result = self.steps.run(name, key, counted)
        with self._lock:
            self.seconds[block.name] = self.seconds.get(block.name, 0.0) + self.steps.seconds[name]
            self.worked[block.name] = self.worked.get(block.name, 0) + done
        return result

    def reject(self, step: str, start: float, end: float, reason: str, figures: dict[str, float]) -> None:
        """Note something that is not kept."""
        self.rejects.append(
            Reject(
                video_id=self.lecture.video_id,
                source=self.lecture.source,
                start=start,
                end=end,
                step=step,
                reason=reason,
                figures=figures,
            )
        )


class Block(ABC):
    """One step of curation.

    Class attributes:
        name (`str`): names its rejects, statistics and, for a block of your own, its section of `own`.
        sections (`tuple[str, ...]`): sections of `CurateSettings` that its work depends on.
        needs, gives (`tuple[str, ...]`): fields of the state that it reads, and that it fills in.
        watched (`bool`): whether it calls `state.listener.beat` every few seconds, so that silence means a hang.
    """

    name: ClassVar[str]
    sections: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ()
    gives: ClassVar[tuple[str, ...]] = ()
    watched: ClassVar[bool] = False

    @abstractmethod
    def run(self, state: LectureState) -> Count:
        """Do the block's work on one lecture.

        Raises:
            UserError: the lecture cannot be curated; it is rejected with the block's name as the step.
        """

    def stop(self) -> None:  # noqa: B027  # most blocks leave nothing running
        """Called when the lecture is done or has failed: end what still runs beside the block."""

    @classmethod
    def identity(cls) -> str:
        """What tells a block's finished work from another's of the same name."""
        return f"{cls.__module__}:{cls.__qualname__}"


class SegmentBlock(Block):
    """A block that works segment by segment: neighbours of this kind take turns on each segment, while its frames are
    in memory, before they go on to the next one."""

    @abstractmethod
    def take(self, state: LectureState, segment: Segment) -> None:
        """Do the work on one segment."""

    @abstractmethod
    def close(self, state: LectureState) -> Count:
        """Finish what is under way after the last segment."""

    def run(self, state: LectureState) -> Count:
        """Take all segments, one after the other."""
        for segment in state.segments:
            self.take(state, segment)
        return self.close(state)


def load_blocks(names: Sequence[str]) -> list[Block]:
    """Make blocks by name: a standard one (`segment`) or any class (`package.module:Class`).

    Raises:
        UserError: a name that is unknown, a class that is no block, a block before what it needs, or one twice.
    """
    from videopath_hf.curation.blocks import STANDARD

    blocks: list[Block] = []
    given: set[str] = set()
    for name in names:
        block = (STANDARD[name] if name in STANDARD else _own_block(name, sorted(STANDARD)))()
        missing = [need for need in block.needs if need not in given]
        if missing:
            raise UserError(f"blocks: {name} needs {', '.join(missing)}, which no block before it gives")
        if block.name in [other.name for other in blocks]:
            raise UserError(f"blocks: {block.name} comes twice")
        given |= set(block.gives)
        blocks.append(block)
    if "clips" not in given:
        raise UserError(f"blocks: none of {', '.join(names)} gives clips; end with quality or a block of your own")
    return blocks


def _own_block(name: str, known: Sequence[str]) -> type[Block]:
    module, colon, attribute = name.partition(":")
    if not colon:
        raise UserError(f"blocks: {name!r} is none of {', '.join(known)}, nor of the form package.module:Class")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"blocks: {name} cannot be imported: {error}") from None
    if not (isinstance(found, type) and issubclass(found, Block)):
        raise UserError(f"blocks: {name} is not a subclass of videopath_hf.curation.block.Block")
    return found
