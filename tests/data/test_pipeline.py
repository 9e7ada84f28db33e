import json
from collections import Counter
from pathlib import Path

import pytest

from tests.instructions.curated_folder import CELIAC, MELANOSIS, make_clip, make_curated
from videopath_hf.data.pipeline import write_instructions
from videopath_hf.errors import UserError
from videopath_hf.files import read_records, write_records
from videopath_hf.instructions.describe import organ_tells
from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.records import InstructionRecord, Reject

BY_CLIP = InstructSettings(split_by="clip", test_fraction=0.3, questions_per_clip=3)


@pytest.fixture
def curated(tmp_path: Path) -> Path:
    make_curated(tmp_path / "curated")
    return tmp_path / "curated"


def records_of(out: Path) -> list[InstructionRecord]:
    return read_records(out / "instructions.jsonl", InstructionRecord)


def test_every_clip_gives_records_of_all_kinds(curated: Path, tmp_path: Path) -> None:
    summary = write_instructions(curated, tmp_path / "data", BY_CLIP)
    records = records_of(tmp_path / "data")
    counts = Counter((record.kind, record.split) for record in records)
    # Per case 2 of 3 clips train; the clip without a diagnosis trains too, on captions and descriptions.
    assert counts == {
        ("caption", "train"): 10,
        ("caption", "test"): 4,
        ("image", "train"): 8,
        ("image", "test"): 4,
        ("clip", "train"): 15,
        ("clip", "test"): 2,
        ("video", "train"): 12,
        ("video", "test"): 2,
    }
    assert summary.records == {
        kind: {split: counts[kind, split] for split in ("train", "test")}
        for kind in ("caption", "image", "clip", "video")
    }
    assert summary.diagnoses == {"Celiac disease": {"train": 2, "test": 1}, "Melanosis coli": {"train": 2, "test": 1}}
    assert summary.described_from == {"transcript": 7}
    assert len({record.id for record in records}) == len(records)


def test_an_answer_is_the_description_then_the_diagnosis_line(curated: Path, tmp_path: Path) -> None:
    write_instructions(curated, tmp_path / "data", BY_CLIP)
    record = next(record for record in records_of(tmp_path / "data") if record.id == "lecture_c00003_q0")
    assert record.answer == (
        "At higher power we find brown granular pigment in the lamina propria. "
        "The pigment lies inside macrophages, between the crypts.\nDiagnosis: Melanosis coli"
    )
    user, assistant = record.messages
    assert user["content"] == [
        {"type": "video", "path": record.media[0].path},
        {"type": "text", "text": record.question},
    ]
    assert assistant["content"] == [{"type": "text", "text": record.answer}]
    assert (record.writer, record.licence) == ("template", "unknown: not to be published")


def test_records_say_when_the_words_of_each_sentence_were_said(curated: Path, tmp_path: Path) -> None:
    write_instructions(curated, tmp_path / "data", BY_CLIP)
    records = {record.id: record for record in records_of(tmp_path / "data")}
    spoken = {
        "At higher power we find brown granular pigment in the lamina propria.": (0, 2),
        "The pigment lies inside macrophages, between the crypts.": (2, 4),
        "Diagnosis: Melanosis coli": (0, 2),
    }
    for name, sentences in (
        ("lecture_c00003_q0", list(spoken)),
        ("lecture_c00003_k1_c", list(spoken)[1:2]),
        ("lecture_c00003_k0_q0", list(spoken)),
    ):
        grounding = {item.text: (item.start, item.end) for item in records[name].grounding}
        assert grounding == {sentence: spoken[sentence] for sentence in sentences}
        assert {item.source for item in records[name].grounding} == {"transcript"}
    assert [item.text for item in records["lecture_c00099_d0"].grounding] == ["The surface is smooth."]


def test_a_clip_without_a_diagnosis_is_described_only(curated: Path, tmp_path: Path) -> None:
    write_instructions(curated, tmp_path / "data", BY_CLIP)
    records = [record for record in records_of(tmp_path / "data") if record.clip_id == "lecture_c00099"]
    assert {record.kind for record in records} == {"caption", "clip"}
    assert {record.answer for record in records} == {"The surface is smooth."}


def test_captions_are_single_sentences_without_a_question(curated: Path, tmp_path: Path) -> None:
    write_instructions(curated, tmp_path / "data", BY_CLIP)
    captions = [record for record in records_of(tmp_path / "data") if record.id.startswith("lecture_c00003_k")]
    assert [(record.answer, record.question) for record in captions if record.kind == "caption"] == [
        ("At higher power we find brown granular pigment in the lamina propria.", ""),
        ("The pigment lies inside macrophages, between the crypts.", ""),
    ]


def test_the_organ_is_left_out_where_it_tells_the_diagnosis(curated: Path, tmp_path: Path) -> None:
    auto = write_instructions(curated, tmp_path / "auto", BY_CLIP)
    assert not auto.organ_named
    assert any("organ" in note for note in auto.notes)
    assert not any("colon" in record.question for record in records_of(tmp_path / "auto"))
    always = write_instructions(curated, tmp_path / "always", BY_CLIP.model_copy(update={"name_organ": "always"}))
    assert always.organ_named
    assert any("colon tissue" in record.question for record in records_of(tmp_path / "always"))


def test_the_organ_tells_nothing_where_it_has_two_diagnoses(tmp_path: Path) -> None:
    clips = [make_clip(tmp_path, name, case) for name, case in (("a", CELIAC), ("b", MELANOSIS))]
    assert organ_tells(clips)
    assert not organ_tells([*clips, make_clip(tmp_path, "c", ("colon", "colitis"))])
    assert not organ_tells(clips[:1])
    # One case names its organ and the other does not: that difference tells as well.
    assert organ_tells([clips[0].model_copy(update={"organ": None}), clips[1]])


def test_a_clip_lies_on_disk_once_for_all_its_questions(curated: Path, tmp_path: Path) -> None:
    write_instructions(curated, tmp_path / "data", BY_CLIP)
    assert len(list((tmp_path / "data" / "videos").rglob("*.mp4"))) == 7
    source = curated / "clips" / "lecture_c00000.mp4"
    (copy,) = (tmp_path / "data" / "videos").rglob("lecture_c00000.mp4")
    assert copy.samefile(source)


def test_silent_clips_and_repeated_files_are_counted_rejects(tmp_path: Path) -> None:
    root = tmp_path / "curated"
    clips = make_curated(root)
    silent = make_clip(root, "lecture_c00050", CELIAC, [])
    wordless = make_clip(root, "lecture_c00051", None, ["Let us zoom in."])
    again = clips[0].model_copy(update={"clip_id": "lecture_c00052"})
    write_records(root / "clips.jsonl", [*clips, silent, wordless, again])
    summary = write_instructions(root, tmp_path / "data", BY_CLIP)
    assert summary.rejects == {
        "neither spoken nor shown text": 1,
        "nothing said or shown describes it": 1,
        "same file as an earlier clip": 1,
    }
    assert len(read_records(tmp_path / "data" / "rejects.jsonl", Reject)) == 3
    assert summary.clips == 7


def test_the_same_call_returns_at_once_and_another_one_is_refused(curated: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    first = write_instructions(curated, out, BY_CLIP)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name != ".lock"}
    assert write_instructions(curated, out, BY_CLIP) == first
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name != ".lock"} == before
    with pytest.raises(UserError, match="another input or configuration"):
        write_instructions(curated, out, BY_CLIP.model_copy(update={"seed": 1}))


def test_a_run_that_was_cut_short_is_completed(curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import videopath_hf.data.pipeline as pipeline

    write_instructions(curated, tmp_path / "whole", BY_CLIP)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pipeline, "write_card", killed)
        write_instructions(curated, tmp_path / "cut", BY_CLIP)
    write_instructions(curated, tmp_path / "cut", BY_CLIP)
    for name in ("instructions.jsonl", "README.md", "rejects.jsonl"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_run_is_written_down(curated: Path, tmp_path: Path) -> None:
    summary = write_instructions(curated, tmp_path / "data", BY_CLIP)
    run = json.loads((tmp_path / "data" / "run.json").read_text())
    assert run["settings"]["split_by"] == "clip"
    assert run["notes"] == summary.notes
    assert run["versions"]["videopath-hf"]
    assert run["prompts"] == {"questions": 2}


def test_one_lecture_cannot_be_parted_by_video(curated: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="set split_by=clip"):
        write_instructions(curated, tmp_path / "data", InstructSettings())
    write_instructions(curated, tmp_path / "data", BY_CLIP)  # as it says, in the same folder


def test_bad_curated_folders_are_named(curated: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a curated folder"):
        write_instructions(tmp_path / "nothing", tmp_path / "a", BY_CLIP)
    keyframe = curated / "keyframes" / "lecture_c00001_00.jpg"
    keyframe.unlink()
    with pytest.raises(UserError, match=r"lecture_c00001_00\.jpg of clip lecture_c00001 is missing"):
        write_instructions(curated, tmp_path / "b", BY_CLIP)
    keyframe.write_bytes(b"x")
    (curated / "clips" / "lecture_c00002.mp4").write_bytes(b"x")
    with pytest.raises(UserError, match=r"lecture_c00002\.mp4 is not the file"):
        write_instructions(curated, tmp_path / "c", BY_CLIP)


@pytest.mark.parametrize("field", ["clip", "keyframes"])
def test_paths_that_lead_out_of_the_curated_folder_are_refused(tmp_path: Path, field: str) -> None:
    root = tmp_path / "curated"
    clips = make_curated(root)
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    value = "../secret.mp4" if field == "clip" else ["../secret.mp4"]
    write_records(root / "clips.jsonl", [clips[0].model_copy(update={field: value}), *clips[1:]])
    with pytest.raises(UserError, match="leads out of"):
        write_instructions(root, tmp_path / "data", BY_CLIP)


def test_ids_that_repeat_or_cannot_name_files_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "curated"
    clips = make_curated(root)
    write_records(root / "clips.jsonl", [*clips, clips[0]])
    with pytest.raises(UserError, match="stands there 2 times"):
        write_instructions(root, tmp_path / "data", BY_CLIP)
    write_records(root / "clips.jsonl", [clips[0].model_copy(update={"clip_id": "../c"})])
    with pytest.raises(UserError, match="cannot name a file"):
        write_instructions(root, tmp_path / "data", BY_CLIP)


def test_a_pattern_that_does_not_compile_is_named(tmp_path: Path) -> None:
    from videopath_hf.settings import load_settings

    with pytest.raises(UserError, match=r"not_descriptive.*regular expression"):
        load_settings(InstructSettings, not_descriptive=["("])


def test_given_lists_decide_what_is_test(curated: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "test.txt"
    chosen.write_text("lecture_c00001\nlecture_c00004.mp4\n")
    settings = InstructSettings(split_by="lists", test_list=chosen)
    summary = write_instructions(curated, tmp_path / "data", settings)
    tested = {record.clip_id for record in records_of(tmp_path / "data") if record.split == "test"}
    assert tested == {"lecture_c00001", "lecture_c00004"}
    assert "parted by lists, which have clips of 1 source videos in both train and test" in summary.notes
    chosen.write_text("lecture_c00001\n")
    with pytest.raises(UserError, match="another input or configuration"):
        write_instructions(curated, tmp_path / "data", settings)
    with pytest.raises(ValueError, match="split_by=lists goes with"):
        InstructSettings(test_list=chosen)
