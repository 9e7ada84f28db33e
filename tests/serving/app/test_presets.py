"""Questions to pick from are those that models are trained on."""

from videopath_hf.instructions.questions import write_questions
from videopath_hf.serving.app.presets import ANY_ORGAN, is_one, organs, questions


def test_every_organ_has_questions_of_its_own_and_they_come_first() -> None:
    assert organs()[0] == ANY_ORGAN and len(organs()) > 10
    for organ in organs()[1:]:
        own = questions(organ, "video")
        assert len(own) > len(questions(ANY_ORGAN, "video"))
        assert f"{organ.removesuffix(' tissue')} tissue" in own[0]


def test_they_are_the_wordings_of_instruction_data() -> None:
    assert set(write_questions("video", 6, "key", 0, "colon")) <= set(questions("colon", "video"))
    assert set(write_questions("image", 6, "key", 0)) <= set(questions(ANY_ORGAN, "image"))


def test_a_question_that_was_written_is_told_from_one_that_was_picked() -> None:
    assert is_one(questions("liver", "image")[2])
    assert not is_one("Is there necrosis?")
