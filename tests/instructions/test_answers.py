import pytest

from videopath_hf.instructions.answers import format_answer, normalise_diagnosis, parse_answer


@pytest.mark.parametrize(
    ("text", "diagnosis"),
    [
        ("Blunt villi.\nDiagnosis: Celiac disease", "Celiac disease"),
        ("Blunt villi.\ndiagnosis: celiac disease.", "celiac disease"),
        ("Blunt villi.\n**Diagnosis:** Celiac disease", "Celiac disease"),
        ("Blunt villi.\n**Diagnosis**: **Celiac disease**", "Celiac disease"),
        ("Blunt villi.\nDiagnosis - Celiac disease", "Celiac disease"),
        ("Blunt villi.\n## Final diagnosis\nCeliac disease", "Celiac disease"),
        ("Blunt villi.\nDIAGNOSIS = Celiac disease\n", "Celiac disease"),
        ("Blunt villi. Diagnosis: Celiac disease", "Celiac disease"),
        ("Blunt villi.\nDiagnosis: colitis\nDiagnosis: Celiac disease", "Celiac disease"),
    ],
)
def test_a_diagnosis_is_found_however_it_is_written(text: str, diagnosis: str) -> None:
    assert parse_answer(text) == ("Blunt villi.", diagnosis)


@pytest.mark.parametrize(
    "text", ["Blunt villi.", "", "The diagnosis is hard to make here.", "Blunt villi.\nDiagnosis:"]
)
def test_without_a_diagnosis_there_is_none(text: str) -> None:
    assert parse_answer(text).diagnosis is None


def test_a_description_of_several_lines_is_kept() -> None:
    assert parse_answer("One.\n\nTwo.\nDiagnosis: x\nThree.").description == "One.\n\nTwo.\nThree."


def test_what_is_formatted_is_parsed_back() -> None:
    assert format_answer("Brown pigment.", "Melanosis coli") == "Brown pigment.\nDiagnosis: Melanosis coli"
    assert parse_answer(format_answer("Brown pigment.", "Melanosis coli")) == ("Brown pigment.", "Melanosis coli")
    assert parse_answer(format_answer("Brown pigment.", None)) == ("Brown pigment.", None)


def test_spelling_of_a_diagnosis_does_not_count_but_its_words_do() -> None:
    assert normalise_diagnosis("A Sjögren-type  sialadenitis.") == normalise_diagnosis("sjogren type sialadenitis")
    assert normalise_diagnosis("Barrett's esophagus") == normalise_diagnosis("Barrett’s Esophagus")  # noqa: RUF001
    assert normalise_diagnosis("colitis") != normalise_diagnosis("celiac disease")
