"""The demo's `report.html`: the lecture, the clips, the training and the answers on one self-contained page."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videopath_hf.evaluation.frames import video_strip
from videopath_hf.evaluation.metrics import DIAGNOSIS, ROUGE_L
from videopath_hf.evaluation.results import EvaluationResult, file_of, read_results
from videopath_hf.evaluation.settings import Variant
from videopath_hf.evaluation.tables import number
from videopath_hf.files import read_json, read_records, resolve_inside, write_text
from videopath_hf.records import ClipRecord, InstructionRecord, Prediction, Reject, Score

_KINDS = {
    "caption": "stage 0: image and caption",
    "image": "stages 1 and 2: image question",
    "clip": "stage 2: clip question",
    "video": "stage 3: diagnostic question",
}
_VARIANTS: dict[Variant, str] = {"full": "with frames", "blind": "blind (black frames)"}


def count_clips(curated: Path) -> int:
    """Clips that curation kept."""
    return len(read_records(curated / "clips.jsonl", ClipRecord))


def count_rejects(curated: Path) -> dict[str, int]:
    """What curation dropped, by reason."""
    return dict(Counter(reject.reason for reject in read_records(curated / "rejects.jsonl", Reject)))


def write_report(out: Path, stages: Sequence[str], summary: dict[str, Any]) -> Path:
    """Write `report.html` of a finished demo in `out` and return its path."""
    from markupsafe import Markup

    from videopath_hf.curation.report import lecture_sections
    from videopath_hf.reporting.figures import loss_curves
    from videopath_hf.reporting.page import render, render_page

    runs = {name: read_json(out / name / "run.json") for name in stages}
    records = read_records(out / "data" / "instructions.jsonl", InstructionRecord)
    body = render(
        "demo.html",
        cards=_cards(summary, records),
        notes=read_json(out / "data" / "run.json")["notes"],
        lectures=Markup(lecture_sections(out / "curated", "curated/")),
        instructions=_instruction_rows(records),
        curves=Markup(loss_curves({name.replace("_", " "): _losses(out / name) for name in stages})),
        stages=[_stage_row(name, run) for name, run in runs.items()],
        scores=_score_rows(read_results(out / "evaluation")[0]),
        answers=_answer_items(out),
        rejects=_reject_rows(out),
        seconds=summary["seconds"],
        versions=summary["versions"],
        seed=summary["seed"],
        peak_memory_gb=summary["peak_memory_gb"],
    )
    path = out / "report.html"
    write_text(path, render_page("videopath demo: a lecture in, a trained model's answers out", body))
    return path


def _percent(value: float | None) -> str:
    return "not scored" if value is None else f"{100 * value:.0f}%"


def _cards(summary: dict[str, Any], records: Sequence[InstructionRecord]) -> list[dict[str, Any]]:
    accuracy = summary["diagnosis_accuracy"]
    diagnoses = {record.diagnosis for record in records if record.diagnosis}
    return [
        {"value": summary["clips"], "label": "clips kept"},
        {"value": sum(summary["rejects"].values()), "label": "stretches dropped"},
        {"value": len(diagnoses), "label": "diagnoses found"},
        {"value": _percent(accuracy["full"]), "label": "right diagnosis with frames"},
        {"value": _percent(accuracy["blind"]), "label": "right diagnosis blind"},
        {"value": f"{sum(summary['seconds'].values()):.0f} s", "label": "from lecture to scores"},
    ]


def _instruction_rows(records: Sequence[InstructionRecord]) -> list[dict[str, Any]]:
    rows = []
    for kind, label in _KINDS.items():
        mine = [record for record in records if record.kind == kind]
        if mine:
            splits = Counter(record.split for record in mine)
            example = {"question": mine[0].question, "answer": mine[0].answer}
            rows.append({"label": label, "train": splits["train"], "test": splits["test"], **example})
    return rows


def _losses(stage: Path) -> list[tuple[int, float]]:
    lines = (stage / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [(line["step"], line["loss"]) for line in map(json.loads, lines)]


def _stage_row(name: str, run: dict[str, Any]) -> dict[str, Any]:
    parts = {part: counts["trainable"] for part, counts in run["parameters"].items() if counts["trainable"]}
    return {
        "name": name.replace("_", " "),
        "steps": run["steps"],
        "first": run["loss"]["first"],
        "last": run["loss"]["last"],
        "seconds": run["seconds"],
        "trainable": ", ".join(f"{part.replace('_', ' ')} {count:,}" for part, count in parts.items()),
    }


def _score_rows(result: EvaluationResult) -> list[dict[str, Any]]:
    rows = [
        {
            "label": _VARIANTS[name],
            "n": variant.n,
            "accuracy": _percent(variant.columns[DIAGNOSIS].value),
            "rouge": number(variant.columns[ROUGE_L].value, 3),
            "coverage": _percent(variant.coverage),
        }
        for name, variant in result.variants.items()
    ]
    majority = {"label": "always the commonest diagnosis", "accuracy": _percent(result.majority_accuracy)}
    return [*rows, {**majority, "n": rows[0]["n"], "rouge": "", "coverage": ""}]


def _answer_items(out: Path) -> list[dict[str, Any]]:
    """One question a test clip, the answers with and without frames beside the reference."""
    folder = out / "evaluation"
    given = {
        name: {line.id: line for line in read_records(folder / file_of("predictions", name), Prediction)}
        for name in _VARIANTS
    }
    right = {
        name: {
            score.id: score.value
            for score in read_records(folder / file_of("scores", name), Score)
            if score.metric == DIAGNOSIS
        }
        for name in _VARIANTS
    }
    items, seen = [], set()
    for answer in given["full"].values():
        if answer.media[0] in seen:
            continue
        seen.add(answer.media[0])
        sides = [
            {"label": label, "text": given[name][answer.id].answer, "right": _is_right(right[name].get(answer.id))}
            for name, label in _VARIANTS.items()
        ]
        frames, _ = video_strip(resolve_inside(out / "data", answer.media[0]), answer.frame_times, most=32)
        items.append(
            {
                "clip": Path(answer.media[0]).stem,
                "question": answer.question,
                "frames": frames,
                "times": [f"{time:.1f}" for time in answer.frame_times],
                "sides": [{"label": "reference", "text": answer.reference, "right": None}, *sides],
            }
        )
    return items


def _is_right(value: float | None) -> bool | None:
    return None if value is None else value == 1


def _reject_rows(out: Path) -> list[dict[str, Any]]:
    rejects = [
        reject for folder in ("curated", "data") for reject in read_records(out / folder / "rejects.jsonl", Reject)
    ]
    counts = Counter((reject.step, reject.reason) for reject in rejects)
    return [{"step": step, "reason": reason, "count": count} for (step, reason), count in sorted(counts.items())]
