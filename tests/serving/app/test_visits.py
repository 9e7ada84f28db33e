"""Whose files are whose, and when they go."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from videopath_hf.errors import UserError
from videopath_hf.serving.app import visits as module
from videopath_hf.serving.app.medium import Medium
from videopath_hf.serving.app.settings import Limits
from videopath_hf.serving.app.storage import Storage
from videopath_hf.serving.app.visits import Case, Visit, Visits


class Clock:
    """Time that tests move."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def forgotten() -> list[str]:
    return []


@pytest.fixture
def visits(tmp_path: Path, clock: Clock, forgotten: list[str]) -> Iterator[Visits]:
    storage = Storage(tmp_path)
    made = Visits(storage, Limits(visits=2, idle_minutes=30, leave_seconds=20), forgotten.append)
    made.close()  # tests sweep by hand
    yield made
    storage.close()


def make_case(visits: Visits, name: str = "clip.mp4") -> Case:
    folder = visits.storage.folder()
    (folder / "video").write_bytes(b"a patient's")
    medium = Medium(
        kind="video",
        file="video",
        played="video",
        played_type="video/mp4",
        width=80,
        height=60,
        seconds=2,
        frames=20,
        times=[0.0],
        thumbnails=["frame_000.jpg"],
    )
    return Case(folder.name, name, folder, medium)


def with_case(visits: Visits, session: str = "page", user: str = "ann") -> tuple[Visit, Case]:
    visit, case = visits.open(session, user), make_case(visits)
    visits.put(visit, case)
    return visit, case


def test_a_visit_is_its_browsers_alone(visits: Visits) -> None:
    visit, _ = with_case(visits)
    assert visits.of("page", "ann") is visits.by_id(visit.id, "ann") is visit
    for call in (lambda: visits.of("page", "bob"), lambda: visits.by_id(visit.id, "bob"), lambda: visits.of("p", "")):
        with pytest.raises(UserError, match="session is over"):
            call()


def test_another_browser_with_the_same_session_gets_a_visit_of_its_own(visits: Visits) -> None:
    visit, _ = with_case(visits)
    other = visits.open("page2", "bob")
    assert other.id != visit.id
    assert other.case is None


def test_what_was_left_is_deleted_after_a_while(visits: Visits, clock: Clock, forgotten: list[str]) -> None:
    _, case = with_case(visits)
    visits.leave("page")
    clock.now += 19
    visits.sweep()
    assert case.folder.exists()
    clock.now += 1
    visits.sweep()
    assert not case.folder.exists()
    assert forgotten == [case.id]
    with pytest.raises(UserError, match="session is over"):
        visits.of("page", "ann")


def test_a_page_that_comes_back_keeps_its_files(visits: Visits, clock: Clock) -> None:
    visit, case = with_case(visits)
    visits.leave("page")
    clock.now += 19
    visits.of("page", "ann")
    clock.now += 1000
    visits.sweep()
    assert case.folder.exists()
    assert visits.of("page", "ann") is visit


def test_what_is_not_used_is_deleted(visits: Visits, clock: Clock) -> None:
    visit, case = with_case(visits)
    visits.hold(visit, (incoming := visits.storage.folder(), "other.mp4"))
    clock.now += 30 * 60
    visits.sweep()
    assert not case.folder.exists()
    assert not incoming.exists()


def test_a_new_case_replaces_the_old_one(visits: Visits, forgotten: list[str]) -> None:
    visit, old = with_case(visits)
    new = make_case(visits)
    visits.put(visit, new)
    assert not old.folder.exists()
    assert new.folder.exists()
    assert forgotten == [old.id]


def test_a_file_that_comes_when_the_visit_is_over_is_deleted(visits: Visits, clock: Clock) -> None:
    visit = visits.open("page", "ann")
    clock.now += 30 * 60
    visits.sweep()
    folder, case = visits.storage.folder(), make_case(visits)
    for late in (lambda: visits.hold(visit, (folder, "clip.mp4")), lambda: visits.put(visit, case)):
        with pytest.raises(UserError, match="session is over"):
            late()
    assert not folder.exists()
    assert not case.folder.exists()


def test_only_so_many_pages_are_open(visits: Visits) -> None:
    visits.open("one", "ann")
    visits.open("two", "ann")
    with pytest.raises(UserError, match="2 pages are open"):
        visits.open("three", "ann")


@pytest.mark.parametrize("name", ["../video", "/etc/passwd", "incoming", "video.part", "", "frame_001.jpg"])
def test_a_case_gives_out_no_other_file(visits: Visits, name: str) -> None:
    _, case = with_case(visits)
    assert case.path("video") == case.folder / "video"
    with pytest.raises(UserError, match="no such file"):
        case.path(name)
