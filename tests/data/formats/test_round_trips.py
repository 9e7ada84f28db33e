"""What is written in a format reads back as the same records, and the same file."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from videopath_hf.data.convert import convert
from videopath_hf.data.formats.base import EntryError, make_record, simple_messages
from videopath_hf.data.formats.llava import LLAVA, from_record
from videopath_hf.data.formats.registry import FORMATS, format_named
from videopath_hf.data.reading import ReadOptions
from videopath_hf.data.sources import open_source
from videopath_hf.records import InstructionRecord, Media, RecordReject

WORDS = ["crypts", "Ödem", "<b>", "\n", "\t", '"', "\\", "👩‍⚕️", " ", "Diagnosis: x\n",
         ",", "\u2028", "na\u00efve", "%", "; "]  # fmt: skip


def words(rng: random.Random) -> str:
    return "a" + "".join(rng.choice(WORDS) for _ in range(rng.randint(1, 9))) + "z"


def records(count: int, media_type: str | None = None, turns: int | None = None) -> list[InstructionRecord]:
    """Random conversations; with a media type, of one medium each."""
    rng = random.Random(7)
    made = []
    for number in range(count):
        kind: Any = media_type or rng.choice(["image", "video"])
        suffix = {"image": ".jpg", "video": ".mp4"}[kind]
        media = [
            Media(type=kind, path=f"f/{number}/é {place}{suffix}")
            for place in range(1 if media_type else rng.randint(0, 3))
        ]
        messages: list[dict[str, Any]] = [{"role": "system", "content": words(rng)}] if turns is None else []
        for turn in range(turns or rng.randint(1, 3)):
            blocks: list[dict[str, Any]] = [{"type": "text", "text": words(rng)}]
            if turn == 0:
                blocks = []
                for item in media:
                    if rng.random() < 0.4 and not media_type:
                        blocks.append({"type": "text", "text": words(rng)})
                    blocks.append({"type": item.type, "path": item.path})
                blocks.append({"type": "text", "text": words(rng)})
            messages += [
                {"role": "user", "content": blocks},
                {"role": "assistant", "content": [{"type": "text", "text": words(rng)}]},
            ]
        values = {
            "kind": rng.choice(["image", "clip", "video"]),
            "clip_id": f"c{number}",
            "video_id": f"v{number}",
            "question": words(rng),
            "answer": words(rng),
            "description": words(rng),
            "split": rng.choice(["train", "test"]),
            "organ": rng.choice([None, "colon"]),
            "start": rng.choice([None, 1.5]),
            "source": words(rng),
            "licence": words(rng),
            "writer": "w",
            "prompt_hash": "h",
            "grounding": rng.choice([[], [{"text": words(rng), "source": "text", "start": 1.5, "end": 2.0}]]),
            "extra": rng.choice([{}, {"pmc_id": "PMC1", "more": [1, None]}]),
        }
        made.append(InstructionRecord(id=f"r{number}", media=media, messages=messages, **values))
    return made


def read(path: Path, form: str | None = None) -> list[InstructionRecord]:
    found = list(open_source(path, ReadOptions(form)).read())
    assert not [item for item in found if isinstance(item, RecordReject)], found
    return [item for item in found if isinstance(item, InstructionRecord)]


def write_jsonl(path: Path, entries: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def own_question(record: InstructionRecord) -> InstructionRecord:
    """A record whose question and answer are those of its first turns, as formats that hold no others give them."""
    said = {message["role"]: message["content"][-1]["text"] for message in record.messages[1::-1]}
    return record.model_copy(update={"question": said["user"].strip(), "answer": said["assistant"].strip()})


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
@pytest.mark.parametrize("form", ["llava", "vidrip-train", "quilt-llava", "pathasst"])
def test_llava_keeps_every_turn_medium_and_field(tmp_path: Path, form: str, suffix: str) -> None:
    given = records(120)
    source = write_jsonl(tmp_path / "in.jsonl", [record.model_dump(mode="json") for record in given])
    convert(open_source(source), tmp_path / f"out{suffix}", format_named(form))
    back = read(tmp_path / f"out{suffix}", form)
    same = {"question", "answer"}  # these follow from the conversation
    assert [record.model_dump(exclude=same) for record in back] == [
        record.model_dump(exclude=same) for record in given
    ]
    convert(open_source(tmp_path / f"out{suffix}"), tmp_path / f"again{suffix}", format_named(form))
    assert (tmp_path / f"again{suffix}").read_bytes() == (tmp_path / f"out{suffix}").read_bytes()


def test_this_packages_own_records_come_back_whole(tmp_path: Path) -> None:
    given = records(80)
    source = write_jsonl(tmp_path / "in.jsonl", [record.model_dump(mode="json") for record in given])
    convert(open_source(source), tmp_path / "out.jsonl", format_named("videopath"))
    assert read(tmp_path / "out.jsonl") == given


VIDRIP = [
    {"video_name": "slide.v1", "question": "Q: <é>?", "answer": "Flat villi.\nDiagnosis: x",
     "question_id": "7"},
    {"video_name": "b", "question": "What?", "answer": "A", "question_id": "8", "organ_hint": ["colon"]},
]  # fmt: skip
QUILT = {
    "": "0", "caption": 'two\nlines, "quoted"', "image_path": "a_image_0a1b2c3d-0000-0000-0000-0123456789ab.jpg",
    "subset": "quilt", "split": "val", "pathology": "['GI']", "roi_text": "", "noisy_text": "n", "corrected_text": "c",
    "med_umls_ids": "[]", "magnification": "2", "height": "10", "width": "20",
}  # fmt: skip
PATHCAP = [{"caption": "Näevus", "pmc_id": "PMC12", "figure_fn": "f1.jpg", "more": 1}]
PAIRS = [{"id": "x", "image": "a.jpg", "caption": "A."}, {"id": "y", "video": "b.mp4", "caption": "B."}]


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
@pytest.mark.parametrize(
    ("form", "entries"),
    [("vidrip-test", VIDRIP), ("pathcap", PATHCAP), ("captions", [{**pair, "split": "test"} for pair in PAIRS])],
)
def test_released_entries_come_back_as_they_were(
    tmp_path: Path, form: str, entries: list[dict[str, Any]], suffix: str
) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", entries)
    convert(open_source(source), tmp_path / f"out{suffix}", format_named(form))
    text = (tmp_path / f"out{suffix}").read_text()
    back = json.loads(text) if suffix == ".json" else [json.loads(line) for line in text.splitlines()]
    assert back == entries


@pytest.mark.parametrize(
    ("form", "media_type"), [("vidrip-test", "video"), ("captions", "video"), ("captions", "image")]
)
def test_formats_of_one_exchange_keep_medium_question_and_answer(tmp_path: Path, form: str, media_type: str) -> None:
    given = [own_question(record) for record in records(60, media_type, turns=1)]
    source = write_jsonl(tmp_path / "in.jsonl", [record.model_dump(mode="json") for record in given])
    convert(open_source(source), tmp_path / "out.json", format_named(form))
    back = read(tmp_path / "out.json", form)
    assert [record.media for record in back] == [record.media for record in given]
    assert [record.answer for record in back] == [record.answer for record in given]
    if form == "vidrip-test":
        assert [record.question for record in back] == [record.question for record in given]


def test_a_quilt_table_comes_back_row_for_row(tmp_path: Path) -> None:
    import csv

    columns = [name for name in QUILT if name]
    with (tmp_path / "quilt_1M_lookup.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, QUILT)
        table.writeheader()
        table.writerows([QUILT, {**QUILT, "split": "train", "caption": "Plain"}])
    source = open_source(tmp_path / "quilt_1M_lookup.csv")
    summary = convert(source, tmp_path / "out.csv", format_named("quilt-1m"))
    with (tmp_path / "out.csv").open(newline="") as stream:
        back = list(csv.DictReader(stream))
    assert back[0] == {name: QUILT[name] for name in columns}
    assert [row["split"] for row in back] == ["val", "train"]
    assert summary.dropped_fields == {}
    first = next(iter(read(tmp_path / "quilt_1M_lookup.csv")))
    assert (first.split, first.kind, first.video_id) == ("test", "caption", "a")
    assert "Quilt agreement" in first.licence
    assert first.extra["magnification"] == "2"


def test_fields_that_a_table_has_no_column_for_are_counted(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", PATHCAP)
    summary = convert(open_source(source), tmp_path / "out.csv", format_named("pathcap"))
    assert summary.dropped_fields == {"more": 1}


@pytest.mark.parametrize(
    ("entry", "form"),
    [
        ({"id": "1", "image": "a.jpg", "conversations": []}, "llava"),
        (VIDRIP[0], "vidrip-test"),
        ({name: value for name, value in QUILT.items()}, "quilt-1m"),
        (PATHCAP[0], "pathcap"),
        (PAIRS[1], "captions"),
        (records(1)[0].model_dump(mode="json"), "videopath"),
    ],
)
def test_a_file_tells_its_format(tmp_path: Path, entry: dict[str, Any], form: str) -> None:
    source = open_source(write_jsonl(tmp_path / "in.jsonl", [entry]))
    assert source.parts[0].file.form() is FORMATS[form]


def test_words_that_are_a_placeholder_are_not_written_as_one() -> None:
    record = records(1, "image", turns=1)[0]
    record.messages[0]["content"][-1]["text"] = "what does <image> mean"
    with pytest.raises(EntryError, match="takes for a placeholder"):
        from_record(record)


def test_images_and_videos_in_one_record_are_not_written_as_llava() -> None:
    media = [Media(type="image", path="a.jpg"), Media(type="video", path="b.mp4")]
    record = records(1)[0].model_copy(update={"media": media, "messages": simple_messages(media, "q", "a")})
    with pytest.raises(EntryError, match="not both"):
        LLAVA.from_record(record)


def test_several_media_do_not_fit_a_format_of_one() -> None:
    record = next(record for record in records(50) if len(record.media) == 2)
    for form in ("vidrip-test", "quilt-1m", "pathcap", "captions"):
        with pytest.raises(EntryError, match="one medium"):
            FORMATS[form].from_record(record)


def test_make_record_refuses_an_empty_answer() -> None:
    from videopath_hf.data.formats.base import Origin

    origin = Origin("s", 0, "train", "l", lambda paths: paths[0])
    with pytest.raises(EntryError, match="answer is empty"):
        make_record(origin, "x", [], simple_messages([], "q", " \n"))
