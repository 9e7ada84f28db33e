"""Quilt-VQA, PathVQA and PMC-VQA as they are published: read, made a dataset folder, written again, scored."""

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from videopath_hf.data.convert import convert
from videopath_hf.data.folder import read_instructions
from videopath_hf.data.formats.registry import format_named
from videopath_hf.data.reading import ReadOptions
from videopath_hf.data.sources import open_source
from videopath_hf.evaluation.metrics import MetricSettings, score_without_judge
from videopath_hf.records import InstructionRecord, RecordReject

QUILT: list[dict[str, Any]] = [
    {"id": 0, "image": "a.jpg", "question": "What is seen?", "answer": "Goblet cells", "answer_type": "OPEN",
     "context": "Here we see goblet cells."},
    {"id": 1, "image": "a.jpg", "question": "Is it malignant?", "answer": "No, it is a benign lesion.",
     "answer_type": "CLOSED", "yes_no_answer": "No"},
    {"id": 2, "image": "b.jpg", "conversations": [{"from": "human", "value": "<image>\nWhat now?"}],
     "answer": "Crypts", "answer_type": "other"},
]  # fmt: skip
PATHVQA = [
    {"image": "test_0001", "question": "is there necrosis?", "answer": "yes"},
    {"image": "train_0001", "question": "what is present?", "answer": "villi"},
]
PMC_1 = [
    {"Figure_path": "PMC1_F1.jpg", "Question": "What is shown?", "Answer": "Focal uptake",
     "Choice A": " A:Diffuse uptake ", "Choice B": " B:Focal uptake", 
     "Choice C": " C:None", "Choice D": " D:Cannot be said", "Answer_label": "B"},
]  # fmt: skip
PMC_2 = [
    {"": "0", "index": "7", "Figure_path": "PMC2_F1.jpg", "Caption": "A figure.", "Question": "Which stain?",
     "Choice A": "A:H&E", "Choice B": "B:PAS", "Choice C": "C:None", "Choice D": "D:Other",
     "Answer": "A", "split": "train"},
]  # fmt: skip


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 24), (200, 120, 160)).save(path)


def table(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path: Path, form: str | None = None, **options: Any) -> list[InstructionRecord]:
    found = list(open_source(path, ReadOptions(form), **options).read())
    assert not [item for item in found if isinstance(item, RecordReject)], found
    return [item for item in found if isinstance(item, InstructionRecord)]


def scored(records: list[InstructionRecord], answers: list[str]) -> list[tuple[str, float | None]]:
    said: dict[str, str | None] = {record.id: answer for record, answer in zip(records, answers, strict=True)}
    return [(score.metric, score.value) for score in score_without_judge(records, said, MetricSettings(encoder=None))]


def test_quilt_vqa_with_its_images_in_a_zip_file_becomes_a_folder_that_is_scored_by_kind_of_question(
    tmp_path: Path,
) -> None:
    (tmp_path / "quiltvqa_test_w_ans.json").write_text(json.dumps(QUILT))
    with zipfile.ZipFile(tmp_path / "quilt_vqa.zip", "w") as archive:
        for name in ("a.jpg", "b.jpg"):
            picture(tmp_path / name)
            archive.write(tmp_path / name, f"quilt_vqa/images/{name}")
            (tmp_path / name).unlink()
    source = open_source(tmp_path / "quiltvqa_test_w_ans.json", media=[tmp_path / "quilt_vqa.zip"])
    summary = convert(source, tmp_path / "out", format_named("videopath"))
    assert summary.records == {"image": {"test": 3}}
    records = read_instructions(tmp_path / "out", ["image"], "test")
    assert [record.id for record in records] == ["0", "1", "2"]
    assert [record.question for record in records] == ["What is seen?", "Is it malignant?", "What now?"]
    assert records[0].extra == {"task": "open", "context": "Here we see goblet cells."}
    assert records[1].extra == {"task": "closed", "yes_no": "no"}
    assert "Quilt agreement" in records[0].licence
    assert scored(records, ["cells", "No.", "the crypts"]) == [
        ("answer_word_recall", 0.5),
        ("yes_no_accuracy", 1),
        ("answer_word_recall", 1),
    ]
    # Answering "benign" alone is no "yes", as the published arithmetic has it.
    assert scored(records[1:2], ["It is benign"]) == [("yes_no_accuracy", 0)]


def test_pathvqa_images_are_found_by_their_bare_names_and_yes_and_no_are_closed_questions(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "test" / "test_0001.jpg")
    picture(tmp_path / "train_0001.png")
    (tmp_path / "qa.json").write_text(json.dumps(PATHVQA))
    records = read(tmp_path / "qa.json")
    assert [record.media[0].path for record in records] == ["images/test/test_0001.jpg", "train_0001.png"]
    assert [(record.split, record.extra) for record in records] == [
        ("test", {"task": "closed", "yes_no": "yes"}),
        ("train", {"task": "open"}),
    ]
    assert scored(records, ["Yes", "the villi"]) == [("yes_no_accuracy", 1), ("answer_word_recall", 1)]
    assert read(table(tmp_path / "qa.csv", PATHVQA))[0].extra == {"task": "closed", "yes_no": "yes"}


@pytest.mark.parametrize(("rows", "label", "split"), [(PMC_1, "B", "test"), (PMC_2, "A", "train")])
def test_both_versions_of_pmc_vqa_give_the_options_in_the_question_and_are_scored_by_letter_or_text(
    tmp_path: Path, rows: list[dict[str, str]], label: str, split: str
) -> None:
    picture(tmp_path / "figures" / rows[0]["Figure_path"])
    (record,) = read(table(tmp_path / "test.csv", rows))
    right = record.extra["choices"][label]
    assert record.media[0].path == f"figures/{rows[0]['Figure_path']}"
    assert record.split == split
    assert f"\n{label}: {right}\n" in record.question
    assert record.answer == f"{label}: {right}"
    assert scored([record], [label]) == scored([record], [right]) == [("choice_accuracy", 1)]
    assert scored([record], ["D"]) == [("choice_accuracy", 0)]


@pytest.mark.parametrize(
    ("form", "entries", "suffix"),
    [
        ("quilt-vqa", QUILT, ".json"),
        ("pathvqa", PATHVQA, ".csv"),
        ("pmc-vqa", PMC_1, ".csv"),
        ("pmc-vqa", PMC_2, ".csv"),
    ],
)
def test_what_is_written_again_reads_as_the_same_questions(
    tmp_path: Path, form: str, entries: list[dict[str, Any]], suffix: str
) -> None:
    (tmp_path / "in.json").write_text(json.dumps(entries))
    first = read(tmp_path / "in.json")
    convert(open_source(tmp_path / "in.json"), tmp_path / f"out{suffix}", format_named(form))
    again = read(tmp_path / f"out{suffix}")
    for one, other in zip(first, again, strict=True):
        for name in ("question", "answer", "media"):
            assert getattr(one, name) == getattr(other, name)
        for name in ("task", "yes_no", "choices", "answer_label"):
            assert one.extra.get(name) == other.extra.get(name)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({**QUILT[1], "yes_no_answer": "maybe"}, "a closed question needs yes or no as yes_no_answer, not 'maybe'"),
        ({**QUILT[0], "answer_type": "NUMBER"}, "answer_type is 'NUMBER'; accepted are OPEN"),
        ({**QUILT[0], "question": ""}, "'question' is missing"),
        ({**QUILT[0], "image": "../a.jpg"}, "leads out of the data's root"),
        ({**PATHVQA[0], "question": " "}, "the question is empty"),
        ({**PATHVQA[0], "answer": ""}, "the answer is empty"),
        ({**PMC_1[0], "Answer_label": "E"}, "the right option 'E' is not one of its options A, B, C, D"),
        ({**PMC_1[0], "Answer": "Diffuse uptake"}, "Answer 'Diffuse uptake' and Answer_label 'B' name two options"),
        ({**PMC_2[0], "Answer": "PAS"}, "the right option 'PAS' is not one of its options"),
    ],
)
def test_entries_that_make_no_question_are_rejected_with_their_reason(
    tmp_path: Path, entry: dict[str, Any], reason: str
) -> None:
    (tmp_path / "in.json").write_text(json.dumps([entry]))
    (reject,) = open_source(tmp_path / "in.json").read()
    assert isinstance(reject, RecordReject)
    assert reason in reject.reason
