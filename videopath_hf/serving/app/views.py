"""What a page shows of a visit: plain values for its scripts, escaped HTML for its text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from videopath_hf.instructions.answers import normalise_diagnosis, parse_answer
from videopath_hf.modeling.evidence import METHOD, Evidence
from videopath_hf.reporting.page import environment, image_uri
from videopath_hf.serving.app.desk import Desk
from videopath_hf.serving.app.heat import full_scale, in_words, overlay, side
from videopath_hf.serving.app.medium import IMAGE_FORMATS
from videopath_hf.serving.app.visits import Case, Measured, Said, Visit

_TEMPLATES = Path(__file__).parent / "templates"
Address = Callable[[str], str]
"""Where a page finds one of a case's files."""


def render(template: str, **values: Any) -> str:
    """One of the app's templates; every value is escaped."""
    return environment(_TEMPLATES).get_template(template).render(**values)


def address(visit: Visit, case: Case) -> Address:
    """Addresses below `routes`; the case's id is in them, so that browsers keep no picture of an earlier one."""
    return lambda name: f"videopath/file/{visit.id}/{case.id}/{name}"


def status(text: str, busy: bool = False, wrong: bool = False) -> str:
    """One line about what goes on, or about what is wrong."""
    return render("status.html", text=text, busy=busy and bool(text), wrong=wrong)


def report(visit: Visit) -> str:
    """Where the case report is, once there is something in it."""
    return render("report_link.html", visit=visit.id if visit.case is not None and visit.case.turns else None)


def viewer(desk: Desk, visit: Visit | None, error: str = "") -> dict[str, Any]:
    """What `viewer.js` shows: what may be brought, or what was."""
    return {
        "visit": visit.id if visit is not None else None,
        "bytes": int(desk.limits.file_mb * 1e6),
        "accepted": accepted(desk),
        "examples": [
            {"title": example.title, "picture": image_uri(example.picture)} for example in desk.intake.examples
        ],
        "medium": None if visit is None or visit.case is None else _medium(visit, visit.case),
        "error": error,
    }


def accepted(desk: Desk) -> str:
    """What may be brought, in one sentence."""
    limits = desk.limits
    return (
        f"Videos (MP4, MOV, MKV, WebM, AVI and others) up to {_length(limits.video_seconds)} and "
        f"{limits.file_mb:g} MB; images ({', '.join(IMAGE_FORMATS)})."
    )


def _length(seconds: float) -> str:
    return f"{seconds / 60:.3g} minutes" if seconds > 90 else f"{seconds:.3g} seconds"


def _medium(visit: Visit, case: Case) -> dict[str, Any]:
    medium, where = case.medium, address(visit, case)
    size = f"{medium.width}\u00d7{medium.height}"
    facts = [size] if medium.kind == "image" else [f"{medium.seconds:.1f} s", size, f"{medium.frames} frames"]
    if medium.converted and medium.kind == "video":
        facts.append("played as a converted copy; the model sees the original")
    return {
        "id": case.id,
        "kind": medium.kind,
        "name": case.name,
        "url": where(medium.played),
        "type": medium.played_type,
        "facts": " \u00b7 ".join(facts),
        "seconds": medium.seconds,
        "frames": [
            {"time": time, "picture": where(name)} for time, name in zip(medium.times, medium.thumbnails, strict=False)
        ],
    }


def answers(desk: Desk, visit: Visit) -> str:
    """All questions and answers, the last question first."""
    case = visit.case
    turns = [] if case is None else [turn_view(case, number) for number in range(len(case.turns))]
    return render(
        "answers.html", turns=turns[::-1], medium=case.medium.kind if case else "video", two=len(desk.readers) > 1
    )


def turn_view(case: Case, number: int) -> dict[str, Any]:
    """One question and its answers, for templates."""
    turn = case.turns[number]
    sides = [_side(said) for said in turn.said]
    named = [normalise_diagnosis(side["diagnosis"]) for side in sides if side["diagnosis"] and side["complete"]]
    agree = None if len(named) < 2 else named[0] == named[1]
    return {"number": number, "question": turn.question, "sides": sides, "agree": agree}


def _side(said: Said) -> dict[str, Any]:
    parsed = parse_answer(said.text)
    return {
        "model": said.model,
        "description": parsed.description,
        "diagnosis": parsed.diagnosis,
        "complete": said.answer is not None,
        "waits": said.answer is None and not said.text and said.stopped is None,
        "stopped": said.stopped,
        "spent": spent(said),
    }


def spent(said: Said) -> str:
    """What an answer's time went to, in seconds."""
    if said.answer is None:
        return ""
    seconds = said.answer.seconds
    looking = seconds["decode"] + seconds["preprocess"] + seconds["vision"]
    kept = seconds["decode"] == seconds["vision"] == 0
    parts = ["video kept from before: 0.0 s" if kept else f"looking {looking:.1f} s"]
    parts += [f"reading {seconds['prefill']:.1f} s", f"answering {seconds['generate']:.1f} s"]
    return " \u00b7 ".join([*parts, f"{said.answer.tokens} tokens"])


def evidence(desk: Desk, visit: Visit) -> str:
    """What was measured last, or what can be."""
    case = visit.case
    if case is None or not case.measured:
        return render("no_evidence.html")
    shown = evidence_view(desk, case, case.measured[-1], address(visit, case))
    return render("evidence.html", shown=shown)


def evidence_view(desk: Desk, case: Case, measured: Measured, where: Address) -> dict[str, Any]:
    """Evidence of one answer, for templates."""
    found = measured.evidence
    view: dict[str, Any] = {
        "question": measured.turn + 1,
        "turn": measured.turn,
        "side": measured.side,
        "model": desk.readers[measured.side].name if len(desk.readers) > 1 else "",
        "target": measured.target,
        "whole": measured.whole,
        "has_diagnosis": (said := case.turns[measured.turn].said[measured.side]).answer is not None
        and said.answer.diagnosis is not None,
        "stopped": measured.stopped,
        "method": METHOD,
        "bars": [],
        "heats": [],
        "tallest": "",
        "most_for": "",
        "most_against": "",
        "nothing": False,
        "blind": "",
        "is_blind": False,
        "scope": "nothing measured yet",
        "seconds": case.medium.seconds,
        "running": measured.stopped is None and (found is None or not found.complete),
    }
    if found is None:
        return view
    view["scope"] = f"{found.measured} of {found.total} parts measured in {found.seconds:.1f} s"
    drops = [*found.frames, *(drop for rows in found.regions.values() for row in rows for drop in row)]
    view["nothing"] = found.complete and {side(drop) for drop in drops} == {"same"}
    view["blind"] = in_words(found.log_prob - found.blind)
    view["is_blind"] = side(found.log_prob - found.blind) == "same"
    view["bars"], view["tallest"] = _bars(case, found), in_words(full_scale(found.frames))
    view.update(_heats(case, found, where))
    return view


def _bars(case: Case, found: Evidence) -> list[dict[str, Any]]:
    scale = full_scale(found.frames)
    bars = []
    for number, (time, drop) in enumerate(zip(case.medium.times, found.frames, strict=True)):
        words = _frame_words(found, number)
        bars.append(
            {
                "time": time,
                "height": 0 if drop is None else round(100 * abs(drop) / scale),
                "side": side(drop),
                "label": f"Frame {number + 1} at {time:.1f} s: {words}",
            }
        )
    return bars


def _frame_words(found: Evidence, number: int) -> str:
    without, alone = found.without[number], found.alone[number]
    if without is None or alone is None:
        return "not measured"
    return f"{in_words(without)} without it; {in_words(-alone)} with it alone than with none"


def _heats(case: Case, found: Evidence, where: Address) -> dict[str, Any]:
    scale = full_scale(drop for rows in found.regions.values() for row in rows for drop in row)
    heats = []
    for number, rows in found.regions.items():
        colours = overlay(rows, scale)
        time = case.medium.times[number] if case.medium.kind == "video" else None
        heats.append(
            {
                "title": "The image" if time is None else f"Frame {number + 1} at {time:.1f} s",
                "time": time,
                "picture": where(case.medium.thumbnails[number]),
                "overlay": colours.uri,
                "frame": _frame_words(found, number) if found.frames else "",
                "strongest": in_words(colours.strongest),
            }
        )
    return {"heats": heats, "most_for": in_words(scale), "most_against": in_words(-scale)}
