import os
from pathlib import Path

import pytest

from videopath_hf.curation.inputs import find_lectures, slug
from videopath_hf.errors import UserError


def fill(*paths: Path) -> None:
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"video %d" % number)


def test_a_folder_gives_its_videos_in_order_without_sidecars_hidden_files_and_the_output(tmp_path: Path) -> None:
    fill(*(tmp_path / name for name in ("b.mp4", "a.MKV", "a.srt", ".c.mp4", "deep/d.mov", "out/clips/x.mp4")))
    found = find_lectures([tmp_path], tmp_path / "out")
    assert [(lecture.video_id, lecture.source) for lecture in found] == [
        ("a", "a.MKV"),
        ("b", "b.mp4"),
        ("d", "deep/d.mov"),
    ]


def test_files_of_one_stem_get_distinct_ids_whatever_their_order(tmp_path: Path) -> None:
    one, two, other = tmp_path / "1" / "talk.mp4", tmp_path / "2" / "Talk.mp4", tmp_path / "2" / "other.mp4"
    fill(one, two, other)
    ids = {lecture.path: lecture.video_id for lecture in find_lectures([one, two, other], tmp_path / "out")}
    turned = {lecture.path: lecture.video_id for lecture in find_lectures([other, two, one], tmp_path / "out")}
    assert ids == turned
    assert len(set(ids.values())) == 3 and ids[other] == "other" and ids[one].startswith("talk_")


def test_copies_of_one_file_get_distinct_ids_and_a_file_named_twice_is_one_input(tmp_path: Path) -> None:
    for name in ("1/a.mp4", "2/a.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"same")
    found = find_lectures([tmp_path, tmp_path / "1" / "a.mp4"], tmp_path / "out")
    assert len(found) == 2 and len({lecture.video_id for lecture in found}) == 2


def test_ids_are_safe_file_names() -> None:
    assert slug("Lecture 3: colon/ileum (é)") == "Lecture_3_colon_ileum"
    assert slug("...") == "video"


def test_wrong_inputs_are_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no input was given"):
        find_lectures([], tmp_path / "out")
    with pytest.raises(UserError, match="does not exist"):
        find_lectures([tmp_path / "absent.mp4"], tmp_path / "out")
    with pytest.raises(UserError, match="holds no video file"):
        find_lectures([tmp_path], tmp_path / "out")


def test_links_out_of_the_folder_or_to_nowhere_are_left_out_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    fill(tmp_path / "secret.mp4", folder / "a.mp4", tmp_path / "more" / "b.mp4")
    (folder / "out.mp4").symlink_to(tmp_path / "secret.mp4")
    (folder / "gone.mp4").symlink_to(tmp_path / "absent.mp4")
    (folder / "inside.mp4").symlink_to(folder / "a.mp4")
    (folder / "more").symlink_to(tmp_path / "more")
    os.mkfifo(folder / "pipe.mp4")
    notes: list[str] = []
    found = find_lectures([folder], tmp_path / "out", notes)
    assert [lecture.source for lecture in found] == ["a.mp4"]  # one file, one input
    assert [(note.split()[0], "link" in note or "no regular file" in note) for note in notes] == [
        ("gone.mp4", True), ("more", True), ("out.mp4", True), ("pipe.mp4", True),
    ]  # fmt: skip
    assert [x.source for x in find_lectures([folder / "out.mp4"], tmp_path / "out")] == ["out.mp4"]  # named: wanted


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(UserError, match="neither a file nor a folder"):
        find_lectures([tmp_path / "pipe.mp4"], tmp_path / "out")


def test_a_name_that_is_no_text_can_be_written_to_a_record(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/lect\xffure\n1.mp4"))
    path.write_bytes(b"x")
    (lecture,) = find_lectures([tmp_path], tmp_path / "out")
    assert lecture.source.encode() == b"lect\\xffure\n1.mp4"
    assert lecture.video_id == "lect_ure_1"
