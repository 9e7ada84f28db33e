"""Single records for pages: the worst and the best ones, with their pictures, answers and scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from videopath_hf.data.stores import Found, MediaStores, as_file
from videopath_hf.errors import UserError
from videopath_hf.evaluation.columns import AVERAGE, Table, column_order, label
from videopath_hf.evaluation.frames import image_strip, video_strip
from videopath_hf.evaluation.metrics import ROUGE_L
from videopath_hf.evaluation.tables import number
from videopath_hf.records import InstructionRecord, Prediction, Score

_CASES = 5


def ranking_column(table: Table) -> str:
    """What records are ranked by: the judge's average, ROUGE-L without it, else the first column with any score."""
    columns = [AVERAGE] if table.averages is not None else []
    columns += [*(name for name in (ROUGE_L,) if name in table.metrics), *table.metrics]
    return next((name for name in columns if len(known_values(table.of(name)))), columns[-1])


def known_values(values: Any) -> list[float]:
    """Those that are not NaN."""
    return [float(value) for value in values[~np.isnan(values)]]


def worst_and_best(
    table: Table,
    ranked: str,
    predictions: Mapping[str, Prediction],
    scores: Sequence[Score],
    stores: MediaStores,
) -> list[dict[str, Any]]:
    """The worst and the best records by a column, none of them twice and one a clip, as the report's template takes
    them.

    Args:
        table (`Table`): all scores.
        ranked (`str`): the column.
        predictions (`Mapping[str, Prediction]`): answers by id of their record.
        scores (`Sequence[Score]`): the same scores, with their reasons.
        stores (`MediaStores`): where media are.
    """
    values = table.of(ranked)
    order = [int(row) for row in np.argsort(values, kind="stable") if not np.isnan(values[row])]
    by_clip = _one_a_clip(table, order)
    worst = dict([*by_clip.items()][: min(_CASES, (len(by_clip) + 1) // 2)])
    best = {clip: row for clip, row in _one_a_clip(table, order[::-1]).items() if clip not in worst}
    by_record: dict[str, list[Score]] = {}
    for score in scores:
        by_record.setdefault(score.id, []).append(score)
    return [
        {"title": title, "cases": [_case(table.records[row], predictions, by_record, stores) for row in rows]}
        for title, rows in (("Worst answers", [*worst.values()]), ("Best answers", [*best.values()][:_CASES]))
        if rows
    ]


def _one_a_clip(table: Table, order: Sequence[int]) -> dict[tuple[str, ...], int]:
    """The first row of each clip."""
    first: dict[tuple[str, ...], int] = {}
    for row in order:
        first.setdefault(tuple(medium.path for medium in table.records[row].media) or (table.records[row].id,), row)
    return first


def _case(
    record: InstructionRecord,
    predictions: Mapping[str, Prediction],
    scores: Mapping[str, list[Score]],
    stores: MediaStores,
) -> dict[str, Any]:
    said = predictions.get(record.id)
    strips, faults = strips_of(record, said, stores)
    own = sorted(
        (score for score in scores.get(record.id, ()) if score.applies), key=lambda score: column_order(score.metric)
    )
    return {
        "id": record.id,
        "about": ", ".join(text for text in (record.organ, record.diagnosis) if text),
        "question": record.question,
        "answer": said.answer if said else "",
        "reference": record.answer,
        "strips": strips,
        "faults": faults,
        "explained": [
            {"name": label(score.metric), "value": number(score.value, 2), "reason": score.reason}
            for score in own
            if score.reason
        ],
        "plain": ", ".join(f"{label(score.metric)} {number(score.value, 2)}" for score in own if not score.reason),
    }


def strips_of(
    record: InstructionRecord, said: Prediction | None, stores: MediaStores
) -> tuple[list[dict[str, str]], list[str]]:
    """Pictures of a record's media with captions, and why others cannot be shown.

    Args:
        record (`InstructionRecord`): whose media.
        said (`Prediction`, *optional*): the answer, which knows the frames that the model saw.
        stores (`MediaStores`): where media are.
    """
    strips: list[dict[str, str]] = []
    faults: list[str] = []
    videos = [medium for medium in record.media if medium.type == "video"]
    # Times of several videos stand one after the other in an answer, and nobody knows where one ends.
    times = said.frame_times if said and len(videos) == 1 else []
    for medium in record.media:
        try:
            found = stores.find(medium.path)
            if found is None:
                faults.append(f"{medium.path} is not at hand")
                continue
            strips.append(_strip(found, medium.type == "video", times, medium.path))
        except UserError as error:
            faults.append(str(error))
    return strips, faults


def _strip(found: Found, is_video: bool, times: Sequence[float], name: str) -> dict[str, str]:
    with as_file(found) as path:
        if not is_video:
            from PIL import Image

            try:
                with Image.open(path) as picture:
                    return {"uri": image_strip(picture), "caption": name}
            except (OSError, ValueError, Image.DecompressionBombError) as error:
                raise UserError(f"{found.place} cannot be shown: {error}") from None
        uri, shown = video_strip(path, times)
    where = ", ".join(f"{time:.1f}" for time in shown)
    if not times:
        return {
            "uri": uri,
            "caption": f"{name}: evenly spaced frames, at {where} s; which ones the model saw is not known",
        }
    some = f"{len(shown)} of the {len(times)}" if len(shown) < len(times) else f"the {len(times)}"
    return {"uri": uri, "caption": f"{name}: {some} frames the model saw, at {where} s"}
