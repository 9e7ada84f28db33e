"""Files are written whole or not at all, read with clear errors, and never out of their root."""

from pathlib import Path

import pytest

from videopath_hf import files
from videopath_hf.errors import UserError
from videopath_hf.records import Reject, Sentence


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), files.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_folder_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "data"
    target.mkdir()
    (target / "kept").touch()
    with pytest.raises(RuntimeError), files.atomic_dir(target) as temporary:
        (temporary / "half").touch()
        raise RuntimeError
    assert [path.name for path in tmp_path.rglob("*")] == ["data", "kept"]


def test_records_survive_a_round_trip(tmp_path: Path) -> None:
    sentences = [
        Sentence(start=0, end=1.5, text="Villi, \u201cshort\u201d\u2028blunt."),
        Sentence(start=2, end=3, text="b"),
    ]
    assert files.write_records(tmp_path / "s.jsonl", sentences) == 2
    assert files.read_records(tmp_path / "s.jsonl", Sentence) == sentences


def test_a_bad_line_is_named_with_file_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    files.write_records(path, [Reject(video_id="v", source="v.mp4", start=0, end=1, step="probe", reason="broken")])
    path.write_text(path.read_text() + '{"video_id": "w"}\n')
    with pytest.raises(UserError, match=r"rejects\.jsonl:2: not a Reject: source"):
        files.read_records(path, Reject)


@pytest.mark.parametrize("relative", ["../secret.mp4", "/etc/passwd", "a/../../b.mp4"])
def test_a_path_that_leads_out_of_the_root_is_refused(tmp_path: Path, relative: str) -> None:
    with pytest.raises(UserError, match="leads out of"):
        files.resolve_inside(tmp_path, relative)


def test_a_link_that_leads_out_of_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside.mp4").touch()
    (tmp_path / "root" / "link.mp4").symlink_to(tmp_path / "outside.mp4")
    with pytest.raises(UserError, match="leads out of"):
        files.resolve_inside(tmp_path / "root", "link.mp4")


def test_the_hash_depends_on_content_and_not_on_key_order() -> None:
    assert files.content_hash({"a": 1, "b": [2]}) == files.content_hash({"b": [2], "a": 1})
    assert files.content_hash({"a": 1}) != files.content_hash({"a": 2})
