import pytest

from videopath_hf.curation.cases import find_cases
from videopath_hf.curation.settings import CaseSettings
from videopath_hf.curation.terms import (
    find_organ,
    organs,
    related,
    shown_case,
    shown_diagnosis,
    spoken_case,
    spoken_diagnosis,
)
from videopath_hf.records import RemovedText, Segment, Sentence


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The diagnosis is melanosis coli, a benign condition linked to laxative use.", "Melanosis coli"),
        ("Blunting and lymphocytes support the diagnosis of celiac disease.", "Celiac disease"),
        ("This confirms the diagnosis of a tubular adenoma.", "Tubular adenoma"),
        ("We made a diagnosis of granular cell tumor because it stained.", "Granular cell tumor"),
        ("The picture is consistent with eosinophilic esophagitis.", "Eosinophilic esophagitis"),
        ("So the final diagnosis is, uh, unclear.", None),
        ("The diagnosis is therefore the signet ring cell carcinoma.", "Signet ring cell carcinoma"),
        ("The diagnosis is FHL2-positive colonic mucosa.", "FHL2-positive colonic mucosa"),
        ("No dysplasia, consistent with hyperplastic polyp.", "Hyperplastic polyp"),
        ("The diagnosis is made on morphology.", None),
        ("The diagnosis is not easy here.", None),
        ("The differential diagnosis is Crohn disease.", None),
        ("These changes do not support the diagnosis of sarcoma.", None),
        ("There is nothing to suggest the diagnosis of lymphoma.", None),
        ("The crypts are crowded.", None),
    ],
)
def test_spoken_diagnoses_are_trimmed_and_denied_ones_are_none(text: str, value: str | None) -> None:
    found = spoken_diagnosis(text)
    assert (found.value if found else None) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Diagnosis: celiac disease", "Celiac disease"),
        ("DIAGNOSIS - Melanosis coli", "Melanosis coli"),
        ("Final diagnosis:tubular adenoma", "Tubular adenoma"),
        ("Differential diagnosis: Crohn disease", None),
        ("Making a diagnosis", None),
    ],
)
def test_shown_diagnoses_are_read_from_labels(text: str, value: str | None) -> None:
    found = shown_diagnosis(text)
    assert (found.value if found else None) == value


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Case 1: duodenal biopsy", 1),
        ("Case2", 2),
        ("CASE #3", 3),
        ("case two", 2),
        ("Two cases", None),
        ("Case", None),
    ],
)
def test_case_labels_are_read(text: str, number: int | None) -> None:
    assert shown_case(text) == number


@pytest.mark.parametrize(
    ("text", "cue"),
    [
        ("The first patient has diarrhea.", 1),
        ("Compare this with the first case.", 1),
        ("Our second colonic biopsy is pale.", 2),
        ("In case three the glands are small.", 3),
        ("Let us go on to the next case.", "next"),
        ("Unlike the first case, this is benign.", None),
        ("We look at two biopsies.", None),
    ],
)
def test_spoken_case_cues_are_understood(text: str, cue: int | str | None) -> None:
    found = spoken_case(text)
    assert (None if found is None else found.number or "next") == cue


def test_an_organ_named_as_specimen_comes_before_a_passing_one() -> None:
    assert find_organ("Liver disease was known; this is a biopsy of the distal duodenum.") == "duodenum"
    assert find_organ("a colonic biopsy") == "colon"
    assert find_organ("bone marrow core") == "bone marrow"
    assert find_organ("colonoscopy was normal") is None


def test_the_organ_list_is_consistent() -> None:
    words = [word for organ in organs().values() for word in organ.words]
    assert len(words) == len(set(words))
    assert all(organ.part_of is None or organ.part_of in organs() for organ in organs().values())
    assert related("duodenum", "small bowel") and not related("duodenum", "colon")


def segments(*spans: tuple[float, float, str]) -> list[Segment]:
    return [
        Segment(video_id="x", index=number, start=start, end=end, kind=kind)  # type: ignore[arg-type]
        for number, (start, end, kind) in enumerate(spans)
    ]


LECTURE = segments(
    (0, 10, "title"), (10, 40, "tissue"), (40, 70, "tissue"), (70, 80, "tissue"), (80, 90, "tissue"), (90, 95, "title")
)


def say(start: float, end: float, text: str) -> Sentence:
    return Sentence(start=start, end=end, text=text)


def show(start: float, end: float, text: str) -> RemovedText:
    return RemovedText(text=text, box=(0, 0, 10, 10), start=start, end=end)


def summary(sentences: list[Sentence], texts: list[RemovedText]) -> list[tuple[list[int], str | None, str | None]]:
    return [
        (case.segments, case.organ.value if case.organ else None, case.diagnosis.value if case.diagnosis else None)
        for case in find_cases(LECTURE, sentences, texts, CaseSettings())
    ]


def test_spoken_cues_assign_segments_and_revisits() -> None:
    said = [
        say(2, 5, "The first patient has diarrhea."),
        say(11, 14, "This is a biopsy of the duodenum."),
        say(30, 36, "This supports the diagnosis of celiac disease."),
        say(39.4, 43, "The second case is a biopsy of the colon."),  # begins before the cut
        say(60, 65, "The diagnosis is melanosis coli, a benign condition."),
        say(71, 75, "Compare this with the first case."),
        say(81, 85, "In the colon the crypts are normal."),
    ]
    assert summary(said, []) == [
        ([1, 3], "duodenum", "Celiac disease"),
        ([2, 4], "colon", "Melanosis coli"),
    ]


def test_labels_alone_do_the_same() -> None:
    shown = [
        show(10, 20, "Case 1: duodenal biopsy"),
        show(30, 40, "Diagnosis: celiac disease"),
        show(40, 50, "Case 2: colon biopsy"),
        show(60, 70, "Diagnosis: melanosis coli"),
        show(70, 80, "Case 1"),
        show(80, 90, "Case 2"),
    ]
    found = find_cases(LECTURE, [], shown, CaseSettings())
    assert [(case.segments, case.diagnosis and case.diagnosis.value) for case in found] == [
        ([1, 3], "Celiac disease"),
        ([2, 4], "Melanosis coli"),
    ]
    evidence = found[0].diagnosis
    assert evidence is not None
    assert (evidence.source, evidence.start, evidence.end) == ("text", 30, 40)


def test_a_label_on_a_title_slide_names_the_segment_after_it() -> None:
    assert summary([], [show(0, 10, "Case 4: gastric biopsy")])[0][1] == "stomach"
    assert find_cases(LECTURE, [], [show(0, 10, "Case 4")], CaseSettings())[0].number == 4


def test_an_agenda_slide_says_nothing_about_the_segment_after_it() -> None:
    agenda = [show(0, 10, "Case 1: duodenum"), show(0, 10, "Case 2: colon"), show(40, 50, "Case 2")]
    assert [case for case, _, _ in summary([], agenda)] == [[1], [2, 3, 4]]


def test_an_introduction_that_names_all_cases_leads_to_the_first() -> None:
    said = [say(1, 4, "The first case is from the stomach."), say(4, 8, "The second case is a colon biopsy.")]
    assert find_cases(LECTURE, said, [], CaseSettings())[0].number == 1


def test_a_new_organ_after_a_cut_is_a_new_case_and_a_larger_name_of_the_same_organ_is_not() -> None:
    said = [
        say(11, 14, "A biopsy of the duodenum."),
        say(41, 44, "The small bowel is inflamed."),
        say(71, 74, "Here is a gastric biopsy."),
    ]
    assert [case for case, _, _ in summary(said, [])] == [[1, 2], [3, 4]]


def test_a_diagnosis_that_names_another_organ_is_no_new_case_and_does_not_name_the_cases_organ() -> None:
    shown = [
        show(10, 20, "Case 1: stomach biopsy"),
        show(41, 50, "Diagnosis: ectopic pancreas in stomach"),
        show(70, 80, "Case 2: liver biopsy"),
        show(82, 88, "Diagnosis: hemangioma"),
    ]
    assert summary([], shown) == [
        ([1, 2], "stomach", "Ectopic pancreas in stomach"),
        ([3, 4], "liver", "Hemangioma"),
    ]
    said = [say(12, 15, "This was resected from the stomach."), say(41, 44, "The diagnosis is ectopic pancreas.")]
    assert summary(said, []) == [([1, 2, 3, 4], "stomach", "Ectopic pancreas")]
    assert summary([say(41, 44, "The diagnosis is colonic adenoma.")], [])[0][1] == "colon"


def test_the_next_case_gets_the_next_number() -> None:
    assert [case for case, _, _ in summary([say(41, 44, "Now our next case.")], [])] == [[1], [2, 3, 4]]


def test_a_diagnosis_that_names_another_case_belongs_to_that_case() -> None:
    said = [
        say(11, 14, "The first case."),
        say(41, 44, "The second case."),
        say(50, 55, "In the first case the diagnosis was giardiasis."),
    ]
    assert summary(said, []) == [([1], None, "Giardiasis"), ([2, 3, 4], None, None)]


def test_a_case_about_which_nothing_is_said_has_no_organ_and_no_diagnosis() -> None:
    assert summary([], []) == [([1, 2, 3, 4], None, None)]


def test_of_equally_sure_diagnoses_the_last_counts_and_a_surer_one_beats_it() -> None:
    said = [say(12, 14, "A diagnosis of lymphoma came to mind."), say(20, 24, "The diagnosis is sarcoidosis.")]
    assert summary(said, [])[0][2] == "Sarcoidosis"
    said = [say(12, 14, "The diagnosis is lymphoma."), say(20, 24, "Now the diagnosis is sarcoidosis.")]
    assert summary(said, [])[0][2] == "Sarcoidosis"
