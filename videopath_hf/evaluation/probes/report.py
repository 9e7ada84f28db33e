"""`probes.html`: the curves of all probes, their figures, and clips as they were shown."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from videopath_hf.evaluation.probes.asking import Asker
from videopath_hf.evaluation.probes.settings import Probe
from videopath_hf.evaluation.probes.summary import PLAIN, ProbeAnswer, ProbeResult
from videopath_hf.files import write_text
from videopath_hf.modeling.session import DecodedVideo
from videopath_hf.reporting.figures import CurvePanel
from videopath_hf.video.container import VideoError

_EXAMPLES = 2
_MOST, _ROW, _SIDE = 32, 8, 72  # frames of a strip, in a row of it, and pixels of their sides
_NAMES = {
    "plain": "as it is",
    "frames": "{:g} evenly spaced",
    "black": "{:.0%} of the frames black",
    "no_frames": "no frames, the question alone",
    "shuffled": "{:.0%} of the frames shuffled",
    "reversed": "backwards",
    "needle": "a frame of another tissue at {:.0%}",
}
_CURVES = {
    "right diagnosis": "diagnosis_synonym",
    "similar to the plain answer": "similarity",
    "changed": "changed",
    "needle named": "needle_named",
}


def label(probe: Probe) -> str:
    """A probe in words."""
    return _NAMES[probe.kind].format(probe.amount or 0)


def table(result: ProbeResult) -> list[dict[str, Any]]:
    """A row a probe: its name and its figures as they are shown."""
    return [
        {
            "label": label(Probe(point.probe, point.amount)),
            "cells": [
                "-" if point.frames is None else f"{point.frames:.3g}",
                *(_percent(getattr(point, name)) for name in _CURVES.values()),
            ],
            "scored": point.scored,
            "n": point.n,
        }
        for point in result.points
    ]


def panels(result: ProbeResult) -> list[CurvePanel]:
    """Curves over the number of frames, the shares of black and of moved frames, and the needle's place."""
    majority = result.majority_accuracy
    baseline = None if majority is None else ("always the commonest", majority)
    plain = result.point(PLAIN)
    found = []
    for kind, title, xlabel, starts_plain in (
        ("frames", "Frames shown", "frames", False),
        ("black", "Black frames", "share of the frames", True),
        ("shuffled", "Shuffled frames", "share of the frames", True),
        ("needle", "Needle", "place in the clip", False),
    ):
        points = [point for point in result.points if point.probe == kind]
        if not points:
            continue
        drawn = [(point.amount or 0.0, point) for point in points]
        if starts_plain and plain is not None and all(amount > 0 for amount, _ in drawn):
            drawn = [(0.0, plain), *drawn]
        drawn.sort(key=lambda pair: pair[0])
        curves = {
            name: [(amount, value) for amount, point in drawn if (value := getattr(point, field)) is not None]
            for name, field in _CURVES.items()
        }
        kept = {name: curve for name, curve in curves.items() if curve}
        found.append(CurvePanel(title, xlabel, kept, [amount for amount, _ in drawn], baseline))
    return found


def write_report(
    path: Path, result: ProbeResult, asker: Asker, answers: Mapping[tuple[str, Probe], ProbeAnswer]
) -> None:
    """Write the page; its frames are those that the model was given."""
    from markupsafe import Markup

    from videopath_hf.reporting.figures import share_curves
    from videopath_hf.reporting.page import render, render_page

    drawn = panels(result)
    body = render(
        "probes.html",
        result=result,
        cards=_cards(result),
        curves=Markup(share_curves(drawn)) if drawn else "",
        rows=table(result),
        examples=_examples(asker, answers),
    )
    write_text(path, render_page("Probes", body))


def _cards(result: ProbeResult) -> list[tuple[str, str]]:
    def of(probe: Probe, field: str) -> str:
        point = result.point(probe)
        return _percent(getattr(point, field) if point else None)

    return [
        (of(PLAIN, "diagnosis_synonym"), "right diagnoses, clips as they are"),
        (of(Probe("black", 1.0), "diagnosis_synonym"), "with black frames"),
        (of(Probe("reversed"), "changed"), "of the answers change when the clip runs backwards"),
        (_percent(result.coverage), "of the answers could be had"),
    ]


def _examples(asker: Asker, answers: Mapping[tuple[str, Probe], ProbeAnswer]) -> list[dict[str, Any]]:
    examples: list[dict[str, Any]] = []
    seen: set[str] = set()
    for record in asker.records:
        plain = answers.get((record.id, PLAIN))
        if plain is None or record.diagnosis in seen or len(examples) == _EXAMPLES:
            continue
        try:
            media = asker.read(record)
        except (VideoError, ValueError):
            continue
        seen.add(record.diagnosis or "")
        shown = [
            {
                "label": label(probe),
                "strip": strip(asker.show(record, probe, media)),
                "answer": said.answer,
                "same": said.answer.split() == plain.answer.split() and probe != PLAIN,
            }
            for probe in asker.settings.probes()
            if (said := answers.get((record.id, probe))) is not None
        ]
        examples.append({"id": record.id, "question": record.question, "reference": record.answer, "shown": shown})
    return examples


def strip(media: Sequence[Any]) -> str | None:
    """The frames of the first video, small and side by side, as a data URI; None where none is shown."""
    from PIL import Image

    frames = next((item.frames for item in media if isinstance(item, DecodedVideo)), None)
    if frames is None:
        return None
    kept = [frames[number] for number in np.linspace(0, len(frames) - 1, min(len(frames), _MOST), dtype=int)]
    small = [np.asarray(Image.fromarray(frame).resize((_SIDE, _SIDE))) for frame in kept]
    width = min(_ROW, len(small))
    small += [np.full((_SIDE, _SIDE, 3), 255, np.uint8)] * (-len(small) % width)
    rows = [np.concatenate(small[at : at + width], axis=1) for at in range(0, len(small), width)]
    stream = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(stream, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
