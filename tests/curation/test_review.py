"""The page on which a person edits segments, used in a real browser where there is one."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from videopath_hf.curation.decisions import Decisions
from videopath_hf.curation.inputs import Lecture
from videopath_hf.curation.review import write_review, write_reviews
from videopath_hf.curation.scene_lists import Reviewed
from videopath_hf.errors import UserError
from videopath_hf.files import file_sha256
from videopath_hf.records import Segment
from videopath_hf.video.encode import write_clip

NASTY = "</script><script>document.title='broken'</script>"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three segments of a video of 60 frames at 10 frames a second, whose source has a hostile name."""
    folder = tmp_path_factory.mktemp("review")
    rng = np.random.default_rng(0)
    write_clip(folder / "v.mp4", [rng.integers(0, 255, (90, 160, 3), dtype=np.uint8) for _ in range(60)], 10)
    segments = [
        Segment(video_id="v", index=n, start=a / 10, end=b / 10, kind=kind, first=a, last=b)  # type: ignore[arg-type]
        for n, (a, b, kind) in enumerate([(0, 20, "title"), (20, 25, "tissue"), (25, 60, "tissue")])
    ]
    reviewed = Reviewed("v", NASTY, "ab" * 32, 60, 10.0, "c0ffee", segments)
    return write_review(reviewed, Lecture("v", NASTY, folder / "v.mp4", "ab" * 32), folder)


def in_browser(page: Path, script: str) -> str:
    """What `script`, run in the page, leaves in `document.body.dataset.result`."""
    copy = page.with_name("tried.html")
    text = page.read_text(encoding="utf-8").replace("</body>", f"<script>{script}</script></body>")
    copy.write_text(text, encoding="utf-8")
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<body data-result="([^"]*)"', done.stdout)
    assert found, f"the script did not finish: {done.stdout[-300:]} {done.stderr[-300:]}"
    return html.unescape(found[1])


def test_the_page_needs_no_other_file_and_escapes_every_name(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert NASTY not in text
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:)""", text)
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest", text)
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert {0, 19, 20, 24, 25, 59} <= {thumb["frame"] for thumb in data["thumbs"]}
    assert all(thumb["uri"].startswith("data:image/jpeg;base64,") for thumb in data["thumbs"])


@needs_browser
def test_every_segment_has_its_pictures_and_controls_that_a_keyboard_reaches(page: Path) -> None:
    result = json.loads(
        in_browser(
            page,
            """document.body.dataset.result = JSON.stringify([...document.querySelectorAll('.segment')].map((s) => ({
              name: s.getAttribute('aria-label'), tab: s.tabIndex, pictures: s.querySelectorAll('img').length,
              buttons: [...s.querySelectorAll('.do button')].map((b) => b.textContent),
              nameless: [...s.querySelectorAll('button, input, select')].filter((e) => !e.textContent.trim() &&
                !e.ariaLabel && !e.closest('label')).length })));""",
        )
    )
    assert [part["name"] for part in result] == [
        "Segment 1: 0:00.00 to 0:02.00, 2.00 s",
        "Segment 2: 0:02.00 to 0:02.50, 0.50 s",
        "Segment 3: 0:02.50 to 0:06.00, 3.50 s",
    ]
    assert [part["pictures"] for part in result] == [7, 5, 7]
    for part in result:
        assert part["tab"] == 0
        assert part["nameless"] == 0
        assert part["buttons"] == ["Accept", "Reject", "Merge with next", "Split"]


@needs_browser
def test_accept_reject_kind_merge_split_and_undo_end_in_decisions_that_validate(page: Path) -> None:
    script = """
      const part = (n) => document.querySelectorAll('.segment')[n];
      const press = (n, name) => [...part(n).querySelectorAll('.do button')]
        .find((b) => b.textContent === name).click();
      press(0, 'Reject');
      press(1, 'Merge with next');
      const field = part(1).querySelector('input'); field.value = '4.1'; press(1, 'Split');
      press(2, 'Accept');
      const kind = part(1).querySelector('select'); kind.value = 'other'; kind.onchange();
      press(1, 'Accept'); document.getElementById('undo').click();
      const status = document.getElementById('status').textContent;
      part(1).querySelector('input').value = '99'; press(1, 'Split');
      document.body.dataset.result = JSON.stringify({ decisions: decisions(), status,
        refused: document.getElementById('status').textContent });
    """
    result = json.loads(in_browser(page, script))
    decisions = Decisions.model_validate(result["decisions"])
    assert [(s.first, s.last, s.kind, s.verdict) for s in decisions.segments] == [
        (0, 20, "title", "reject"),
        (20, 41, "other", None),
        (41, 60, "tissue", "accept"),
    ]
    assert (decisions.video_id, decisions.sha256, decisions.frames, decisions.candidates) == (
        "v",
        "ab" * 32,
        60,
        "c0ffee",
    )
    assert result["status"] == "3 segments, 1 accepted, 1 rejected, not saved"
    assert result["refused"] == "99 s is not inside segment 2"


@needs_browser
def test_keys_decide_move_and_undo_but_not_while_a_number_is_typed(page: Path) -> None:
    script = """
      const part = (n) => document.querySelectorAll('.segment')[n];
      const key = (element, key) => element.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
      part(0).focus(); key(document.activeElement, 'a'); key(document.activeElement, 'j');
      const second = document.activeElement === part(1);
      key(document.activeElement, 'r'); key(document.activeElement, 'm'); key(document.activeElement, 'u');
      key(part(2).querySelector('input'), 'r');
      document.body.dataset.result = JSON.stringify([second, state.segments.map((s) => s.verdict)]);
    """
    assert json.loads(in_browser(page, script)) == [True, ["accept", "reject", None]]


@needs_browser
def test_a_picture_splits_at_its_own_frame_and_saving_downloads_a_file_named_after_the_lecture(page: Path) -> None:
    script = """
      const links = [];
      HTMLAnchorElement.prototype.click = function () { links.push([this.download, this.href.slice(0, 5)]); };
      const part = (n) => document.querySelectorAll('.segment')[n];
      part(2).querySelectorAll('.strip button')[3].click();
      [...part(2).querySelectorAll('.do button')].find((b) => b.textContent === 'Split').click();
      document.getElementById('save').click();
      document.body.dataset.result = JSON.stringify([state.segments.map((s) => s.first), links, state.saved]);
    """
    firsts, links, saved = json.loads(in_browser(page, script))
    assert firsts == [0, 20, 25, 42]
    assert links == [["v.decisions.json", "blob:"]]
    assert saved is True


@needs_browser
def test_the_page_fits_a_telephone(page: Path) -> None:
    script = """
      const frame = document.createElement('iframe'); frame.style.cssText = 'width:360px;height:640px;border:0';
      frame.srcdoc = document.documentElement.outerHTML.replace(/<script>const frame[^]*?<.script>/, '');
      frame.onload = () => { const page = frame.contentDocument.documentElement;
        document.body.dataset.result = JSON.stringify([page.scrollWidth, page.clientWidth]); };
      document.body.append(frame);
    """
    width, window = json.loads(in_browser(page, script.strip()))
    assert width <= window


def test_a_folder_without_a_run_and_inputs_of_another_run_are_refused(tmp_path: Path, page: Path) -> None:
    with pytest.raises(UserError, match=r"holds no run\.json"):
        write_reviews(tmp_path, [page.parent / "v.mp4"])
    entry = {"video_id": "v", "source": "w.mp4", "sha256": "00", "frames": 60, "fps": 10, "candidates": "c"}
    (tmp_path / "run.json").write_text(json.dumps({"lectures": [entry]}))
    (tmp_path / "segments.jsonl").write_text("")
    with pytest.raises(UserError, match=r"none of the inputs is a video.*w\.mp4"):
        write_reviews(tmp_path, [page.parent / "v.mp4"])
    assert file_sha256(page.parent / "v.mp4") != "00"
