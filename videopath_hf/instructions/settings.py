"""What a user can set about instruction writing."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from videopath_hf.instructions.questions import QUESTIONS_PER_MEDIUM
from videopath_hf.instructions.template import NOT_DESCRIPTIVE
from videopath_hf.settings import Settings

QuestionCount = Annotated[int, Field(ge=1, le=QUESTIONS_PER_MEDIUM)]


class InstructSettings(Settings):
    """Settings of `videopath instruct`.

    Args:
        seed (`int`, defaults to 0): seed of the split and of the choice of question wordings.
        questions_per_clip (`int`, defaults to 1): differently worded questions about each training clip.
        test_questions_per_clip (`int`, defaults to 1): the same for test clips.
        name_organ (`str`, defaults to `"auto"`): whether questions name the organ: `"always"`, `"never"`, or
            `"auto"`: unless the organ alone tells the diagnosis in this dataset, so that a model which sees nothing
            could answer from the words.
        keep_diagnosis_sentences (`bool`, defaults to `False`): keep sentences that state a diagnosis in
            descriptions too; by default it stands on the `Diagnosis:` line only.
        not_descriptive (`tuple[str, ...]`): regular expressions, matched without regard to case anywhere in a
            sentence; a sentence that matches one (greetings, navigation, history) is not a description.
        split_by (`str`, defaults to `"video"`): what is kept together when train and test are parted: `"video"`
            (whole lectures) or `"clip"` (for a single lecture; both parts then show the same slides).
        test_fraction (`float`, defaults to 0.2): share of the clips to hold out for test.
        licence (`str`): licence of the lectures, carried into every record and the card.
    """

    seed: int = 0
    questions_per_clip: QuestionCount = 1
    test_questions_per_clip: QuestionCount = 1
    name_organ: Literal["auto", "always", "never"] = "auto"
    keep_diagnosis_sentences: bool = False
    not_descriptive: tuple[str, ...] = NOT_DESCRIPTIVE
    split_by: Literal["video", "clip"] = "video"
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2
    licence: Annotated[str, Field(min_length=1)] = "unknown: not to be published"

    @field_validator("not_descriptive")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
        return patterns
