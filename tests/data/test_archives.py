"""Zip files nobody vouches for: what must not be read is named, the rest is read where it lies."""

import os
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from videopath_hf.data.archives import Archive
from videopath_hf.data.stores import MediaStores, as_file, bring
from videopath_hf.errors import UserError


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "name", ["../evil.mp4", "/evil.mp4", "a/../../evil.mp4", "..\\evil.mp4", "C:/evil.mp4", "a\nb.mp4"]
)
def test_a_member_whose_name_leads_out_is_never_read(tmp_path: Path, name: str) -> None:
    path = write_zip(tmp_path / "x.zip", {"good.mp4": b"good", name: b"evil"})
    archive = Archive(path)
    assert list(archive.members) == ["good.mp4"]
    assert "leads out" in next(iter(archive.refused.values()))


def test_a_zip_bomb_is_refused_by_its_ratio_and_not_unpacked(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"bomb.mp4": bytes(20 << 20), "small.json": bytes(1000)})
    archive = Archive(path)
    assert list(archive.members) == ["small.json"]
    assert "as zip bombs do" in archive.refused["bomb.mp4"]
    with pytest.raises(UserError, match="zip bombs"):
        MediaStores([path]).find("bomb.mp4")


def test_a_member_gives_no_more_than_its_header_says(tmp_path: Path) -> None:
    """A bomb that lies about its size."""
    path = write_zip(tmp_path / "x.zip", {"a.mp4": bytes(5 << 20)})
    data = bytearray(path.read_bytes())
    place = data.rfind(b"PK\x01\x02")
    packed = struct.unpack("<I", data[place + 20 : place + 24])[0]
    data[place + 24 : place + 28] = struct.pack("<I", packed)
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.mp4 is damaged"):
        Archive(path).extract("a.mp4", tmp_path / "out")
    assert (tmp_path / "out").stat().st_size <= packed


def test_an_encrypted_member_a_link_and_a_name_that_stands_twice_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("twice.mp4", b"1")
        archive.writestr("twice.mp4", b"2")
        link = zipfile.ZipInfo("link.mp4")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, b"/etc/passwd")
        archive.writestr("secret.mp4", b"x")
        archive.writestr("good.mp4", b"x")
    data = bytearray(path.read_bytes())
    place = data.find(b"secret.mp4", data.find(b"PK\x01\x02"))
    data[place - 46 + 8] |= 1  # the flag of the central directory
    path.write_bytes(data)
    opened = Archive(path)
    assert list(opened.members) == ["good.mp4"]
    assert opened.refused == {
        "twice.mp4": "its name stands in the archive 2 times",
        "link.mp4": "it is a link",
        "secret.mp4": "it is encrypted",
    }


def test_zip64_folders_and_resource_forks_are_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("Test_Videos")
        archive.writestr("__MACOSX/Test_Videos/._a.mp4", b"fork")
        with archive.open("Test_Videos/a.mp4", "w", force_zip64=True) as stream:
            stream.write(b"film")
    found = MediaStores([path]).find("Test_Videos/a.mp4")
    assert found is not None
    with as_file(found) as file:
        assert file.read_bytes() == b"film"
    assert not file.exists()


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"not a zip", lambda data: b""])
def test_a_damaged_zip_is_one_sentence(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = write_zip(tmp_path / "x.zip", {"a.mp4": os.urandom(5000)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="cannot be read as a zip file"):
        Archive(path)


def test_a_member_with_flipped_bits_is_damaged_and_leaves_nothing(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"a.mp4": os.urandom(5000)})
    data = bytearray(path.read_bytes())
    data[3000] ^= 0xFF
    path.write_bytes(data)
    found = MediaStores([path]).find("a.mp4")
    assert found is not None
    with pytest.raises(UserError, match=r"a\.mp4 is damaged"):
        bring(found, tmp_path / "out" / "a.mp4")
    assert list((tmp_path / "out").iterdir()) == []


def test_media_are_found_in_several_zips_by_name_or_by_its_end(tmp_path: Path) -> None:
    one = write_zip(tmp_path / "1.zip", {"Release/videos/a.mp4": b"a", "x/b.mp4": b"b1", "y/b.mp4": b"b2"})
    two = write_zip(tmp_path / "2.zip", {"c.mp4": b"c"})
    stores = MediaStores([one, two])
    assert stores.find("videos/a.mp4").place == f"{one}:Release/videos/a.mp4"  # type: ignore[union-attr]
    assert stores.find("c.mp4").place == f"{two}:c.mp4"  # type: ignore[union-attr]
    assert stores.find("x/b.mp4").size == 2  # type: ignore[union-attr]
    assert stores.find("ideos/a.mp4") is None
    with pytest.raises(UserError, match=r"several members that end in b\.mp4"):
        stores.find("b.mp4")


def test_the_same_name_with_other_content_in_two_zips_is_refused(tmp_path: Path) -> None:
    one, two = (write_zip(tmp_path / f"{n}.zip", {"a.mp4": n.encode()}) for n in ("1", "2"))
    with pytest.raises(UserError, match="each another one"):
        MediaStores([one, two]).find("a.mp4")
    two = write_zip(tmp_path / "2.zip", {"a.mp4": b"1"})
    assert MediaStores([one, two]).find("a.mp4") is not None


def test_a_link_out_of_the_folder_is_refused_and_a_missing_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (tmp_path / "root" / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    stores = MediaStores([tmp_path / "root"])
    with pytest.raises(UserError, match="leads out of"):
        stores.find("link.mp4")
    assert stores.find("none.mp4") is None
    assert stores.find("n" * 5000) is None
    with pytest.raises(UserError, match=r"neither a folder nor a \.zip"):
        MediaStores([tmp_path / "secret.mp4"])


def test_bringing_a_file_leaves_the_original_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    source = tmp_path / "root" / "a.mp4"
    source.write_bytes(b"film")
    source.chmod(0o600)
    found = MediaStores([tmp_path / "root"]).find("a.mp4")
    assert found is not None
    bring(found, tmp_path / "out" / "a.mp4")
    assert (tmp_path / "out" / "a.mp4").read_bytes() == b"film"
    assert stat.S_IMODE(source.stat().st_mode) == 0o600


def test_records_in_a_damaged_member_end_in_one_sentence(tmp_path: Path) -> None:
    from videopath_hf.data.sources import open_source

    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in.jsonl", "".join(f'{{"id": "{number}", "conversations": []}}\n' for number in range(9999)))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"in\.jsonl is damaged"):
        list(open_source(path).read())
