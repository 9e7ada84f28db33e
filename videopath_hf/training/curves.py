"""`training.html`: the curves of a run and what the model says to held-out questions, in one page."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from videopath_hf.files import read_json, whole_lines, write_text
from videopath_hf.training.evaluating import EVALUATIONS, Round, best_round, read_rounds
from videopath_hf.training.metering import GRAD_NORM

PAGE = "training.html"
_MOST_POINTS = 600
_MOST_NAMED = 50
_SECONDS = 60.0
"""Between two pages: one takes about a second to draw."""
_PANELS = {
    "loss (nats a token)": {"loss": "loss"},
    "learning rate": {"learning_rate": "rest", "vision_learning_rate": "vision tower"},
    "tokens a second": {
        "supervised_tokens_per_second": "supervised",
        "visual_tokens_per_second": "visual",
    },
    "share of time waiting for data": {"data_wait": "waiting"},
}
_ACCURACY = "right diagnoses, held out"

Points = list[tuple[int, float]]


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of `log.jsonl`; one that a kill cut off is left out."""
    return [json.loads(line) for line in whole_lines(path)]


def collect_curves(lines: Sequence[dict[str, Any]], rounds: Sequence[Round]) -> dict[str, dict[str, Points]]:
    """Panels of curves of (step, value): those that the log has values for."""
    panels = {
        title: {label: _points(lines, key) for key, label in keys.items() if any(key in line for line in lines)}
        for title, keys in _PANELS.items()
    }
    norms = sorted({key for line in lines for key in line if key.startswith(GRAD_NORM)})
    named = {key.removeprefix(GRAD_NORM).replace("_", " "): _points(lines, key) for key in norms}
    panels["gradient norm"] = {"all": _points(lines, "grad_norm"), **named}
    if rounds:
        panels[_ACCURACY] = {
            "accuracy": [(found.step, found.accuracy) for found in rounds if found.accuracy is not None]
        }
    return {title: curves for title, curves in panels.items() if any(curves.values())}


def _points(lines: Sequence[dict[str, Any]], key: str) -> Points:
    found = [(line["step"], float(line[key])) for line in lines if line.get(key) is not None]
    width = -(-len(found) // _MOST_POINTS) or 1
    chunks = [found[start : start + width] for start in range(0, len(found), width)]
    return [(chunk[-1][0], sum(value for _, value in chunk) / len(chunk)) for chunk in chunks]


def write_page(out: Path, title: str) -> Path:
    """Write `training.html` from the log and the rounds of questions in `out`."""
    from markupsafe import Markup

    from videopath_hf.reporting.figures import line_panels
    from videopath_hf.reporting.page import render, render_page
    from videopath_hf.training.build import LOG
    from videopath_hf.training.stages import PREFLIGHT, QUARANTINE

    lines, rounds = read_log(out / LOG), read_rounds(out / EVALUATIONS)
    start = read_json(out / PREFLIGHT) if (out / PREFLIGHT).exists() else None
    broken = [json.loads(line) for line in whole_lines(out / QUARANTINE)]
    left_out = [*(start["dropped"] if start else []), *broken]
    curves = collect_curves(lines, rounds)
    best = best_round(rounds)
    shown = [] if not rounds else [rounds[-1]] if best in (None, rounds[-1]) else [rounds[-1], best]
    body = render(
        "training.html",
        cards=_cards(lines, rounds, start, len(left_out)),
        curves=Markup(line_panels(curves, {_ACCURACY: 1.05})) if curves else "",
        rounds=[
            {"name": "Best round" if found is best else "Last round", "round": found, "answers": found.answers}
            for found in shown
        ],
        start=start,
        left_out=left_out[:_MOST_NAMED],
        unnamed=max(0, len(left_out) - _MOST_NAMED),
    )
    write_text(out / PAGE, render_page(f"Training: {title}", body))
    return out / PAGE


def _cards(
    lines: Sequence[dict[str, Any]], rounds: Sequence[Round], start: dict[str, Any] | None, left_out: int
) -> list[dict[str, str]]:
    cards = []
    if start is not None:
        cards.append({"value": f"{start['samples']:,}", "label": f"samples, {left_out:,} left out"})
    if not lines:
        return [*cards, {"value": "0", "label": "steps done"}]
    epoch = f", {lines[-1]['epoch']:.2f} epochs" if "epoch" in lines[-1] else ""
    cards += [
        {"value": f"{lines[-1]['step']:,}", "label": f"steps done{epoch}"},
        {"value": f"{lines[0]['loss']:.3f} → {lines[-1]['loss']:.3f}", "label": "loss, first and last step"},
    ]
    waits = [line["data_wait"] for line in lines if "data_wait" in line]
    if waits:
        cards.append({"value": f"{sum(waits) / len(waits):.1%}", "label": "of the time waiting for data"})
    if (best := best_round(rounds)) is not None and best.accuracy is not None:
        label = f"right diagnoses of {len(best.answers)}, best round (step {best.step:,})"
        cards.append({"value": f"{best.accuracy:.0%}", "label": label})
    return cards


class TrainingPage(TrainerCallback):
    """Writes the page while a run goes on, at most once a minute; the stage writes it once more when it is done."""

    def __init__(self, out: Path, title: str) -> None:
        self.out, self.title = out, title
        self._written = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write it, if it is time."""
        if time.monotonic() - self._written > _SECONDS:
            write_page(self.out, self.title)
            self._written = time.monotonic()
