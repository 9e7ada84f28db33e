from pathlib import Path

from tests.instructions.curated_folder import CELIAC, MELANOSIS, make_clip
from videopath_hf.instructions.template import NOT_DESCRIPTIVE, TemplateWriter
from videopath_hf.records import ClipRecord


def describe(clip: ClipRecord, *others: ClipRecord) -> tuple[tuple[str, ...], str] | None:
    description = TemplateWriter([clip, *others], NOT_DESCRIPTIVE).describe(clip)
    return description and (description.sentences, description.source)


def test_greetings_navigation_and_the_diagnosis_are_left_out(tmp_path: Path) -> None:
    assert describe(make_clip(tmp_path, "a", CELIAC)) == (
        (
            "The villi are short and blunted, and the crypts are crowded.",
            "There are lymphocytes inside the surface epithelium.",
        ),
        "transcript",
    )


def test_a_diagnosis_of_another_case_is_left_out_too(tmp_path: Path) -> None:
    clip = make_clip(tmp_path, "a", CELIAC, ["The villi are blunt.", "Unlike melanosis coli, there is no pigment."])
    assert describe(clip, make_clip(tmp_path, "b", MELANOSIS)) == (("The villi are blunt.",), "transcript")


def test_sentences_with_the_diagnosis_stay_where_asked_for(tmp_path: Path) -> None:
    clip = make_clip(tmp_path, "a", MELANOSIS)
    description = TemplateWriter([clip], NOT_DESCRIPTIVE, keep_diagnosis_sentences=True).describe(clip)
    assert description is not None
    assert "This is melanosis coli, a benign condition." in description.sentences


def test_findings_that_sound_like_navigation_are_kept(tmp_path: Path) -> None:
    said = [
        "At low power we see four fragments of small bowel mucosa.",
        "In this field the nuclei move towards the surface.",
        "No dysplasia and no malignancy.",
        "Next to the crypts there are eosinophils.",
    ]
    assert describe(make_clip(tmp_path, "a", CELIAC, said)) == (tuple(said), "transcript")


def test_without_descriptive_speech_the_shown_labels_describe(tmp_path: Path) -> None:
    labels = ("Case 1", "Crypt hyperplasia", "Ba", "Diagnosis: celiac disease", "Crypt hyperplasia")
    clip = make_clip(tmp_path, "a", CELIAC, ["Let us zoom in."], labels)
    assert describe(clip) == (("Crypt hyperplasia.",), "text")


def test_without_either_the_words_on_the_case_are_borrowed_but_only_from_its_own_case(tmp_path: Path) -> None:
    clip = make_clip(tmp_path, "a", MELANOSIS, ["Let us zoom in."])
    same = make_clip(tmp_path, "b", MELANOSIS, ["There is brown pigment."])
    other_case = make_clip(tmp_path, "c", CELIAC, ["The villi are blunt."])
    other_video = make_clip(tmp_path, "d", MELANOSIS, ["The crypts are straight."], video_id="second")
    assert describe(clip, same, other_case, other_video) == (("There is brown pigment.",), "case")
    labelled = make_clip(tmp_path, "e", MELANOSIS, [], ("Brown pigment",))
    assert describe(clip, other_case, labelled) == (("Brown pigment.",), "case")
    assert describe(clip, other_case, other_video) is None


def test_the_number_of_a_case_is_no_part_of_its_description(tmp_path: Path) -> None:
    said = ["The second case is a biopsy of the colon.", "In the second case the glands are pale."]
    assert describe(make_clip(tmp_path, "a", CELIAC, said)) == (
        ("In the second case the glands are pale.",),
        "transcript",
    )
    assert describe(make_clip(tmp_path, "a", CELIAC, said[:1], ("Case 2: colon biopsy",))) == (
        ("Colon biopsy.",),
        "text",
    )


def test_a_case_s_number_that_was_read_without_a_space_describes_nothing(tmp_path: Path) -> None:
    assert describe(make_clip(tmp_path, "a", CELIAC, [], ("Case1", "CASE NO.2", "Case2:"))) is None
    labels = ("Case2:colon biopsy", "Caseous", "Slide 3. Adenoma with 4 mitoses")
    assert describe(make_clip(tmp_path, "a", CELIAC, [], labels)) == (
        ("Colon biopsy.", "Caseous.", "Adenoma with 4 mitoses."),
        "text",
    )


def test_a_comparison_with_another_case_does_not_describe_this_one(tmp_path: Path) -> None:
    clip = make_clip(tmp_path, "a", MELANOSIS, ["Compare this with the first case, where crypts are crowded."])
    assert describe(clip) is None


def test_a_silent_clip_without_shown_text_has_no_description(tmp_path: Path) -> None:
    silent = make_clip(tmp_path, "a", CELIAC, [])
    assert describe(silent, make_clip(tmp_path, "b", CELIAC)) is None
