"""Every entry that cannot be taken is named with its place and its reason; the others are read."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from videopath_hf.data.formats import entries as entries_module
from videopath_hf.data.formats.entries import read_entries
from videopath_hf.data.reading import ReadOptions
from videopath_hf.data.sources import open_source
from videopath_hf.errors import UserError
from videopath_hf.records import InstructionRecord, RecordReject

TURNS = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "Flat villi."}]
GOOD: dict[str, Any] = {"id": "good", "video": "a.mp4", "conversations": TURNS}


def change(**values: Any) -> dict[str, Any]:
    return {**GOOD, "id": "bad", **values}


def said(question: str, answer: str = "A.") -> list[dict[str, str]]:
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


def read(path: Path, form: str | None = None) -> tuple[list[InstructionRecord], list[RecordReject]]:
    found = list(open_source(path, ReadOptions(form)).read())
    records = [item for item in found if isinstance(item, InstructionRecord)]
    return records, [item for item in found if isinstance(item, RecordReject)]


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (change(conversations=[{"from": "doctor", "value": "x"}, TURNS[1]]), "unknown role 'doctor'"),
        (change(conversations=said("no placeholder")), "0 placeholders <image> for 1 media"),
        (change(conversations=said("<image><image>")), "2 placeholders <image> for 1 media"),
        (change(conversations=said("<video>\nWhat?")), "of a video too it is <image>"),
        (change(conversations=said("<image>", "see <image>")), "an answer holds a placeholder"),
        (change(conversations=said("<image>", " \n ")), "the answer is empty"),
        (change(conversations=TURNS[::-1]), "its turns are assistant, user"),
        (change(conversations=TURNS[:1]), "its turns are user"),
        (change(conversations=[]), "not a list of turns"),
        (change(conversations=[*TURNS, "x"]), "a turn is not a mapping"),
        (change(conversations=[TURNS[0], {"from": "gpt", "value": None}]), "is NoneType, not text"),
        (change(video="../../etc/passwd"), "leads out of the data's root"),
        (change(video="/etc/passwd"), "leads out of the data's root"),
        (change(video="C:\\x.mp4"), "leads out of the data's root"),
        (change(video="a/../../x.mp4"), "leads out of the data's root"),
        (change(video=7), "is not a file name"),
        (change(video="a\0.mp4"), "is not a file name"),
        (change(image="b.jpg"), "nobody can tell which"),
        (change(id="good"), "stands in the file twice"),
        (change(videopath={"id": "other"}), "not one that this package wrote"),
        (change(videopath={"kind": "movie"}), "videopath.kind"),
        (change(note="\ud800"), "not UTF-8 text"),
        ("text", "it is str, not an object"),
    ],
)
def test_a_bad_llava_entry_is_a_reject_with_its_place(tmp_path: Path, entry: Any, reason: str, suffix: str) -> None:
    path = tmp_path / f"in{suffix}"
    given = [GOOD, entry, {**GOOD, "id": "after"}]
    path.write_text(json.dumps(given) if suffix == ".json" else "".join(json.dumps(item) + "\n" for item in given))
    records, rejects = read(path, "llava")
    assert [record.id for record in records] == ["good", "after"]
    assert [reject.where for reject in rejects] == ["item 2" if suffix == ".json" else "line 2"]
    assert reason in rejects[0].reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id": "half', "it is not JSON"),
        (b'{"id": NaN}', "NaN is not JSON"),
        (b"\xff\xfe{}", "not UTF-8 text"),
        (b"[" * 100_000, "it is not JSON"),
        (b"1" * 5000, "it is not JSON"),
    ],
)
def test_a_malformed_line_is_a_reject_and_the_next_line_is_read(tmp_path: Path, line: bytes, reason: str) -> None:
    good = json.dumps(GOOD).encode()
    (tmp_path / "in.jsonl").write_bytes(b"\xef\xbb\xbf" + good + b"\n\n" + line + b"\n" + good.replace(b"good", b"b"))
    records, rejects = read(tmp_path / "in.jsonl")
    assert [record.id for record in records] == ["good", "b"]
    assert rejects[0].where == "line 3"
    assert reason in rejects[0].reason


def test_bytes_that_are_no_utf8_in_a_list_spoil_their_own_entry_only(tmp_path: Path) -> None:
    text = json.dumps([GOOD, {**GOOD, "id": "bad", "note": "@"}, {**GOOD, "id": "c"}]).encode().replace(b"@", b"\xe9")
    (tmp_path / "in.json").write_bytes(text)
    records, rejects = read(tmp_path / "in.json")
    assert [record.id for record in records] == ["good", "c"]
    assert (rejects[0].where, rejects[0].id, rejects[0].reason) == ("item 2", "bad", "it is not UTF-8 text")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"id": 1}, {"id"', "item 2 is cut off"),
        ('[{"id": 1}', "cut off there"),
        ('[{"id": 1} {"id": 2}]', "follows it instead of"),
        ('[{"id": 1}] x', "goes on with 'x'"),
        ('{"id": 1}\n{"id": 2}', "does not hold a list"),
        ("", "does not hold a list"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_list_in_which_no_further_entry_can_be_found_is_an_error(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        list(read_entries(BytesIO(text.encode()), "in.json"))


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
def test_a_list_reads_the_same_whatever_part_of_it_is_in_memory(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [{"a": 'é"]}, \\u00e9 \u2028', "n": [1, 2.5e3, None]}, 12345, -7.25, "x", [], {}, True, {"b": {"c": []}}]
    monkeypatch.setattr(entries_module, "_CHUNK", chunk)
    for text in (json.dumps(values), json.dumps(values, indent=3, ensure_ascii=False), " [\n] "):
        found = [entry.value for entry in read_entries(BytesIO(text.encode()), "in.json")]
        assert found == (values if "a" in text else [])


def test_a_table_names_rows_that_do_not_fit_its_header(tmp_path: Path) -> None:
    rows = ["image,caption", "a.jpg,A", "b.jpg", "c.jpg,C,more", 'd.jpg,"two\nlines"', "../e.jpg,E", "f.jpg, "]
    (tmp_path / "in.csv").write_text("\ufeff" + "\n".join(rows) + "\n")
    with (tmp_path / "in.csv").open("ab") as stream:
        stream.write(b"g.jpg,\xe9\n")
    records, rejects = read(tmp_path / "in.csv")
    assert [record.answer for record in records] == ["A", "two\nlines"]
    assert [(reject.where, reject.reason.split(";")[0]) for reject in rejects] == [
        ("row 2", "it has 1 fields, the header has 2"),
        ("row 3", "it has 3 fields, the header has 2"),
        ("row 5", "path '../e.jpg' leads out of the data's root"),
        ("row 6", "the answer is empty"),
        ("row 7", "it is not UTF-8 text"),
    ]


def test_a_quote_that_is_never_closed_does_not_swallow_memory(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text('image,caption\na.jpg,A\nb.jpg,"open' + "x,y\n" * 100_000 + "c.jpg,C\n")
    records, rejects = read(tmp_path / "in.csv")
    assert [record.answer for record in records][:1] == ["A"]
    assert any("field larger than field limit" in reject.reason for reject in rejects)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"video_name": "../x", "question": "q", "answer": "a"}, "leads out"),
        ({"video_name": "x", "question": " ", "answer": "a"}, "the question is empty"),
        ({"video_name": "x", "question": "q"}, "field 'answer' is missing"),
        ({"video_name": "x", "question": ["q"], "answer": "a"}, "field 'question' is list"),
        ({"question": "q", "answer": "a"}, "field 'video_name' is missing"),
    ],
)
def test_a_bad_vidrip_entry_is_named(tmp_path: Path, entry: dict[str, Any], reason: str) -> None:
    good = {"video_name": "g", "question": "q", "answer": "a"}
    (tmp_path / "in.json").write_text(json.dumps([good, entry]))
    records, rejects = read(tmp_path / "in.json")
    assert [record.clip_id for record in records] == ["g"]
    assert reason in rejects[0].reason


def test_own_records_with_odd_messages_are_rejects_and_no_traceback(tmp_path: Path) -> None:
    good = read_one(tmp_path)
    odd: list[Any] = [
        {**good, "id": "a", "messages": [{"role": "user", "content": ["text"]}]},
        {**good, "id": "b", "messages": [{"content": "x"}]},
        {**good, "id": "c", "answer": ""},
        {**good, "id": "d", "colour": "red"},
        {**good, "id": "e", "media": []},
        {**good, "id": "f", "messages": [{"role": "user", "content": 5}]},
    ]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in [good, *odd]))
    records, rejects = read(tmp_path / "own.jsonl")
    assert [record.id for record in records] == ["good"]
    assert len(rejects) == len(odd)


def read_one(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "one.json").write_text(json.dumps([GOOD]))
    (record,), _ = read(tmp_path / "one.json")
    return record.model_dump(mode="json")


def test_what_no_format_fits_is_said_with_the_names_of_all(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('[{"colour": "red"}]')
    with pytest.raises(
        UserError, match=r"looks like no known format; name it with --from \(videopath, quilt-vqa, llava"
    ):
        read(tmp_path / "in.json")
    with pytest.raises(UserError, match="unknown format 'lava'"):
        read(tmp_path / "in.json", "lava")
    with pytest.raises(UserError, match="does not exist"):
        read(tmp_path / "none.json")
    (tmp_path / "in.txt").write_text("x")
    with pytest.raises(UserError, match=r"does not end in \.json"):
        read(tmp_path / "in.txt", "llava")
