"""The app in real Chromium: what a person sees and can do, with a mouse, with a keyboard, on a phone, in the dark."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.modeling.conftest import noise_frames
from tests.serving.app.browser import App, Page, app, artefacts, chromium, visit  # noqa: F401
from tests.serving.app.reading_model import ANSWERS, FRAMES, OTHER_ANSWERS
from videopath_hf import RESEARCH_NOTICE
from videopath_hf.instructions.answers import parse_answer
from videopath_hf.serving.app.presets import questions
from videopath_hf.video.encode import write_clip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
Open = Callable[..., Page]
SIDEWAYS = "document.documentElement.scrollWidth > innerWidth"


def test_a_clip_is_brought_asked_about_and_answered_by_both_models(
    visit: Open,  # noqa: F811
    artefacts: Path,  # noqa: F811
) -> None:
    page = visit()
    assert page.text(".vp-notice") == RESEARCH_NOTICE
    page.shoot(artefacts, "1280_start")
    page.bring()
    page.shoot(artefacts, "1280_clip")
    assert page.tab.locator(".vp-marks button").count() == page.tab.locator(".vp-strip img").count() == FRAMES
    assert "8.4 s" in page.text(".vp-facts")
    page.ask()
    for side, answers in enumerate((ANSWERS, OTHER_ANSWERS)):
        said = page.tab.locator(".vp-said").nth(side)
        wanted = parse_answer(answers["brown.mp4"])
        assert said.locator(".vp-description").inner_text() == wanted.description
        assert said.locator(".vp-diagnosis p").inner_text() == wanted.diagnosis
    assert page.text(".vp-agree") == "same diagnosis"
    left, right = (page.tab.locator(".vp-said").nth(side).bounding_box() for side in (0, 1))
    assert left["y"] == right["y"] and left["x"] + left["width"] <= right["x"]
    page.shoot(artefacts, "1280_answer")


def test_the_answer_comes_piece_by_piece(visit: Open) -> None:  # noqa: F811
    page = visit()
    page.bring()
    page.tab.evaluate(
        """() => { window.seen = new Set(); new MutationObserver(() => {
        const said = document.querySelector('.vp-description'); if (said) window.seen.add(said.textContent); })
        .observe(document.getElementById('vp-answers'), { childList: true, subtree: true, characterData: true }); }"""
    )
    page.ask()
    whole = parse_answer(ANSWERS["brown.mp4"]).description
    seen = page.tab.evaluate("[...window.seen]")
    assert len(seen) >= 2  # the first words come before the others
    assert whole in seen
    assert all(whole.startswith(part) for part in seen)


def test_marks_and_pictures_go_to_the_frames_that_the_model_saw(visit: Open) -> None:  # noqa: F811
    page = visit()
    page.bring()
    mark = page.tab.locator(".vp-marks button").nth(5)
    mark.click()
    wanted = float(mark.get_attribute("aria-label").rpartition("at ")[2].split()[0])
    assert page.time() == pytest.approx(wanted, abs=0.06)
    assert mark.get_attribute("aria-current") == "true"
    page.tab.keyboard.press("ArrowRight")
    assert page.time() > wanted
    assert page.tab.locator(".vp-marks button[aria-current]").count() == 1
    page.tab.keyboard.press("Home")
    assert page.time() == pytest.approx(0, abs=0.06)
    page.tab.locator(".vp-strip button").nth(3).click()
    assert page.time() > 1
    page.tab.click(".vp-before")
    assert 1 < page.time() < 2
    page.tab.click(".vp-play")
    page.tab.wait_for_function("!document.querySelector('.vp-stage video').paused")
    page.tab.wait_for_function("document.querySelector('.vp-stage video').currentTime > 1.8")


def test_a_second_question_reuses_the_video_and_both_stay(visit: Open) -> None:  # noqa: F811
    page = visit()
    page.bring("pale.mp4")
    page.ask()
    assert "looking" in page.text(".vp-spent >> nth=0")
    page.ask("Is there any brown staining?")
    assert "kept from before: 0.0 s" in page.text(".vp-spent >> nth=0")
    questions = [said.split("\n")[-1] for said in page.tab.locator(".vp-turn .vp-asked").all_inner_texts()]
    assert "Is there any brown staining?" in questions[0] and "Question 1" in questions[1]
    markup = "<img src=x onerror=document.title='mine'> <b>What is it?</b>"
    page.ask(markup)
    assert markup in page.text(".vp-asked >> nth=0")
    assert page.tab.locator(".vp-turn img, .vp-turn b").count() == 0 and page.tab.title() == "videopath"


def test_evidence_is_shown_on_the_frames(visit: Open, artefacts: Path) -> None:  # noqa: F811
    page = visit()
    page.bring("pale.mp4")
    page.ask()
    page.measure()
    assert page.tab.locator(".vp-bars button").count() == FRAMES
    assert page.tab.locator(".vp-heat .vp-colours").count() == 2
    assert "Method: occlusion" in page.text(".vp-method")
    assert "56 of 56 parts" in page.text(".vp-choices")
    assert "less likely" in page.text(".vp-legend")
    assert page.tab.locator(".vp-bars .vp-for").count() > 0
    page.tab.wait_for_function(
        "[...document.querySelectorAll('.vp-heat img')].every(image => image.complete && image.naturalWidth > 0)"
    )
    page.shoot(artefacts, "1280_evidence")
    bar = page.tab.locator(".vp-bars button").nth(FRAMES - 1)
    bar.click()
    assert page.time() == pytest.approx(float(bar.get_attribute("data-seek")), abs=0.06)
    page.tab.fill(".vp-fade", "0")
    assert page.tab.evaluate("getComputedStyle(document.querySelector('.vp-colours')).opacity") == "0"
    page.tab.get_by_role("button", name="Diagnosis alone").click()
    page.tab.wait_for_selector(".vp-choice[aria-pressed=true]:text('Diagnosis alone')")
    page.tab.wait_for_selector(".vp-evidence[aria-busy=false]")
    assert page.text(".vp-evidence q") == "FHL2-negative colonic mucosa"


def test_the_case_report_is_downloaded(
    visit: Open,  # noqa: F811
    app: App,  # noqa: F811
    artefacts: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    page = visit()
    page.bring()
    assert page.tab.locator(".vp-download").count() == 0
    page.ask()
    page.measure()
    with page.tab.expect_download() as coming:
        page.tab.click(".vp-download")
    assert coming.value.suggested_filename == "case-report.html"
    coming.value.save_as(tmp_path / "report.html")
    paper = page.tab.context.new_page()
    paper.goto((tmp_path / "report.html").as_uri())
    said = paper.inner_text("body")
    for words in (
        RESEARCH_NOTICE,
        "brown.mp4",
        *app.models,
        "FHL2-positive colonic mucosa",
        "Method: occlusion",
    ):
        assert words in said
    assert paper.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    paper.screenshot(path=str(artefacts / "report.png"), full_page=True)
    paper.set_viewport_size({"width": 390, "height": 900})
    assert not paper.evaluate(SIDEWAYS)
    paper.screenshot(path=str(artefacts / "report_390.png"), full_page=True)
    paper.pdf(path=str(artefacts / "report.pdf"), prefer_css_page_size=True)
    assert (artefacts / "report.pdf").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("words", "notes.mp4 is not a video"),
        ("long", "the video is longer than the 20 s accepted; cut out the part in question"),
        ("large", "more than the 3 MB accepted"),
        ("empty", "(0 bytes)"),
    ],
)
def test_a_file_that_is_not_taken_gets_a_sentence(
    visit: Open,  # noqa: F811
    artefacts: Path,  # noqa: F811
    tmp_path: Path,
    kind: str,
    message: str,
) -> None:
    path = tmp_path / "notes.mp4"
    if kind == "long":
        write_clip(path, noise_frames(42), fps=2)
    else:
        path.write_bytes({"words": b"not a video", "large": b"x" * 3_000_001, "empty": b""}[kind])
    page = visit()
    page.upload(path)
    page.tab.wait_for_selector(".vp-error:visible")
    assert message in page.text(".vp-error")
    assert page.tab.is_visible(".vp-drop")
    page.shoot(artefacts, f"1280_refused_{kind}")
    page.bring()
    assert page.tab.is_hidden(".vp-error")


def test_another_person_cannot_read_the_file_and_it_goes_with_the_page(visit: Open, app: App) -> None:  # noqa: F811
    page, other = visit(), visit()
    earlier = set(app.uploads.rglob("video"))  # of pages that were closed a moment ago
    page.bring()
    address = page.tab.evaluate("document.querySelector('.vp-stage video').src")
    fetched = "async address => (await fetch(address)).status"
    assert page.tab.evaluate(fetched, address) in (200, 206)
    assert other.tab.context.request.get(address).status == 404
    assert other.tab.context.request.get(address.rpartition("/file/")[0] + "/report/x").status == 404
    gradios = f"{app.address}gradio_api/file={app.uploads / 'video'}"
    assert page.tab.context.request.get(gradios).status == 404
    (files,) = [path for path in app.uploads.rglob("video") if path not in earlier and path.stat().st_size]
    page.tab.close()
    deadline = time.monotonic() + 30
    while files.parent.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not files.parent.exists()


def test_stop_ends_an_answer(visit: Open, artefacts: Path) -> None:  # noqa: F811
    page = visit()
    page.bring()
    page.tab.fill("#vp-question textarea", "x" * 900)  # what the models never learned to end, and no blank to break at
    page.tab.click("#vp-ask")
    page.tab.wait_for_selector(".vp-turn")
    assert not page.tab.evaluate("document.querySelector('.vp-asked').scrollWidth > innerWidth / 2")
    page.shoot(artefacts, "1280_running")
    border = "() => getComputedStyle(document.querySelector('#vp-status p'), '::before').borderTopWidth"
    assert not page.tab.is_visible(".vp-busy") or page.tab.evaluate(border) == "2px"  # the circle that turns
    if page.tab.is_visible("#vp-stop"):
        page.tab.click("#vp-stop")
    page.tab.wait_for_selector("#vp-stop", state="hidden")
    assert page.tab.is_enabled("#vp-ask")


def test_organs_bring_their_own_questions_and_what_was_written_stays(visit: Open) -> None:  # noqa: F811
    page = visit()

    def pick(label: str, option: str) -> None:
        page.tab.get_by_label(label, exact=True).click()
        page.tab.get_by_role("option", name=option, exact=True).click()

    pick("Organ", "colon")
    first, second = questions("colon", "video")[:2]
    asked = "question => document.querySelector('#vp-question textarea').value == question"
    page.tab.wait_for_function(asked, arg=first)
    assert "crypts" in first
    pick("Questions to pick from", second)
    page.tab.wait_for_function(asked, arg=second)
    page.tab.fill("#vp-question textarea", "Is this normal?")
    pick("Organ", "liver")
    page.tab.wait_for_timeout(1000)
    assert page.tab.input_value("#vp-question textarea") == "Is this normal?"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    visit: Open,  # noqa: F811
    artefacts: Path,  # noqa: F811
    tmp_path: Path,
    scheme: str,
) -> None:
    page = visit(width=390, scheme=scheme)

    def look(what: str) -> None:
        assert not page.tab.evaluate(SIDEWAYS), what
        page.shoot(artefacts, f"390_{scheme}_{what}")

    look("start")
    path = tmp_path / f"{'a_long_name_without_a_blank_' * 3}.mp4"
    path.write_bytes(b"not a video")
    page.upload(path)
    page.tab.wait_for_selector(".vp-error:visible")
    look("refused")
    page.tab.locator(".vp-examples button").nth(1).click()
    page.tab.wait_for_selector(".vp-strip img")
    look("clip")
    page.ask()
    look("answer")
    page.measure()
    look("evidence")
    page.tab.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    box = page.tab.locator(".vp-notice").bounding_box()
    assert box["y"] == pytest.approx(0, abs=1) and box["height"] > 0


def test_dark_is_dark_and_can_be_switched(visit: Open, artefacts: Path) -> None:  # noqa: F811
    page = visit(scheme="dark")
    lightness = "() => getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3).map(Number)"
    assert max(page.tab.evaluate(lightness)) < 60
    page.shoot(artefacts, "1280_dark_start")
    page.tab.locator(".vp-examples button").nth(1).click()
    page.tab.wait_for_selector(".vp-strip img")
    page.ask()
    page.measure()
    page.shoot(artefacts, "1280_dark_evidence")
    page.tab.click(".vp-theme")
    assert min(page.tab.evaluate(lightness)) > 200
    page.tab.reload()
    page.tab.wait_for_selector(".vp-examples button")
    assert min(page.tab.evaluate(lightness)) > 200


def test_a_keyboard_is_enough(visit: Open, artefacts: Path) -> None:  # noqa: F811
    page = visit()
    focus = "() => document.activeElement"

    def tab_to(condition: str) -> None:
        for _ in range(60):
            page.tab.keyboard.press("Tab")
            if page.tab.evaluate(f"() => (node => Boolean({condition}))(({focus})())"):
                outline = page.tab.evaluate(
                    "() => { let node = document.activeElement; if (node.type === 'file') node = node.parentElement;"
                    " return getComputedStyle(node).outlineStyle; }"
                )
                assert outline != "none", condition
                return
        raise AssertionError(f"Tab does not reach {condition}")

    tab_to("node.type === 'file'")
    tab_to("node.closest('.vp-examples')")
    page.tab.keyboard.press("Enter")
    page.tab.wait_for_selector(".vp-strip img")
    tab_to("node.closest('.vp-marks')")
    page.tab.keyboard.press("End")
    assert page.time() > 8
    tab_to("node.role === 'combobox'")
    page.tab.wait_for_selector("[role=listbox]")
    page.tab.keyboard.press("Tab")
    assert page.tab.evaluate("document.activeElement.ariaLabel") == "Questions to pick from"
    tab_to("node.matches('#vp-question textarea')")
    page.tab.wait_for_selector("[role=listbox]", state="detached")  # what opened on the way covers nothing now
    page.tab.keyboard.press("Control+a")
    page.tab.keyboard.type("What is it?")
    tab_to("node.id === 'vp-ask'")
    page.shoot(artefacts, "1280_keyboard")
    page.tab.keyboard.press("Enter")
    page.tab.wait_for_function("document.querySelectorAll('.vp-spent').length == 2")
    tab_to("node.dataset.turn !== undefined")
    page.tab.keyboard.press("Enter")
    page.tab.wait_for_selector(".vp-evidence[aria-busy=false]")
    tab_to("node.closest('.vp-bars')")
    tab_to("node.matches('.vp-download')")


def test_an_image_is_a_case_too(visit: Open, artefacts: Path) -> None:  # noqa: F811
    page = visit()
    page.tab.locator(".vp-examples button").nth(2).click()
    page.tab.wait_for_selector(".vp-stage img:visible")
    assert page.tab.is_hidden(".vp-timeline")
    assert "image" in page.tab.input_value("#vp-question textarea")
    page.ask()
    page.measure()
    assert page.tab.locator(".vp-bars").count() == 0
    assert page.tab.locator(".vp-heat").count() == 1
    page.shoot(artefacts, "1280_image")
    page.tab.click(".vp-another")
    page.tab.wait_for_selector(".vp-drop:visible")
    assert page.tab.locator(".vp-turn").count() == 0
