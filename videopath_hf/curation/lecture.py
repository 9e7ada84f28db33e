"""One lecture through all blocks. What comes out is kept on disk, so that a run can be put together from lectures that
were curated at different times, by different processes, on different machines."""

import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from filelock import FileLock, Timeout
from pydantic import Field, ValidationError

from videopath_hf import __version__
from videopath_hf.curation.inputs import Lecture, shown
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.curation.transcript import Transcript, transcript_inputs
from videopath_hf.errors import DISK_TROUBLES, MissingExtraError, UserError
from videopath_hf.files import content_hash, write_text
from videopath_hf.records import ClipRecord, Record, Reject, Segment
from videopath_hf.runs import Steps, peak_memory, trim_memory

_WORK = ".work"


class BlockStatistics(Record):
    """What one block did with a lecture: what it was given, passed on and rejected, and the seconds its work took.

    What was finished in an earlier run counts in `seconds` as it did then; `worked` is how many steps this run did.
    Clips are made beside each other, so that their seconds can be more than the clock's.
    """

    seen: int
    kept: int
    rejected: int
    seconds: float
    worked: int


class LectureResult(Record):
    """What came out of one lecture, whichever way it ended.

    Args:
        key (`str`): hash of the input, its subtitle files, the settings and the version; another key, another result.
        info (`dict`, *optional*): what the probe found; None for a lecture that failed.
        failed (`Reject`, *optional*): why the lecture could not be curated; no clip is kept then.
        final (`bool`): whether a failed lecture would fail again: a crash or a hang is tried again by the next run.
        candidates (`str`, *optional*): hash of the segments as they were found, before a person's decisions.
        sizes (`dict[str, int]`): bytes of every file of a clip, by path relative to the output folder.
        peak_memory_mb (`float`): the most memory that the process which did the work ever held.
    """

    video_id: str
    source: str
    sha256: str
    key: str
    info: dict[str, Any] | None = None
    transcript: Transcript | None = None
    segments: list[Segment] = Field(default_factory=list)
    candidates: str | None = None
    clips: list[ClipRecord] = Field(default_factory=list)
    rejects: list[Reject] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    blocks: dict[str, BlockStatistics] = Field(default_factory=dict)
    failed: Reject | None = None
    final: bool = True
    sizes: dict[str, int] = Field(default_factory=dict)
    peak_memory_mb: float = 0.0


class Listener(Protocol):
    """Follows a lecture from outside."""

    def step(self, name: str, watched: bool) -> None:
        """A block begins; one that is `watched` beats at least every few seconds."""

    def beat(self, done: int, total: int | None) -> None:
        """So much of the block's work is done, of so much where that is known."""

    def length(self, seconds: float) -> None:
        """The lecture is this long, by its header."""


class Tools:
    """What costs time to load and serves one lecture after the other: the reader of on-screen text."""

    def __init__(self) -> None:
        self._made: tuple[str, Any] | None = None
        self._making = Lock()

    def reader(self, settings: CurateSettings) -> Any:
        """The reader that the settings ask for, or None, and the sentence that says why there is none."""
        from videopath_hf.curation import ocr

        key = content_hash(settings.screen_text)
        with self._making:
            if self._made is None or self._made[0] != key:
                self._made = (key, ocr.make_reader(settings.screen_text))
            return self._made[1]


def work_folder(out: Path, video_id: str) -> Path:
    """Where the finished steps and the result of a lecture are kept."""
    return out / _WORK / video_id


def result_key(lecture: Lecture, settings: CurateSettings) -> str:
    """What a lecture's result is keyed by. Limits of time and of failures, and who does it, are not part of it."""
    beside = transcript_inputs(lecture.path, settings.transcript)
    plain = settings.model_dump(mode="json", exclude={"probe", "cluster", "max_failed_videos", "decisions"})
    decided = settings.decisions.get(lecture.sha256)
    return content_hash(__version__, lecture.video_id, lecture.source, lecture.sha256, beside, plain, decided)


def read_result(out: Path, video_id: str) -> LectureResult | None:
    """The result that a lecture's folder holds; None where there is none that this version wrote."""
    path = work_folder(out, video_id) / "result.json"
    try:
        return LectureResult.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def finished(lecture: Lecture, out: Path, settings: CurateSettings) -> LectureResult | None:
    """The result of a lecture that needs no more work: same input, same settings, every file still there."""
    result = read_result(out, lecture.video_id)
    if result is None or not result.final or result.key != result_key(lecture, settings):
        return None
    for name, size in result.sizes.items():
        if not (out / name).is_file() or (out / name).stat().st_size != size:
            return None
    return result


def keep_result(out: Path, result: LectureResult) -> LectureResult:
    """Write a lecture's result into its folder, and return it."""
    write_text(work_folder(out, result.video_id) / "result.json", result.model_dump_json(indent=1) + "\n")
    return result


def failure(lecture: Lecture, settings: CurateSettings, step: str, reason: str, final: bool) -> LectureResult:
    """The result of a lecture that could not be curated: quarantined, with the reason."""
    reason = shown(reason.replace(str(lecture.path), lecture.source))  # records name no place on a machine
    failed = Reject(video_id=lecture.video_id, source=lecture.source, start=0, end=0, step=step, reason=reason)
    key = result_key(lecture, settings)
    return LectureResult(
        video_id=lecture.video_id, source=lecture.source, sha256=lecture.sha256, key=key, failed=failed, final=final
    )


def run_lecture(
    lecture: Lecture, out: Path, settings: CurateSettings, tools: Tools, listener: Listener
) -> LectureResult:
    """Take a lecture through all blocks, in this very process, and keep the result.

    A lecture that cannot be curated is no error: its result says why. What is finished is not done again.

    Raises:
        MissingExtraError: a block needs what is not installed.
        UserError: the settings name blocks that do not fit, or another process is at work on this lecture.
        OSError: the output cannot be written.
    """
    from videopath_hf.curation.block import load_blocks

    folder = work_folder(out, lecture.video_id)
    folder.mkdir(parents=True, exist_ok=True)
    blocks = load_blocks(settings.blocks)
    at = _At(listener)
    with ExitStack() as stack:
        for block in blocks:
            stack.callback(block.stop)
        try:
            stack.enter_context(FileLock(folder / ".lock", timeout=5))
            return keep_result(out, _run_blocks(blocks, lecture, out, settings, tools, at))
        except Timeout:
            raise UserError(f"{lecture.source} is being curated by another process into {out}") from None
        except MissingExtraError:
            raise
        except UserError as error:
            return keep_result(out, failure(lecture, settings, at.name, str(error), final=True))
        except Exception as error:
            if isinstance(error, OSError) and error.errno in DISK_TROUBLES:
                raise
            traceback.print_exc()
            reason = f"internal error, please report it: {type(error).__name__}: {' '.join(str(error).split())}"
            return keep_result(out, failure(lecture, settings, at.name, reason, final=False))


class _At:
    """Passes steps and beats on, and remembers the step."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.name = "curate"

    def step(self, block: Any) -> None:
        if block.name != self.name:
            self.name = block.name
            self.listener.step(block.name, block.watched)


def _run_blocks(
    blocks: Sequence[Any], lecture: Lecture, out: Path, settings: CurateSettings, tools: Tools, at: _At
) -> LectureResult:
    from videopath_hf.curation.block import Count, LectureState, SegmentBlock

    steps = Steps(work_folder(out, lecture.video_id))
    state = LectureState(
        lecture=lecture,
        out=out,
        settings=settings,
        steps=steps,
        get_reader=lambda: tools.reader(settings),
        listener=at.listener,
    )
    spent: dict[str, float] = {}
    counts: dict[str, Count] = {}

    def timed(block: Any, work: Callable[[], Any]) -> Any:
        at.step(block)
        start = time.perf_counter()
        done = work()
        spent[block.name] = spent.get(block.name, 0.0) + time.perf_counter() - start
        return done

    for by_segment, group in groupby(blocks, key=lambda block: isinstance(block, SegmentBlock)):
        members = list(group)
        if by_segment:
            for segment in state.segments:
                for block in members:
                    timed(block, partial(block.take, state, segment))
                trim_memory()
        for block in members:
            counts[block.name] = timed(block, partial(block.close if by_segment else block.run, state))
    statistics = {
        name: BlockStatistics(
            **count._asdict(),
            seconds=round(state.seconds.get(name, spent[name]), 3),
            worked=state.worked.get(name, 0),
        )
        for name, count in counts.items()
    }
    return _result(state, statistics)


def _result(state: Any, statistics: dict[str, BlockStatistics]) -> LectureResult:
    lecture, out = state.lecture, state.out
    names = [name for clip in state.clips for name in clip_files(clip)]
    return LectureResult(
        video_id=lecture.video_id,
        source=lecture.source,
        sha256=lecture.sha256,
        key=result_key(lecture, state.settings),
        info={name: value for name, value in vars(state.known_info()).items() if name != "path"},
        transcript=state.known_transcript(),
        segments=state.segments,
        candidates=state.candidates,
        clips=state.clips,
        rejects=sorted(state.rejects, key=lambda reject: (reject.start, reject.end, reject.step)),
        notes=list(dict.fromkeys(state.notes)),
        blocks=statistics,
        sizes={name: (out / name).stat().st_size for name in names},
        peak_memory_mb=round(peak_memory() / 1e6, 1),
    )


def clip_files(clip: ClipRecord) -> list[str]:
    """The files of a kept clip, relative to the output folder."""
    sheets = [f"sheets/{clip.clip_id}_{side}.jpg" for side in ("before", "after")]
    return [clip.clip, *sheets, *clip.keyframes]
