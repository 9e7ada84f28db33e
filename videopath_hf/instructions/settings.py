"""What a user can set about instruction writing."""

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from videopath_hf.instructions.questions import QUESTIONS_PER_MEDIUM
from videopath_hf.instructions.template import NOT_DESCRIPTIVE
from videopath_hf.llm.settings import ServerSettings
from videopath_hf.records import UNKNOWN_LICENCE
from videopath_hf.settings import Settings

QuestionCount = Annotated[int, Field(ge=1, le=QUESTIONS_PER_MEDIUM)]


class WriterServer(ServerSettings):
    """The server that writes: the fields of `ServerSettings`, with `base_url` and `model` from the environment
    variables `VIDEOPATH_WRITER_BASE_URL` and `VIDEOPATH_WRITER_MODEL` if omitted.

    Args:
        api_key_env (`str`, defaults to `"VIDEOPATH_WRITER_API_KEY"`): environment variable that holds the key.
        max_tokens (`int`, defaults to 1500): longest reply.
    """

    environment: ClassVar[str] = "VIDEOPATH_WRITER"
    api_key_env: str = "VIDEOPATH_WRITER_API_KEY"
    max_tokens: Annotated[int, Field(ge=1)] = 1500


_LISTS = ("train_list", "test_list")


class InstructSettings(Settings):
    """Settings of `videopath instruct`.

    Args:
        writer (`str`, defaults to `"template"`): who writes the descriptions: `"template"` takes sentences that were
            spoken or shown, without a server; `"clippath"` has a language model describe each clip and mark the
            quality, in two rounds; `"vidrip"` has it write findings from low to high magnification and a diagnosis,
            and check each against the words.
        server (`WriterServer`, *optional*): which server writes; from the environment if omitted.
        prompts (`Path`, *optional*): file of the writer's prompts in place of the one that ships.
        questions (`Path`, *optional*): file of question wordings in place of the one that ships.
        attach (`str`, defaults to `"nothing"`): what a server that can see is shown of a clip: `"nothing"`,
            `"keyframes"` or the whole `"clip"`.
        max_images (`int`, defaults to 8): most key frames to attach, evenly chosen.
        min_quality (`float`, defaults to 3.0): least quality of a `clippath` description, 0 to 5; the paper's.
        min_coverage (`float`, defaults to 1.0): the least share of the clips a server must answer for; below it the
            command fails after everything was written, and run again asks for the rest.
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
            (whole lectures), `"clip"` (for a single lecture; both parts then show the same slides) or `"lists"`.
        train_list (`Path`, *optional*): for `split_by=lists`, which clips or videos are train: names, one a line, or
            the authors' released JSON. Without it, all that `test_list` does not name.
        test_list (`Path`, *optional*): the same for test.
        test_fraction (`float`, defaults to 0.2): share of the clips to hold out for test.
        licence (`str`): licence of the lectures, carried into every record and the card.
    """

    writer: Literal["template", "clippath", "vidrip"] = "template"
    server: WriterServer | None = None
    prompts: Path | None = None
    questions: Path | None = None
    attach: Literal["nothing", "keyframes", "clip"] = "nothing"
    max_images: Annotated[int, Field(ge=1)] = 8
    min_quality: Annotated[float, Field(ge=0, le=5)] = 3.0
    min_coverage: Annotated[float, Field(ge=0, le=1)] = 1.0
    seed: int = 0
    questions_per_clip: QuestionCount = 1
    test_questions_per_clip: QuestionCount = 1
    name_organ: Literal["auto", "always", "never"] = "auto"
    keep_diagnosis_sentences: bool = False
    not_descriptive: tuple[str, ...] = NOT_DESCRIPTIVE
    split_by: Literal["video", "clip", "lists"] = "video"
    train_list: Path | None = None
    test_list: Path | None = None
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2
    licence: Annotated[str, Field(min_length=1)] = UNKNOWN_LICENCE

    @field_validator("not_descriptive")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
        return patterns

    @model_validator(mode="before")
    @classmethod
    def _server_from_environment(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("writer", "template") != "template" and data.get("server") is None:
            return {**data, "server": {}}
        return data

    @model_validator(mode="after")
    def _no_prompts_for_the_template(self) -> "InstructSettings":
        if self.writer == "template" and self.prompts is not None:
            raise ValueError("prompts are given and writer=template uses none; set writer=vidrip or writer=clippath")
        return self

    @model_validator(mode="after")
    def _lists_where_they_serve(self) -> "InstructSettings":
        if (self.split_by == "lists") != (self.train_list is not None or self.test_list is not None):
            raise ValueError("split_by=lists goes with train_list or test_list, and they with it")
        return self

    def identity(self) -> dict[str, Any]:
        """What decides the records; how a server is fetched from, and where files of prompts lie, does not."""
        server = self.server.identity() if self.server and self.writer != "template" else None
        return self.model_dump(mode="json", exclude={"server", "prompts", "questions", "min_coverage", *_LISTS}) | {
            "server": server
        }
