"""Curation from end to end: lectures in; clips, records, rejects and a report out.

`curate` does all of it on this machine. What runs elsewhere uses its parts: `prepare` once, `curate_one` for each
lecture, in any order and anywhere that sees the output folder, and `finish` once. The bytes are the same.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue

from videopath_hf.curation.assemble import (
    CurateSummary,
    Plan,
    assemble,
    finished_summary,
    make_plan,
    nothing_kept,
    read_plan,
    write_plan,
)
from videopath_hf.curation.board import Board
from videopath_hf.curation.inputs import Lecture, find_lectures
from videopath_hf.curation.lecture import LectureResult, Listener, Tools, finished, run_lecture
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.curation.worker import Worker
from videopath_hf.errors import MissingExtraError, TooManyRejectsError, UserError
from videopath_hf.progress import note
from videopath_hf.runs import claim_output

__all__ = ["CurateSummary", "curate", "curate_one", "finish", "prepare"]

_NEEDED = {
    "cv2": "opencv",
    "onnxruntime": "onnxruntime",
    "skimage": "scikit-image",
    "scenedetect": "scenedetect",
}
_default_worker = threading.local()


def curate(
    inputs: Sequence[Path], out: Path, settings: CurateSettings, workers: int = 1, limit: int | None = None
) -> CurateSummary:
    """Turn lecture videos into clean, labelled clips.

    A run that was interrupted goes on where it stopped. On a folder of the same lectures, other settings do again only
    what depends on them, and added lectures are the only ones that are worked on.

    Args:
        inputs (`Sequence[Path]`): video files and folders of them; subtitle files are found beside the videos.
        out (`Path`): output folder.
        settings (`CurateSettings`): all settings.
        workers (`int`, defaults to 1): lectures that are curated at once, each in a process of its own, which may
            crash or hang without harm to the others. With 0 the work is done in this very process, unprotected.
        limit (`int`, *optional*): only the first so many lectures.

    Raises:
        UserError: no usable input, an output folder that is not this run's, nothing worth keeping in any lecture.
        TooManyRejectsError: more than `max_failed_videos` of the inputs could not be read; the others are done.
        MissingExtraError: the `curate` extra is not installed.
    """
    if workers < 0 or (limit is not None and limit < 1):
        raise UserError(f"workers = {workers}, limit = {limit}: workers must be at least 0, limit at least 1")
    out = Path(out)
    with ExitStack() as stack:
        made = [stack.enter_context(Worker()) for _ in range(workers)]
        if made:
            made[0].start()  # it loads its libraries while this process loads its own
        return _curate(inputs, out, settings, made, limit)


def _curate(
    inputs: Sequence[Path], out: Path, settings: CurateSettings, workers: Sequence[Worker], limit: int | None
) -> CurateSummary:
    lectures, plan = check(inputs, out, settings, limit)
    with claim_output(out, run_key(plan), "curate", same=shares_a_lecture):
        summary = finished_summary(out, lectures, plan)
        if summary is None:
            for message in plan.notes:
                note(message)
            write_plan(out, plan)
            results = _curate_all(lectures, out, settings, workers)
            if len(lectures) == 1 and (failed := results[0].failed) is not None:
                raise UserError(failed.reason)  # alone, it is the user's mistake and ends the run
            summary = assemble(out)
    return _checked(summary, out, settings)


def prepare(inputs: Sequence[Path], out: Path, settings: CurateSettings, limit: int | None = None) -> list[Lecture]:
    """Check inputs and settings, claim the output folder and write down what belongs to the run.

    Returns:
        `list[Lecture]`: what `curate_one` is to be called with, in the order in which the records will stand.

    Raises:
        UserError, MissingExtraError: as `curate`, before anything is done.
    """
    out = Path(out)
    lectures, plan = check(inputs, out, settings, limit)
    with claim_output(out, run_key(plan), "curate", same=shares_a_lecture):
        write_plan(out, plan)
    return lectures


def curate_one(
    lecture: Lecture,
    out: Path,
    settings: CurateSettings,
    worker: Worker | None = None,
    listener: Listener | None = None,
) -> LectureResult:
    """Curate one lecture into a folder that others may be writing their lectures into.

    All it writes is below `clips/`, `sheets/` and `keyframes/`, in files named after the lecture's id, and in
    `.work/<video_id>/`, where `result.json` holds its records and every finished step is kept: called again with the
    same lecture and settings it returns at once, with other settings it does what depends on them, killed at any
    moment and called again it ends with the same bytes. Two calls for one lecture at once are refused by a lock. It
    may be called in any process or thread, a daemonic one too; the work is done in a process of its own, which one
    thread uses for all its calls, so that a decoder's crash or hang is a failed lecture and nothing more.

    Args:
        lecture (`Lecture`): one of those that `prepare` returned.
        out (`Path`): the output folder that was prepared.
        settings (`CurateSettings`): the settings it was prepared with.
        worker (`Worker`, *optional*): the process to use, if it is to be shared or ended at a certain time.
        listener (`Listener`, *optional*): follows the work.

    Returns:
        `LectureResult`: records, rejects, statistics; `failed` says why the lecture could not be curated, if so.

    Raises:
        OSError: the output cannot be written.
        UserError: another process is at work on this lecture.
    """
    out = Path(out)
    result = finished(lecture, out, settings)
    if result is not None:
        return result
    if worker is None:
        worker = getattr(_default_worker, "worker", None) or Worker()
        _default_worker.worker = worker
    return worker.curate(lecture, out, settings, listener)


def finish(out: Path) -> CurateSummary:
    """Put a run together from the results of its lectures: `clips.jsonl`, `rejects.jsonl`, the report and the rest.

    Files that belong to no clip of the run are removed. The result does not depend on who did the work, nor when.

    Raises:
        UserError: a lecture of the run has no result yet; nothing worth keeping in any lecture.
        TooManyRejectsError: more lectures failed than `max_failed_videos` allows; the others are written all the same.
    """
    out = Path(out)
    plan = read_plan(out)
    with claim_output(out, run_key(plan), "curate"):
        summary = assemble(out)
    return _checked(summary, out, plan.settings)


def check(
    inputs: Sequence[Path], out: Path, settings: CurateSettings, limit: int | None = None
) -> tuple[list[Lecture], Plan]:
    """Find the lectures, and refuse what cannot work before the output folder is claimed for it."""
    for module, package in _NEEDED.items():
        if find_spec(module) is None:
            raise MissingExtraError(package, "curate", "curating videos")
    from videopath_hf.curation.block import load_blocks
    from videopath_hf.curation.decisions import match_decisions

    notes: list[str] = []
    lectures = find_lectures(inputs, out, notes)[:limit]
    notes += match_decisions(settings.decisions, lectures)
    for block in load_blocks(settings.blocks):
        block.stop()
    _check_backends(lectures, settings)
    return lectures, make_plan(lectures, settings, notes)


def _check_backends(lectures: Sequence[Lecture], settings: CurateSettings) -> None:
    """Refuse what cannot work before the output folder is claimed for it."""
    from videopath_hf.curation.detectors import check_detector
    from videopath_hf.curation.ocr import rapidocr_installed
    from videopath_hf.curation.transcript import check_transcriber, sidecars
    from videopath_hf.curation.yolo import open_detectors

    open_detectors(settings)
    if settings.screen_text.backend == "rapidocr" and not rapidocr_installed():
        raise MissingExtraError("rapidocr", "curate", "screen_text.backend=rapidocr")
    if settings.screen_text.backend == "doctr":
        from videopath_hf.curation.ocr_doctr import DoctrReader

        DoctrReader(settings.screen_text)
    check_detector(settings.segments)
    check_transcriber(settings.transcript)
    without = [lecture.path.name for lecture in lectures if not sidecars(lecture.path)]
    if settings.transcript.backend == "sidecar" and len(without) == len(lectures):
        raise UserError(
            f"transcript.backend=sidecar, but no input has a .srt, .vtt or .json file of its name beside it "
            f"({', '.join(without[:3])}); add them or set transcript.backend to auto, whisper, faster-whisper or none"
        )


def run_key(plan: Plan) -> str:
    """What an output folder is claimed for: the lectures of a run."""
    return " ".join(sorted(planned.sha256[:16] for planned in plan.lectures))


def shares_a_lecture(seen: str, key: str) -> bool:
    """Whether a folder, claimed for the lectures of one key, may be continued for those of another."""
    return not set(seen.split()).isdisjoint(key.split())


def _checked(summary: CurateSummary, out: Path, settings: CurateSettings) -> CurateSummary:
    """Raise where a run is finished and yet has failed."""
    total = summary.videos + summary.failed
    if summary.failed > settings.max_failed_videos * total:
        raise TooManyRejectsError(
            f"{summary.failed} of {total} videos could not be curated, more than max_failed_videos = "
            f"{settings.max_failed_videos} allows; they are named, with the reasons, in {out / 'rejects.jsonl'}"
        )
    if not summary.clips:
        raise UserError(nothing_kept(out))
    return summary


def _curate_all(
    lectures: Sequence[Lecture], out: Path, settings: CurateSettings, workers: Sequence[Worker]
) -> list[LectureResult]:
    """Curate all lectures, as many at once as there are workers; the results come in the lectures' order."""
    with Board(len(lectures)) as board:
        if not workers:
            tools = Tools()
            return [board.follow(lecture, partial(_here, lecture, out, settings, tools)) for lecture in lectures]
        free: SimpleQueue[Worker] = SimpleQueue()
        for worker in workers:
            free.put(worker)

        def one(lecture: Lecture) -> LectureResult:
            worker = free.get()
            try:
                return board.follow(lecture, partial(curate_one, lecture, out, settings, worker))
            finally:
                free.put(worker)

        with ThreadPoolExecutor(len(workers)) as pool:
            try:
                return list(pool.map(one, lectures))
            except BaseException:  # Ctrl-C, a full disk: whatever still runs ends now
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in workers:
                    worker.abandon()
                raise


def _here(lecture: Lecture, out: Path, settings: CurateSettings, tools: Tools, listener: Listener) -> LectureResult:
    return finished(lecture, out, settings) or run_lecture(lecture, out, settings, tools, listener)
