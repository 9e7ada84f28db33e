"""What a run would do, without doing it."""

from collections.abc import Sequence
from pathlib import Path

from videopath_hf.curation.lecture import finished, read_result
from videopath_hf.curation.pipeline import check, run_key, shares_a_lecture
from videopath_hf.curation.settings import CurateSettings
from videopath_hf.curation.worker import Worker
from videopath_hf.files import content_hash
from videopath_hf.records import Record
from videopath_hf.runs import check_output


class ForecastLecture(Record):
    """What awaits one lecture.

    Args:
        seconds (`float`, *optional*): its length by its header, or as it was measured; None where it is not known.
        state (`str`): `"finished"`, `"failed"` (and would again), `"begun"` (what other settings or an interruption
            left is used where it still holds), or `"new"`.
    """

    video_id: str
    source: str
    seconds: float | None
    state: str


class Forecast(Record):
    """What a run would do: its lectures, how long they are, the settings' hash, what was left out and why."""

    out: str
    settings_hash: str
    lectures: list[ForecastLecture]
    seconds: float
    seconds_to_do: float
    notes: list[str]


def forecast(inputs: Sequence[Path], out: Path, settings: CurateSettings, limit: int | None = None) -> Forecast:
    """Say what `curate` would do with the same arguments; nothing is written.

    Raises:
        UserError, MissingExtraError: what `curate` would raise before it begins.
    """
    out = Path(out)
    lectures, plan = check(inputs, out, settings, limit)
    check_output(out, run_key(plan), "curate", same=shares_a_lecture)
    entries = []
    with Worker() as worker:
        for lecture in lectures:
            before = read_result(out, lecture.video_id)
            result = finished(lecture, out, settings)
            state = "new" if before is None else "begun"
            if result is not None:
                state = "failed" if result.failed is not None else "finished"
            known = before.info if before is not None and before.sha256 == lecture.sha256 else None
            seconds = known["duration"] if known else worker.header_seconds(lecture.path)
            entries.append(
                ForecastLecture(
                    video_id=lecture.video_id,
                    source=lecture.source,
                    seconds=None if seconds is None else round(seconds, 3),
                    state=state,
                )
            )
    to_do = sum(entry.seconds or 0.0 for entry in entries if entry.state in ("begun", "new"))
    return Forecast(
        out=str(out),
        settings_hash=content_hash(settings),
        lectures=entries,
        seconds=round(sum(entry.seconds or 0.0 for entry in entries), 3),
        seconds_to_do=round(to_do, 3),
        notes=plan.notes,
    )
