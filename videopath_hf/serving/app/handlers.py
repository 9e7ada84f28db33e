"""What happens when something on the page is pressed: whose page it is, what is done, and what the page shows then."""

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from videopath_hf.errors import UserError
from videopath_hf.serving.app import presets, views
from videopath_hf.serving.app.desk import Desk
from videopath_hf.serving.app.routes import visitor
from videopath_hf.serving.app.visits import Visit

_NO_COOKIE = (
    "your browser keeps no cookie of this page, and without one your files cannot be told from those of others; "
    "allow cookies, or open the page in a window of its own"
)


class Handlers:
    """Gradio's side of the desk. Lists of updates are in the order of `page`'s lists of outputs."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def begin(self, request: gr.Request) -> list[Any]:
        """A page was opened."""
        try:
            if not visitor(request):
                raise UserError(_NO_COOKIE)
            visit = self.desk.visits.open(str(request.session_hash), visitor(request))
        except UserError as error:
            return [views.viewer(self.desk, None, str(error)), "", "", "", views.status(""), gr.skip(), gr.skip()]
        return [*self._shown(visit), *self._wordings(visit, presets.ANY_ORGAN, "")]

    def leave(self, request: gr.Request) -> None:
        """A page was closed."""
        self.desk.visits.leave(str(request.session_hash))

    def uploaded(self, organ: str, question: str, request: gr.Request) -> list[Any]:
        """A file came in."""
        return self._take(request, organ, question, self.desk.intake.accept)

    def example(self, organ: str, question: str, event: gr.EventData, request: gr.Request) -> list[Any]:
        """An example was picked."""
        number = _number(event, "number")
        return self._take(request, organ, question, lambda visit: self.desk.intake.take_example(visit, number))

    def cleared(self, organ: str, question: str, request: gr.Request) -> list[Any]:
        """Another case is wanted."""
        return self._take(request, organ, question, self.desk.clear)

    def organ(self, organ: str, question: str, request: gr.Request) -> list[Any]:
        """An organ was picked: it has questions of its own."""
        try:
            return self._wordings(self._visit(request), organ, question)
        except UserError:
            return [gr.skip(), gr.skip()]

    def ask(self, question: str, request: gr.Request) -> Iterator[list[Any]]:
        """A question is asked: answers, status, the report's link, the buttons."""
        still = gr.skip()
        try:
            visit = self._visit(request)
            for number, status in enumerate(self.desk.ask(visit, question)):
                buttons = [still, still] if number else _buttons(True)
                yield [views.answers(self.desk, visit), views.status(status, busy=True), still, *buttons]
            yield [views.answers(self.desk, visit), views.status(""), views.report(visit), *_buttons(False)]
        except UserError as error:
            yield [still, views.status(str(error), wrong=True), still, *_buttons(self._runs(request))]

    def measure(self, event: gr.EventData, request: gr.Request) -> Iterator[list[Any]]:
        """Evidence is asked for: the panel, status, the buttons."""
        still = gr.skip()
        try:
            visit = self._visit(request)
            turn, side, whole = (_number(event, name) for name in ("turn", "side", "whole"))
            for number, status in enumerate(self.desk.measure(visit, turn, side, whole == 1)):
                buttons = [still, still] if number else _buttons(True)
                yield [views.evidence(self.desk, visit), views.status(status, busy=True), *buttons]
            yield [views.evidence(self.desk, visit), views.status(""), *_buttons(False)]
        except UserError as error:
            yield [still, views.status(str(error), wrong=True), *_buttons(self._runs(request))]

    def stop(self, request: gr.Request) -> None:
        """What runs is to end; whoever follows it shows that it did."""
        try:
            self.desk.stop(self._visit(request))
        except UserError:
            return

    def _visit(self, request: gr.Request) -> Visit:
        return self.desk.visits.of(str(request.session_hash), visitor(request))

    def _runs(self, request: gr.Request) -> bool:
        """Whether something of this browser's runs or waits: what else was asked meanwhile did not end it."""
        return self.desk.engine.of(visitor(request)) is not None

    def _take(self, request: gr.Request, organ: str, question: str, take: Callable[[Visit], None]) -> list[Any]:
        visit = None
        try:
            visit = self._visit(request)
            take(visit)
        except UserError as error:
            return [views.viewer(self.desk, visit, str(error)), *[gr.skip()] * 6]
        return [*self._shown(visit), *self._wordings(visit, organ, question)]

    def _shown(self, visit: Visit) -> list[Any]:
        """Viewer, answers, evidence, report, status."""
        desk = self.desk
        parts = [views.viewer(desk, visit), views.answers(desk, visit), views.evidence(desk, visit)]
        return [*parts, views.report(visit), views.status("")]

    def _wordings(self, visit: Visit, organ: str, question: str) -> list[Any]:
        """Questions to pick from, and the question: what somebody wrote stays."""
        kind = visit.case.medium.kind if visit.case is not None else "video"
        choices = presets.questions(organ if organ in presets.organs() else presets.ANY_ORGAN, kind)
        picked = not question.strip() or presets.is_one(question)
        return [
            gr.update(choices=list(choices), value=choices[0] if picked else None),
            choices[0] if picked else gr.skip(),
        ]


def _buttons(running: bool) -> list[Any]:
    """Ask and Stop."""
    return [gr.update(interactive=not running), gr.update(visible=running)]


def _number(event: gr.EventData, name: str) -> int:
    """A whole number that a page sent; -1, which is nothing's number, for anything else."""
    value = getattr(event, name, None)
    return value if type(value) is int else -1
