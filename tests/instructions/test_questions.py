import pytest

from videopath_hf.instructions.questions import QUESTIONS_PER_MEDIUM, Medium, write_questions


@pytest.mark.parametrize("medium", ["image", "clip", "video"])
def test_all_wordings_differ_and_name_medium_and_organ(medium: Medium) -> None:
    questions = write_questions(medium, QUESTIONS_PER_MEDIUM, "c1", seed=0, organ="colon")
    assert len(set(questions)) == QUESTIONS_PER_MEDIUM
    assert all(medium in question and "colon tissue" in question for question in questions)
    assert not any("{" in question for question in questions)


def test_soft_tissue_is_not_called_tissue_twice() -> None:
    questions = write_questions("video", QUESTIONS_PER_MEDIUM, "c1", seed=0, organ="soft tissue")
    assert all("soft tissue" in question and "tissue tissue" not in question for question in questions)


def test_the_choice_follows_from_seed_and_clip() -> None:
    first = [write_questions("video", 1, f"c{index}", seed=0) for index in range(20)]
    assert first == [write_questions("video", 1, f"c{index}", seed=0) for index in range(20)]
    assert first != [write_questions("video", 1, f"c{index}", seed=1) for index in range(20)]
    assert len({question for (question,) in first}) > 2


def test_a_clip_without_a_diagnosis_is_not_asked_for_one() -> None:
    assert not any("diagnosis" in text for text in write_questions("clip", 6, "c", seed=0, diagnosis=False))
    assert all("diagnosis" in text for text in write_questions("clip", 6, "c", seed=0, diagnosis=True))
    assert all("diagnosis" in text for text in write_questions("video", 6, "c", seed=0))
