"""A case on paper: one HTML file that holds everything, for a printer or an archive."""

from datetime import datetime, timezone

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.errors import UserError
from videopath_hf.reporting.page import image_uri, render_page
from videopath_hf.serving.app.desk import Desk
from videopath_hf.serving.app.views import evidence_view, render, turn_view
from videopath_hf.serving.app.visits import Visit


def write_report(desk: Desk, visit: Visit) -> str:
    """The visit's case with its frames, questions, answers and evidence, as a page that needs no other file.

    Raises:
        UserError: nothing was asked yet.
    """
    case = visit.case
    if case is None or not case.turns:
        raise UserError("there is nothing to report yet; ask a question first")
    medium = case.medium

    def where(name: str) -> str:
        return image_uri(case.path(name))

    turns = []
    for number in range(len(case.turns)):
        view = turn_view(case, number)
        view["evidence"] = [
            evidence_view(desk, case, measured, where) for measured in case.measured if measured.turn == number
        ]
        turns.append(view)
    body = render(
        "report.html",
        name=case.name,
        medium=medium,
        frames=[
            {"uri": where(name), "time": medium.times[number] if medium.times else None}
            for number, name in enumerate(medium.thumbnails)
        ],
        turns=turns,
        models=[{"name": reader.name, "revision": reader.revision} for reader in desk.readers],
        settings=desk.settings,
        notice=RESEARCH_NOTICE,
        date=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    )
    return render_page(f"Case report: {case.name}", body)
