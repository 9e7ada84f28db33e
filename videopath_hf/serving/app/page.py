"""The page: where things stand and what is wired to what. `handlers` says what happens then."""

from pathlib import Path
from typing import Any

import gradio as gr

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.serving.app import presets, views
from videopath_hf.serving.app.desk import Desk
from videopath_hf.serving.app.handlers import Handlers

TITLE = "videopath"
ASSETS = Path(__file__).parent / "assets"
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def look() -> dict[str, Any]:
    """How the page looks, as `launch` takes it: the system's own fonts, so that nothing is fetched from elsewhere."""
    theme = gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    return {"theme": theme, "css_paths": [ASSETS / "app.css"], "favicon_path": ASSETS / "icon.svg"}


def make_page(desk: Desk) -> gr.Blocks:
    """Lay the page out: the case on one side, question and answer on the other, evidence below."""
    handlers = Handlers(desk)
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        _html(views.render("notice.html", notice=RESEARCH_NOTICE), "vp-notice")
        _html(views.render("header.html", models=desk.readers), "vp-header", "header.js")
        with gr.Row(elem_id="vp-case", equal_height=False):
            with gr.Column(elem_id="vp-left", min_width=300):
                viewer = gr.HTML(
                    None,
                    html_template=views.render("viewer.html"),
                    js_on_load=_script("viewer.js"),
                    apply_default_css=False,
                )
            with gr.Column(elem_id="vp-right", min_width=300):
                _html(_step(2, "Question"), "vp-step-question")
                with gr.Row(elem_id="vp-presets"):
                    organ = gr.Dropdown(list(presets.organs()), value=presets.ANY_ORGAN, label="Organ", min_width=110)
                    wording = gr.Dropdown(label="Questions to pick from", min_width=180, scale=2)
                question = gr.Textbox(label="Question", lines=3, max_lines=8, elem_id="vp-question")
                with gr.Row(elem_id="vp-go"):
                    ask = gr.Button("Ask", variant="primary", elem_id="vp-ask")
                    stop = gr.Button("Stop", variant="stop", visible=False, elem_id="vp-stop")
                status = _html(views.status(""), "vp-status", "status.js")
                answers = _html("", "vp-answers", "answers.js")
        with gr.Column(elem_id="vp-evidence"):
            _html(_step(3, "Evidence"), "vp-step-evidence")
            panel = _html("", "vp-panel", "answers.js")
        report = _html("", "vp-report")

        shown = [viewer, answers, panel, report, status, wording, question]
        page.load(handlers.begin, None, shown, **_QUIET)
        page.unload(handlers.leave)
        viewer.uploaded(handlers.uploaded, [organ, question], shown, **_QUIET)
        viewer.example(handlers.example, [organ, question], shown, **_QUIET)
        viewer.cleared(handlers.cleared, [organ, question], shown, **_QUIET)
        organ.input(handlers.organ, [organ, question], [wording, question], **_QUIET)
        wording.input(lambda chosen: chosen, wording, question, **_QUIET)
        running = [answers, status, report, ask, stop]
        gr.on([ask.click, question.submit], handlers.ask, question, running, trigger_mode="once", **_QUIET)
        for source in (answers, panel):
            source.measure(handlers.measure, None, [panel, status, ask, stop], trigger_mode="once", **_QUIET)
            source.stopped(handlers.stop, None, None, **_QUIET)
        stop.click(handlers.stop, None, None, **_QUIET)
    page.queue(default_concurrency_limit=None, max_size=4 * desk.limits.visits, api_open=False)
    return page


def _html(value: str, name: str, script: str | None = None) -> gr.HTML:
    js = None if script is None else _script(script)
    return gr.HTML(value, js_on_load=js, elem_id=name, apply_default_css=False)


def _script(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _step(number: int, name: str) -> str:
    return views.render("step.html", number=number, name=name)
