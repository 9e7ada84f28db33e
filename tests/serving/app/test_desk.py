"""Files in, answers and evidence out; everything has its limits, and what is over one gets a sentence."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.modeling.conftest import noise_frames
from tests.serving.app.conftest import MakeDesk, bring
from videopath_hf.errors import UserError
from videopath_hf.serving.app.desk import Desk
from videopath_hf.serving.app.intake import clean_name
from videopath_hf.serving.app.report import write_report
from videopath_hf.serving.app.visits import Said, Visit

MakeClip = Callable[..., Path]
pytestmark = pytest.mark.usefixtures("in_process")


def ask(desk: Desk, visit: Visit, question: str = "What is it?") -> list[Said]:
    list(desk.ask(visit, question))
    assert visit.case is not None
    return visit.case.turns[-1].said


def until(statuses: Iterator[str], wanted: Callable[[], bool]) -> None:
    """Follow until something is so."""
    for _ in statuses:
        if wanted():
            return
    raise AssertionError("it never was so")


def test_an_answer_grows_and_a_second_question_reuses_the_video(
    make_desk: MakeDesk, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videopath_hf.serving.app.desk._UPDATE_SECONDS", 0)
    desk = make_desk(settings={"max_new_tokens": 200})
    visit = bring(desk, make_clip(20))
    assert visit.case is not None
    statuses, texts = [], set()
    for status in desk.ask(visit, "  What is it? "):
        statuses.append(status)
        texts.add(visit.case.turns[0].said[0].text)
    assert "looks at the video" in statuses
    assert len(texts) > 2
    (first,) = visit.case.turns[0].said
    assert visit.case.turns[0].question == "What is it?"
    assert first.answer is not None and first.answer.frame_times == visit.case.medium.times
    assert first.answer.seconds["decode"] > 0
    (second,) = ask(desk, visit)
    assert second.answer is not None
    assert second.answer.seconds["decode"] == second.answer.seconds["vision"] == 0
    assert second.text == first.text


def test_an_image_is_answered_too(make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk()
    Image.fromarray(noise_frames(1)[0]).save(tmp_path / "slide.png")
    visit = bring(desk, tmp_path / "slide.png")
    (said,) = ask(desk, visit)
    assert said.answer is not None and said.answer.media == ["slide.png"]
    list(desk.measure(visit, 0, 0, whole=True))
    assert visit.case is not None and visit.case.measured[0].evidence is not None
    assert list(visit.case.measured[0].evidence.regions) == [0]


def test_two_models_answer_side_by_side(make_desk: MakeDesk, make_clip: MakeClip) -> None:
    desk = make_desk(models=2)
    one, two = ask(desk, bring(desk, make_clip(20)))
    assert (one.model, two.model) == ("tiny0", "tiny1")
    assert one.text == two.text != ""


def test_when_time_is_up_the_answer_ends_and_so_does_the_work(make_desk: MakeDesk, make_clip: MakeClip) -> None:
    desk = make_desk(settings={"max_new_tokens": 5000}, answer_seconds=1.5)
    visit = bring(desk, make_clip(20))
    (said,) = ask(desk, visit)
    assert said.stopped is not None and "1.5 s" in said.stopped
    assert said.answer is None
    (again,) = ask(make_quick(desk), visit)
    assert again.answer is not None


def make_quick(desk: Desk) -> Desk:
    """From now on answers are short."""
    for reader in desk.readers:
        reader.settings = reader.settings.model_copy(update={"max_new_tokens": 4})
    return desk


def test_stopping_keeps_what_was_said(make_desk: MakeDesk, make_clip: MakeClip) -> None:
    desk = make_desk(settings={"max_new_tokens": 5000})
    visit = bring(desk, make_clip(20))
    statuses = desk.ask(visit, "What is it?")
    assert visit.case is not None
    until(statuses, lambda: bool(visit.case and visit.case.turns and visit.case.turns[0].said[0].text))
    assert desk.stop(visit)
    list(statuses)
    (said,) = visit.case.turns[0].said
    assert said.stopped == "stopped"
    assert said.text


def test_a_page_that_closes_stops_its_work(make_desk: MakeDesk, make_clip: MakeClip) -> None:
    desk = make_desk(settings={"max_new_tokens": 5000})
    visit = bring(desk, make_clip(20))
    statuses = desk.ask(visit, "What is it?")
    until(statuses, lambda: bool(visit.case and visit.case.turns and visit.case.turns[0].said[0].text))
    statuses.close()  # type: ignore[attr-defined]
    other = bring(make_quick(desk), make_clip(20), "bob", "page2")
    assert ask(desk, other)[0].answer is not None


def test_a_case_that_is_replaced_stops_its_work(make_desk: MakeDesk, make_clip: MakeClip) -> None:
    desk = make_desk(settings={"max_new_tokens": 5000})
    visit = bring(desk, make_clip(20))
    case = visit.case
    assert case is not None
    statuses = desk.ask(visit, "What is it?")
    until(statuses, lambda: bool(case.turns and case.turns[0].said[0].text))
    desk.clear(visit)
    list(statuses)
    assert case.turns[0].said[0].stopped == "the file was taken away"
    assert not case.folder.exists()


def test_a_user_asks_one_question_at_a_time_in_all_pages(make_desk: MakeDesk, make_clip: MakeClip) -> None:
    desk = make_desk(settings={"max_new_tokens": 5000})
    visit, second = bring(desk, make_clip(20)), bring(desk, make_clip(20), session="tab2")
    statuses = desk.ask(visit, "What is it?")
    next(statuses)
    with pytest.raises(UserError, match="of yours is being worked on"):
        list(desk.ask(second, "What is it?"))
    assert second.case is not None and second.case.turns == []
    assert desk.stop(second)


def test_a_question_has_to_be_one(make_desk: MakeDesk, make_clip: MakeClip) -> None:
    desk = make_desk(questions=1, question_characters=20)
    visit = desk.visits.open("page", "ann")
    with pytest.raises(UserError, match="nothing to ask about yet"):
        list(desk.ask(visit, "What?"))
    visit = bring(desk, make_clip(6))
    for question, message in (
        (" ", "the question is blank"),
        ("x" * 21, "has 21 characters; 20 are accepted"),
        ("<|video_pad|>?", "holds the placeholder"),
    ):
        with pytest.raises(UserError, match=message):
            list(desk.ask(visit, question))
    assert visit.case is not None and visit.case.turns == []
    ask(desk, visit)
    with pytest.raises(UserError, match="1 questions were asked about this file"):
        list(desk.ask(visit, "What?"))


def test_a_failure_of_the_model_is_told_and_logged(
    make_desk: MakeDesk, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk = make_desk()
    visit = bring(desk, make_clip(6))

    def fail(*_: object) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(desk.readers[0], "ask", fail)
    (said,) = ask(desk, visit)
    assert said.stopped == "the model failed here; the server's log says why"
    assert "CUDA out of memory" in caplog.text


def test_videos_in_mind_are_few(make_desk: MakeDesk, make_clip: MakeClip) -> None:
    desk = make_desk(kept_videos=1)
    first, second = bring(desk, make_clip(6)), bring(desk, make_clip(7), "bob", "page2")
    ask(desk, first)
    ask(desk, second)
    (said,) = ask(desk, first)
    assert said.answer is not None and said.answer.seconds["decode"] > 0
    desk.clear(first)
    assert list(desk.readers[0]._sessions) == []


def test_evidence_is_measured_and_bounded(make_desk: MakeDesk, make_clip: MakeClip) -> None:
    desk = make_desk(settings={"evidence_frames": 1, "evidence_grid": 2})
    visit = bring(desk, make_clip(20))
    ask(desk, visit)
    case = visit.case
    assert case is not None
    statuses = list(desk.measure(visit, 0, 0, whole=False))
    assert "12 of 12 parts measured" in statuses
    (measured,) = case.measured
    assert measured.whole and measured.stopped is None  # the answer of a random model names no diagnosis
    assert measured.evidence is not None and measured.evidence.complete
    list(desk.measure(visit, 0, 0, whole=True))
    assert len(case.measured) == 1
    desk.readers[0].settings = desk.settings.model_copy(
        update={"limits": desk.limits.model_copy(update={"evidence_seconds": 1e-9})}
    )
    list(desk.measure(visit, 0, 0, whole=True))
    assert case.measured[0].stopped is not None and "time was up" in case.measured[0].stopped
    for turn, side in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        with pytest.raises(UserError, match="no such answer"):
            list(desk.measure(visit, turn, side, whole=True))


def test_files_have_to_fit(make_desk: MakeDesk, make_clip: MakeClip) -> None:
    desk = make_desk(file_mb=0.05, stored_mb=0.06)
    for length, message in ((0, "is empty"), (60_000, "has 0.1 MB, more than the 0.05 MB accepted")):
        with pytest.raises(UserError, match=message), desk.intake.receive(length):
            pass
    desk.intake.take_example(desk.visits.open("page", "ann"), 2)
    with pytest.raises(UserError, match="no room for another file"), desk.intake.receive(40_000):
        pass


def test_room_is_kept_for_files_on_their_way(make_desk: MakeDesk) -> None:
    desk = make_desk(file_mb=50, stored_mb=60)
    with desk.intake.receive(40_000_000) as path:
        with pytest.raises(UserError, match="no room"), desk.intake.receive(40_000_000):
            pass
        path.write_bytes(b"x")
    with pytest.raises(ConnectionError), desk.intake.receive(40_000_000) as broken:
        broken.write_bytes(b"half of it")
        raise ConnectionError
    assert not broken.parent.exists()


def test_a_file_that_is_refused_is_deleted_and_the_case_before_stays(
    make_desk: MakeDesk, make_clip: MakeClip, tmp_path: Path
) -> None:
    desk = make_desk()
    visit = bring(desk, make_clip(6))
    before = visit.case
    (tmp_path / "notes.mp4").write_text("words")
    folders = set(desk.storage.root.iterdir())
    with pytest.raises(UserError, match="is not a video"):
        bring(desk, tmp_path / "notes.mp4")
    assert visit.case is before
    assert set(desk.storage.root.iterdir()) == folders
    with pytest.raises(UserError, match="no file came in"):
        desk.intake.accept(visit)


def test_examples_are_cases_like_others(make_desk: MakeDesk) -> None:
    desk = make_desk()
    visit = desk.visits.open("page", "ann")
    for number, kind in ((0, "video"), (2, "image")):
        desk.intake.take_example(visit, number)
        assert visit.case is not None and visit.case.medium.kind == kind
    for number in (-1, 3):
        with pytest.raises(UserError, match="no such example"):
            desk.intake.take_example(visit, number)


def test_the_report_holds_everything_and_runs_nothing(make_desk: MakeDesk, make_clip: MakeClip) -> None:
    desk = make_desk(settings={"evidence_frames": 1, "evidence_grid": 2})
    desk.readers[0].model.config._commit_hash = "0123abcd"
    visit = bring(desk, make_clip(20), name="<img src=x onerror=alert(1)>.mp4")
    with pytest.raises(UserError, match="nothing to report yet"):
        write_report(desk, visit)
    (said,) = ask(desk, visit, "<script>alert(2)</script>")
    said.text = "Crypts <b>& glands</b>.\nDiagnosis: <i>colitis</i> type"
    list(desk.measure(visit, 0, 0, whole=True))
    page = write_report(desk, visit)
    for raw in ("<script", "<img src=x", "<b>&", "<i>colitis", "http://", "https://"):
        assert raw not in page
    for shown in (
        "&lt;script&gt;alert(2)&lt;/script&gt;",
        "&lt;i&gt;colitis&lt;/i&gt; type",
        "Research software: not a medical device",
        "tiny0, revision 0123abcd",
        "size: A4",
        "Method: occlusion",
        " UTC",
    ):
        assert shown in page
    assert page.count("data:image/jpeg;base64,") == 4 + 1
    assert page.count("data:image/png;base64,") == 1


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\slides\\a.mp4", "a.mp4"),
        ("a\u202eb\x00\n.mp4", "ab.mp4"),
        ("", "the file"),
        ("..//", ".."),
        ("x" * 200, "x" * 79 + "…"),
    ],
)
def test_names_are_only_shown(given: str, shown: str) -> None:
    assert clean_name(given) == shown
